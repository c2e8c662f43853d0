"""Machine code made ahead of time does what Numba's does, for the text and the types it was made of alone."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgeobs import ahead, jit, make_ahead
from edgeobs.detect import Settings, bank, node
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.node import NodeBank
from edgeobs.signals import SECOND, Floats

pytestmark = pytest.mark.skipif(
    not (jit.available() and shutil.which("ld")), reason="needs Numba and ld: edgeobs[accel], binutils"
)
SERIES, STEPS = 40, 120
START = 1_700_000_000 * SECOND


def made(folder: Path, module: ModuleType, run: Callable[[], object]) -> None:
    """Make the loop of a module's kernels in a folder that has their text; ``run`` calls Numba's."""
    run()
    for name in module.KERNELS:
        shutil.copy(Path(str(module.__file__)).parent / f"{name}.py", folder)
    dispatcher = importlib.import_module(f"{module.__package__}.{module.KERNELS[0]}").run
    make_ahead.make(dispatcher, folder, module.KERNELS)


def fed(detector: SeriesBank | NodeBank) -> list[Any]:
    """What it says of series of which some go wrong, one after the other and together."""
    random, found = np.random.default_rng(3), []
    for step in range(STEPS):
        value: Floats = random.normal(50.0, 5.0, SERIES)
        value[::2] = value[0]
        value[:10] += 100.0 * (step >= 100)
        ids, at = np.arange(SERIES, dtype=np.int32), np.full(SERIES, START + step * 600 * SECOND)
        found.append(detector.score_learn(ids, at, value))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bank was made."""
    found = tmp_path_factory.mktemp("made")
    made(found, bank, lambda: fed(SeriesBank(Settings(), fast=True)))
    return found


def test_scores_of_series_and_all_that_was_learned_are_the_same_to_the_bit(folder: Path) -> None:
    numba, ours = SeriesBank(Settings(), fast=True), SeriesBank(Settings(), fast=False)
    ours._kernel = ahead.loop(folder, bank.KERNELS)
    assert ours._kernel is not None
    for one, other in zip(fed(ours), fed(numba), strict=True):
        for column in ("score", "expected", "spread", "view", "interval_s"):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column))
    for name, array in numba.state().items():
        np.testing.assert_array_equal(ours.state()[name], array)


def test_scores_of_nodes_are_the_same_to_the_bit(tmp_path: Path) -> None:
    numba, ours = (NodeBank(lambda: np.zeros(SERIES, np.int32), fast) for fast in (True, False))
    expected = fed(numba)
    made(tmp_path, node, lambda: None)
    ours._run = ahead.loop(tmp_path, node.KERNELS, 2)
    assert ours._run is not None
    assert sum(len(each.score) for each in expected) > 100
    for one, other in zip(fed(ours), expected, strict=True):
        for column in ("score", "raw", "series", "share", "expected"):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


def test_code_of_another_text_is_not_found_and_goes_when_new_is_made(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = ahead.path(tmp_path, bank.KERNELS)
    assert before.exists()
    with (tmp_path / "law.py").open("a", encoding="utf-8") as file:
        file.write("# another\n")
    assert ahead.loop(tmp_path, bank.KERNELS) is None
    make_ahead.make(importlib.import_module("edgeobs.detect.bank_kernel").run, tmp_path, bank.KERNELS)
    assert ahead.loop(tmp_path, bank.KERNELS) is not None
    assert not before.exists()


def test_arguments_of_other_types_are_refused(folder: Path) -> None:
    run = ahead.loop(folder, bank.KERNELS)
    with pytest.raises(AttributeError):
        run(np.zeros(3), 1)
    with pytest.raises(ValueError, match="contiguous"):
        run(np.zeros(6)[::2])


def test_without_numba_what_was_made_is_taken_and_columns_where_nothing_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "available", lambda: pytest.fail("Numba was asked for"))
    assert ahead.best("", folder, bank.KERNELS, None, compiled=False) is not None
    assert ahead.best("", folder, bank.KERNELS, False, compiled=False) is None
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=lambda *_: {"__pycache__"})
    assert ahead.best("", tmp_path, bank.KERNELS, None, compiled=False) is None
