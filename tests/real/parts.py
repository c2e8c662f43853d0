"""Finds the programs of a real Kubernetes control plane, or builds them: ``python -m tests.real.parts``.

Each is looked for in ``$KUBEBUILDER_ASSETS`` first, as elsewhere with Kubernetes; then in the cache
(``$EDGEOBS_REAL_PARTS``, otherwise ``edgeobs-real`` in the user's cache folder), in a folder of its version.
What is built appears there whole or not at all, and what one run has built the next one keeps.
"""

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
_VERSION = "k8s.io/component-base/version.git"
TRIES = 5


class MissingPartsError(Exception):
    """Some of the programs are not on this machine."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of a Go module that is pinned beside this file."""

    name: str
    folder: str  # that has the go.mod
    module: str
    package: str  # its main package, within the module
    about_s: int  # to build on two cores with nothing cached

    @property
    def version(self) -> str:
        """That go.mod asks for."""
        found = re.search(rf"{re.escape(self.module)} (v\S+)", (HERE / self.folder / "go.mod").read_text())
        if found is None:
            raise ValueError(f"{self.folder}/go.mod does not require {self.module}")
        return found[1]

    @property
    def flags(self) -> str:
        """For the linker: no symbols, and the version, which Kubernetes' source does not tell."""
        if self.folder != "kubernetes":
            return "-s -w"
        major, minor, _ = self.version[1:].split(".", 2)
        named = {"Version": self.version, "Major": major, "Minor": minor}
        return "-s -w " + " ".join(f"-X {_VERSION}{key}={value}" for key, value in named.items())


def _kubernetes(name: str, about_s: int) -> Tool:
    return Tool(name, "kubernetes", "k8s.io/kubernetes", f"/cmd/{name}", about_s)


KWOK = Tool("kwok", "kwok", "sigs.k8s.io/kwok", "/cmd/kwok", 120)
TOOLS = (
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "", 60),
    _kubernetes("kube-apiserver", 400),
    _kubernetes("kubectl", 40),
    _kubernetes("kube-controller-manager", 60),
    _kubernetes("kube-scheduler", 20),
    KWOK,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where each program is, by name, and what KWOK plays."""

    programs: Mapping[str, Path]
    stages: Sequence[Path]


def cache() -> Path:
    """The folder for what is built."""
    if own := os.environ.get("EDGEOBS_REAL_PARTS"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeobs-real"


def find() -> Parts:
    """Every part.

    Raises
    ------
    MissingPartsError
        Naming those that are not here.

    """
    programs = {tool.name: _found(tool) for tool in TOOLS}
    stages = sorted(_stages().glob("*.yaml"))
    missing = [name for name, path in programs.items() if path is None] + ["KWOK's stages"] * (not stages)
    if missing:
        raise MissingPartsError(f"no {', '.join(missing)}: make real-parts")
    return Parts({name: path for name, path in programs.items() if path}, stages)


def built(tool: Tool) -> Path:
    """Where a tool is once it has been built."""
    return cache() / f"{tool.folder}-{tool.version}" / tool.name


def _stages() -> Path:
    return built(KWOK).parent / "stages"


def _found(tool: Tool) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / tool.name] if assets else []
    return next((path for path in [*candidates, built(tool)] if os.access(path, os.X_OK)), None)


def build() -> Parts:
    """Make what is missing, saying what is done.

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
    return find()


def _build(tool: Tool) -> None:
    folder, began = HERE / tool.folder, time.monotonic()
    print(f"{tool.name} {tool.version}: building, some {tool.about_s} s with nothing cached", flush=True)
    _download(folder)
    with _whole(built(tool)) as new:
        flags = ["-trimpath", "-ldflags", tool.flags, "-o", str(new)]
        _run(["go", "build", *flags, tool.module + tool.package], folder)
        version = ["version", "--client"] if tool.name == "kubectl" else ["--version"]
        if tool.version[1:] not in (said := _run([str(new), *version], folder)):
            raise MissingPartsError(f"{tool.name} says that it is {said.strip()}, not {tool.version}")
    print(f"{tool.name}: built in {time.monotonic() - began:.0f} s", flush=True)


def _download(folder: Path) -> None:
    for attempt in range(1, TRIES + 1):  # mirrors are slow or flaky now and then
        try:
            _run(["go", "mod", "download"], folder)
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
        for name, path in build().programs.items():
            print(f"{name}: {path}")
    except MissingPartsError as error:
        sys.exit(str(error))
