"""Parts are found where they should be, and built whole or not at all: with a stand-in for Go."""

import shutil
from pathlib import Path

import pytest

from tests.real import parts
from tests.real.parts import COLLECTOR, LOKI, TOOLS, MissingPartsError, build, built, find, programs

GO = """
case "$1 $2" in
"list -deps") exit 0 ;;
"list -m") echo "{folder}/module"; exit 0 ;;
esac
while [ "$1" != -o ]; do flags="$flags $1"; shift; done
name="${{2##*/}}"
echo "$name" >> {folder}/built
case "$name" in *"{broken}") echo "cannot compile" >&2; exit 1 ;; esac
echo '#!/bin/sh' > "$2"
echo 'echo "{version}"' >> "$2"
{chmod} 755 "$2"
"""
VERSIONS = " ".join(sorted({tool.version for tool in TOOLS}))


class Machine:
    """A PATH with what a test puts there, and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.cache = folder, folder / "bin", folder / "cache"
        self.bin.mkdir()
        for stage in parts.STAGES:
            (folder / "module/kustomize/stage" / stage).mkdir(parents=True)
            (folder / "module/kustomize/stage" / stage / f"{stage.replace('/', '-')}.yaml").touch()
            (folder / "module/kustomize/stage" / stage / "kustomization.yaml").touch()

    def program(self, path: Path, body: str = "") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def go(self, broken: str = "nothing", version: str = VERSIONS) -> None:
        chmod = shutil.which("chmod", path="/bin:/usr/bin")
        text = GO.format(folder=self.folder, broken=broken, version=version, chmod=chmod)
        self.program(self.bin / "go", text)

    def built(self) -> list[str]:
        """What Go was asked for, in order."""
        log = self.folder / "built"
        return log.read_text().split() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With nothing on it."""
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("EDGEOBS_REAL_PARTS", str(made.cache))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return made


def test_what_is_missing_is_named_with_the_way_to_get_it(machine: Machine) -> None:
    machine.program(built(TOOLS[0]))
    with pytest.raises(MissingPartsError) as missing:
        find()
    names = "kube-apiserver, kubectl, kube-controller-manager, kube-scheduler, kwok, KWOK's stages"
    assert str(missing.value) == f"no {names}: make real-parts"


def test_everything_is_built_in_folders_of_its_version(machine: Machine) -> None:
    machine.go()
    made = build()
    assert machine.built() == [tool.name for tool in TOOLS]
    assert made["kube-apiserver"] == machine.cache / "kubernetes-v1.34.4/kube-apiserver"
    assert made["kwok"] == machine.cache / "kwok-v0.8.0/kwok"
    assert made["etcd"] == machine.cache / "etcd-v3.6.4/etcd"
    assert made["loki"] == machine.cache / "loki-v3.7.8/loki"
    assert [stage.name for stage in find().stages] == sorted(
        f"{each.replace('/', '-')}.yaml" for each in parts.STAGES
    )
    assert {**find().programs, "otelcol": made["otelcol"], "loki": made["loki"]} == made
    assert programs(LOKI, COLLECTOR) == [made["loki"], made["otelcol"]]
    build()
    assert len(machine.built()) == len(TOOLS)


def test_a_program_of_our_own_is_built_anew_when_its_source_changes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = machine.folder / "parts" / COLLECTOR.folder
    shutil.copytree(parts.HERE / COLLECTOR.folder, own)
    monkeypatch.setattr(parts, "HERE", own.parent)
    before = built(COLLECTOR)
    assert before == built(COLLECTOR)
    with (own / "factories.go").open("a") as source:
        source.write("// one more\n")
    assert built(COLLECTOR) != before


def test_what_the_user_has_comes_first(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.go()
    build()
    assets = machine.folder / "assets"
    for name in ("etcd", "kube-apiserver"):
        machine.program(assets / name)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    programs = find().programs
    assert {name for name, path in programs.items() if path.parent == assets} == {"etcd", "kube-apiserver"}


def test_a_failed_build_leaves_nothing_and_the_next_goes_on_from_there(machine: Machine) -> None:
    machine.go(broken="kube-controller-manager")
    with pytest.raises(MissingPartsError, match="cannot compile"):
        build()
    kept = sorted(path.name for path in machine.cache.rglob("*") if path.is_file())
    assert kept == ["etcd", "kube-apiserver", "kubectl"]
    machine.go()
    build()
    wanted = [tool.name for tool in TOOLS]
    assert machine.built() == [*wanted[:4], *wanted[3:]]
    assert not list(machine.cache.rglob(".new-*"))


def test_a_program_of_another_version_is_refused(machine: Machine) -> None:
    machine.go(version="v0.0.0-master")
    with pytest.raises(MissingPartsError, match=r"etcd says that it is v0\.0\.0-master, not v3\.6\.4"):
        build()
    assert not built(TOOLS[0]).exists()


def test_without_go_it_says_so(machine: Machine) -> None:
    with pytest.raises(MissingPartsError, match="go is not installed"):
        build()
    assert not list(machine.cache.rglob("kube*"))
