"""Finds the programs of a real Kubernetes control plane, or builds them: ``python -m tests.real.parts``.

Each is looked for in ``$KUBEBUILDER_ASSETS`` first, as elsewhere with Kubernetes; then in the cache
(``$EDGEOBS_REAL_PARTS``, otherwise ``edgeobs-real`` in the user's cache folder), in a folder of its version;
etcd on the PATH too. What is built appears there whole or not at all; what one run has built the next keeps.
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
    about_s: int  # to build on two cores with nothing cached

    @property
    def package(self) -> str:
        """Its import path."""
        return f"{self.module}/cmd/{self.name}"

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


TOOLS = (
    Tool("kube-apiserver", "kubernetes", "k8s.io/kubernetes", 400),
    Tool("kubectl", "kubernetes", "k8s.io/kubernetes", 40),
    Tool("kube-controller-manager", "kubernetes", "k8s.io/kubernetes", 60),
    Tool("kube-scheduler", "kubernetes", "k8s.io/kubernetes", 30),
    Tool("kwok", "kwok", "sigs.k8s.io/kwok", 60),
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
    programs = {tool.name: _program(tool.name, built(tool)) for tool in TOOLS}
    programs["etcd"] = _program("etcd", cache() / "etcd/etcd") or _on_path("etcd")
    stages = sorted(_stages().glob("*.yaml"))
    missing = [name for name, path in programs.items() if path is None] + ["KWOK's stages"] * (not stages)
    if missing:
        raise MissingPartsError(f"no {', '.join(missing)}: make real-parts")
    return Parts({name: path for name, path in programs.items() if path}, stages)


def built(tool: Tool) -> Path:
    """Where a tool is once it has been built."""
    return cache() / f"{tool.folder}-{tool.version}" / tool.name


def _stages() -> Path:
    return built(TOOLS[-1]).parent / "stages"


def _program(name: str, cached: Path) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / name] if assets else []
    return next((path for path in [*candidates, cached] if os.access(path, os.X_OK)), None)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def build() -> Parts:
    """Make what is missing, saying what is done.

    Raises
    ------
    MissingPartsError
        What cannot be had here, and why.

    """
    for tool in TOOLS:
        if _program(tool.name, built(tool)) is None:
            _build(tool)
    if not _stages().is_dir():
        _copy_stages()
    if _program("etcd", cache() / "etcd/etcd") is None and _on_path("etcd") is None:
        _unpack_etcd()
    return find()


def _build(tool: Tool) -> None:
    folder, began = HERE / tool.folder, time.monotonic()
    print(
        f"{tool.name} {tool.version}: building (about {tool.about_s} s where nothing is cached)", flush=True
    )
    for attempt in range(1, TRIES + 1):  # mirrors are slow or flaky now and then
        try:
            _run(["go", "mod", "download"], folder)
            break
        except MissingPartsError:
            if attempt == TRIES:
                raise
            time.sleep(2 * attempt)
    with _whole(built(tool)) as new:
        _run(["go", "build", "-trimpath", "-ldflags", tool.flags, "-o", str(new), tool.package], folder)
        version = ["version", "--client"] if tool.name == "kubectl" else ["--version"]
        if tool.version not in (said := _run([str(new), *version], folder)):
            raise MissingPartsError(f"{tool.name} says that it is {said.strip()}, not {tool.version}")
    print(f"{tool.name}: built in {time.monotonic() - began:.0f} s", flush=True)


def _copy_stages() -> None:
    kwok = TOOLS[-1]
    module = _run(["go", "list", "-m", "-f", "{{.Dir}}", kwok.module], HERE / kwok.folder).strip()
    with _whole(_stages()) as new:
        new.mkdir()
        for stage in STAGES:
            for file in (Path(module) / "kustomize/stage" / stage).glob("*.yaml"):
                if file.name != "kustomization.yaml":
                    (new / file.name).write_bytes(file.read_bytes())


def _unpack_etcd() -> None:
    """Take etcd out of Debian's package, without installing that: it would start a service."""
    print("etcd: taking it out of Debian's etcd-server", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder, _whole(cache() / "etcd") as new:
            _run(["apt-get", "-q", "download", "etcd-server"], Path(folder))
            (package,) = Path(folder).glob("etcd-server_*.deb")
            _run(["dpkg-deb", "--extract", str(package), folder], Path(folder))
            new.mkdir()
            shutil.copy2(Path(folder) / "usr/bin/etcd", new / "etcd")
    except (MissingPartsError, OSError, ValueError) as error:
        raise MissingPartsError(f"{error}\netcd: put it on the PATH: apt-get install etcd-server") from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write to, that becomes ``path`` if all went well and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        new = Path(folder) / path.name
        yield new
        new.replace(path)


def _run(command: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise MissingPartsError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise MissingPartsError(
            f"{' '.join(command[:3])} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    try:
        for name, path in build().programs.items():
            print(f"{name}: {path}")
    except MissingPartsError as error:
        sys.exit(str(error))
