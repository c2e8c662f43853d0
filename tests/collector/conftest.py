"""What the tests of collectors share: the programs, or a line that says how to get them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeobs.demo.children import Children
from tests.collector.site import Site, site
from tests.real.parts import COLLECTOR, LOKI, MissingPartsError, Tool, built, programs


def _built(tool: Tool) -> Path:
    try:
        return programs(tool)[0]
    except MissingPartsError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def otelcol() -> Path:
    """The real Collector."""
    return _built(COLLECTOR)


@pytest.fixture(scope="session")
def loki() -> Path:
    """That the real Loki is there, and where."""
    return _built(LOKI)


@pytest.fixture(scope="session")
def prometheus() -> None:
    """That it is there."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Those of a test; they end with it."""
    made = Children(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def build(children: Children, tmp_path: Path, otelcol: Path) -> Callable[..., Site]:
    """Makes a site; nothing of it is started, and who wants Loki in it asks for that too."""
    return lambda **options: site(children, tmp_path, otelcol, built(LOKI), **options)
