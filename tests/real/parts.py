"""Finds the real programs that tests run against, or builds them: ``python -m tests.real.parts``.

A Kubernetes control plane, an OpenTelemetry Collector, Loki. Each is looked for in ``$KUBEBUILDER_ASSETS``
first, as elsewhere with Kubernetes; then in the cache (``$EDGEOBS_REAL_PARTS``, otherwise ``edgeobs-real`` in
the user's cache folder), in a folder of its version. What is built appears there whole or not at all, and
what one run has built the next one keeps.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STAGES = ("node/fast", "node/heartbeat-with-lease", "node/chaos", "pod/fast", "pod/chaos")
"""What KWOK plays, by folder of its module: nodes and pods come up at once; chaos waits for its label."""
_OWN = "."
"""The package of a program whose ``main`` lies beside its go.mod."""
TRIES = 5


class MissingPartsError(Exception):
    """Some of the programs are not on this machine."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of a Go module that is pinned beside this file."""

    name: str
    folder: str  # that has the go.mod
    module: str  # whose version it has
    package: str  # its main package
    about_s: int  # to build on two cores with nothing cached
    tags: str = ""

    @property
    def version(self) -> str:
        """That go.mod asks for."""
        text = (HERE / self.folder / "go.mod").read_text()
        found = re.search(rf"^(?:require)?\s+{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.folder}/go.mod does not require {self.module}")
        return found[1]

    @property
    def flags(self) -> list[str]:
        """For ``go build``: no paths, no symbols, and the version where the source does not tell it."""
        stamps = "".join(f" -X {key}={value}" for key, value in _stamps(self).items())
        return ["-trimpath", *_tags(self), "-ldflags", f"-s -w{stamps}"]


def _tags(tool: Tool) -> list[str]:
    return ["-tags", tool.tags] if tool.tags else []


def _stamps(tool: Tool) -> Mapping[str, str]:
    if tool.folder == "loki":
        return {"github.com/grafana/loki/v3/pkg/util/build.Version": tool.version[1:]}
    if tool.folder != "kubernetes":
        return {}
    major, minor, _ = tool.version[1:].split(".", 2)
    named = {"Version": tool.version, "Major": major, "Minor": minor}
    return {f"k8s.io/component-base/version.git{key}": value for key, value in named.items()}


def _kubernetes(name: str, about_s: int) -> Tool:
    return Tool(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}", about_s)


KWOK = Tool("kwok", "kwok", "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok", 120)
CONTROL_PLANE = (
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 60),
    _kubernetes("kube-apiserver", 400),
    _kubernetes("kubectl", 40),
    _kubernetes("kube-controller-manager", 60),
    _kubernetes("kube-scheduler", 20),
    KWOK,
)
COLLECTOR = Tool(
    "otelcol",
    "collector",
    "go.opentelemetry.io/collector/otelcol",
    _OWN,
    400,
    "remove_all_sd,enable_kubernetes_sd",  # Prometheus's discovery of targets: of Kubernetes alone
)
_LOKI = "github.com/grafana/loki/v3"
LOKI = Tool("loki", "loki", _LOKI, f"{_LOKI}/cmd/loki", 540)
TOOLS = (*CONTROL_PLANE, COLLECTOR, LOKI)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where each program of a control plane is, by name, and what KWOK plays."""

    programs: Mapping[str, Path]
    stages: Sequence[Path]


def cache() -> Path:
    """The folder for what is built."""
    if own := os.environ.get("EDGEOBS_REAL_PARTS"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeobs-real"


def find() -> Parts:
    """Every part of a control plane.

    Raises
    ------
    MissingPartsError
        Naming those that are not here.

    """
    stages = sorted(_stages().glob("*.yaml"))
    return Parts(_programs(CONTROL_PLANE, ["KWOK's stages"] * (not stages)), stages)


def programs(*tools: Tool) -> list[Path]:
    """Where some programs are.

    Raises
    ------
    MissingPartsError
        Naming those that are not here.

    """
    return list(_programs(tools).values())


def _programs(tools: Sequence[Tool], further: Sequence[str] = ()) -> dict[str, Path]:
    found = {tool.name: _found(tool) for tool in tools}
    missing = [name for name, path in found.items() if path is None] + list(further)
    if missing:
        raise MissingPartsError(f"no {', '.join(missing)}: make real-parts")
    return {name: path for name, path in found.items() if path}


def built(tool: Tool) -> Path:
    """Where a tool is once it has been built; one of our own also by what it is built from."""
    folder = f"{tool.folder}-{tool.version}"
    if tool.package == _OWN:
        sources = [*sorted((HERE / tool.folder).glob("*.go")), HERE / tool.folder / "go.sum"]
        digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources))
        folder += f"-{digest.hexdigest()[:8]}"
    return cache() / folder / tool.name


def _stages() -> Path:
    return built(KWOK).parent / "stages"


def _found(tool: Tool) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / tool.name] if assets else []
    return next((path for path in [*candidates, built(tool)] if os.access(path, os.X_OK)), None)


def build() -> dict[str, Path]:
    """Make what is missing, saying what is done; every program by name.

    Raises
    ------
    MissingPartsError
        What cannot be had here, and why.

    """
    for tool in TOOLS:
        if _found(tool) is None:
            _build(tool)
    if not _stages().is_dir():
        _copy_stages()
    find()
    return _programs(TOOLS)


def _build(tool: Tool) -> None:
    folder, began = HERE / tool.folder, time.monotonic()
    print(f"{tool.name} {tool.version}: building, some {tool.about_s} s with nothing cached", flush=True)
    _download(tool)
    with _whole(built(tool)) as new:
        _run(["go", "build", *tool.flags, "-o", str(new), tool.package], folder)
        version = ["version", "--client"] if tool.name == "kubectl" else ["--version"]
        if tool.version[1:] not in (said := _run([str(new), *version], folder)):
            raise MissingPartsError(f"{tool.name} says that it is {said.strip()}, not {tool.version}")
    print(f"{tool.name}: built in {time.monotonic() - began:.0f} s", flush=True)


def _download(tool: Tool) -> None:
    for attempt in range(1, TRIES + 1):  # mirrors are slow or flaky now and then
        try:
            _run(["go", "list", "-deps", *_tags(tool), tool.package], HERE / tool.folder)
            return
        except MissingPartsError:
            if attempt == TRIES or shutil.which("go") is None:
                raise
            time.sleep(2 * attempt)


def _copy_stages() -> None:
    module = _run(["go", "list", "-m", "-f", "{{.Dir}}", KWOK.module], HERE / KWOK.folder).strip()
    with _whole(_stages()) as new:
        new.mkdir()
        for stage in STAGES:
            for file in (Path(module) / "kustomize/stage" / stage).glob("*.yaml"):
                if file.name != "kustomization.yaml":
                    (new / file.name).write_bytes(file.read_bytes())


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write to, that becomes ``path`` if all went well and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        new = Path(folder) / path.name
        yield new
        new.replace(path)


def _run(command: Sequence[str], folder: Path) -> str:
    own = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MissingPartsError(f"{command[0]} is not installed") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise MissingPartsError(f"{' '.join(command[:3])} failed:\n{said}")
    return done.stdout


if __name__ == "__main__":
    try:
        for name, path in build().items():
            print(f"{name}: {path}")
    except MissingPartsError as error:
        sys.exit(str(error))
