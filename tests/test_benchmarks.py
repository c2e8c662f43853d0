"""The runner: what it prints, and that what it names can be run. No figures."""

import importlib
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import __main__ as runner
from benchmarks.measure import Measure

FOUND = [Measure("rate", 1_234_567.0, "points/s", "upb 500,000", 2.469), Measure("idle_rss_mib", 99.5, "MiB")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Every benchmark is a stub; what each was asked for (quick)."""
    calls: list[bool] = []

    def run(quick: bool, *_: object) -> list[Measure]:
        calls.append(quick)
        return FOUND

    for name in runner.BENCHMARKS:
        stub = ModuleType(name)
        vars(stub)["run"] = run
        vars(stub)["NoDataError"] = LookupError
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", stub)
    return calls


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    monkeypatch.delitem(sys.modules, "benchmarks.__main__", raising=False)
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("benchmarks", run_name="__main__")
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_json_is_one_object_of_measures(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "memory", "--quick", "--json") == 0
    assert asked == [True]
    assert json.loads(capsys.readouterr().out) == {
        "measures": [
            {"name": "rate", "value": 1_234_567.0, "unit": "points/s", "reference": "upb 500,000",
             "ratio": 2.469},
            {"name": "idle_rss_mib", "value": 99.5, "unit": "MiB", "reference": "", "ratio": None},
        ]
    }  # fmt: skip


def test_a_table_for_people_of_all_benchmarks(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch) == 0
    printed = capsys.readouterr()
    assert asked == [False] * (len(runner.BENCHMARKS) - 1)
    assert "accuracy: left out, no --data DIR was given" in printed.err
    head, rate, rss, *_ = (line.split() for line in printed.out.splitlines())
    assert head == ["measure", "value", "unit", "reference", "ratio"]
    assert rate == ["rate", "1,234,567", "points/s", "upb", "500,000", "2.47×"]
    assert rss == ["idle_rss_mib", "99.5", "MiB"]


def test_an_unknown_name_is_wrong_usage(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "ingst") == 2
    assert not asked
    assert "ingest" in capsys.readouterr().err


def test_all_of_them_with_data(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "--quick", "--data", "somewhere", "--json") == 0
    assert asked == [True] * len(runner.BENCHMARKS)
    assert len(json.loads(capsys.readouterr().out)["measures"]) == len(FOUND) * len(runner.BENCHMARKS)


def test_accuracy_needs_data(
    asked: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, "accuracy") == 2
    assert not asked
    assert "accuracy needs --data DIR" in capsys.readouterr().err


@pytest.mark.parametrize("made", [True, False])
def test_a_directory_without_the_sets_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, made: bool
) -> None:
    at = tmp_path / "data"
    if made:
        at.mkdir()
    assert outcome(monkeypatch, "accuracy", "--data", str(at), "--set", "kpi") == 2
    _, line = capsys.readouterr().err.splitlines()
    assert line.startswith("accuracy: ")
    assert str(at) in line


@pytest.mark.parametrize("name", runner.BENCHMARKS)
def test_what_is_named_can_be_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)
