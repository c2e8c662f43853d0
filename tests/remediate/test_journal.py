"""The journal: bounded, versioned, readable beside its writer."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgeobs.calls import Answer, Call
from edgeobs.cli import app
from edgeobs.objects import Ref
from edgeobs.remediate import Operation, Settings
from edgeobs.remediate.journal import Journal, JournalError, read, write
from edgeobs.signals import SECOND, Action, Resource

DAY = 86_400 * SECOND
ACTION = Action(
    "cordon", Resource("site", "a", "a0"), (("/spec/unschedulable", "true"),), "bad", "p", "inc-1"
)
CALL = Call("patch", Ref("Node", "", "a0", "uid"), {"spec": {"unschedulable": True}}, "7", says="cordon a0")


def operation(name: str = "dec-1", at_ns: int = 1, **changes: object) -> Operation:
    made = Operation(id=name, action=ACTION, begun_ns=at_ns, updated_ns=at_ns, deadline_ns=at_ns + SECOND)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


texts = st.text(max_size=20)
memos = st.dictionaries(
    texts, st.recursive(st.none() | st.booleans() | st.integers() | texts, st.lists, max_leaves=5)
)


@given(texts, memos, st.integers(0, 2**62))
def test_an_operation_comes_back_as_it_was(name: str, memo: dict[str, object], at_ns: int) -> None:
    made = operation(name, at_ns, memo=memo, state="verifying", undoes=name, reason=name)
    assert read(write(made)) == made


def test_it_remembers_what_is_under_way_and_what_stands(journal: Journal) -> None:
    journal.begin([operation(), operation("dec-2"), operation("dec-3")], 1)
    journal.begin([operation(state="failed")], 2)  # known: stays
    journal.move(operation("dec-2", state="done", memo={"marked": True}, updated_ns=2), 2)
    journal.move(operation("dec-3", state="done", updated_ns=5 * DAY), 3)
    again = Journal(journal.path)
    assert [each.id for each in again.unfinished()] == ["dec-1"]
    assert [each.id for each in again.standing()] == ["dec-2", "dec-3"]
    assert again.operation("dec-9") is None
    assert [entry.kind for entry in again.story("dec-1")] == ["intent"]


def test_a_call_without_an_answer_is_seen(journal: Journal) -> None:
    journal.begin([operation()], 1)
    number = journal.call(operation(state="working"), CALL, 2)
    assert journal.unanswered("dec-1")
    journal.answer(operation(state="working"), number, Answer(200, version="8"), 3)
    assert not journal.unanswered("dec-1")
    _, call, answer = journal.story("dec-1")
    assert call.body["body"] == {"spec": {"unschedulable": True}}
    assert (answer.body["call"], answer.body["status"]) == (call.seq, 200)


def test_every_line_of_the_export_is_json(journal: Journal) -> None:
    journal.begin([operation(reason="ä\n")], 1)
    journal.call(operation(), CALL, 2)
    lines = [json.loads(line) for line in journal.export()]
    assert [line["kind"] for line in lines] == ["intent", "call"]
    assert lines[0]["body"]["reason"] == "ä\n"


def test_it_is_pruned_by_age_and_number_but_never_of_what_matters(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite", Settings(journal_days=1, journal_entries=1000))
    kept = [operation("under-way"), operation("standing", state="done", memo={"marked": True})]
    journal.begin([*kept, operation("old", state="done")], 1)
    for number in range(2400):
        new = operation(f"dec-{number}", 2 * DAY, state="done")
        journal.begin([new], 2 * DAY)
        journal.move(new, 2 * DAY)
    names = {each.id for each in journal.recent(10_000)}
    assert {"under-way", "standing"} <= names
    assert "old" not in names
    assert 1000 <= sum(1 for _ in journal.export()) <= 1000 + 400 + 10


def test_a_later_version_is_refused_and_nothing_changed(journal: Journal) -> None:
    journal._db.execute("PRAGMA user_version = 99")
    journal.close()
    with pytest.raises(JournalError, match="version 99"):
        Journal(journal.path)


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(JournalError, match="move it away"):
        Journal(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "none" / "journal.sqlite")


def test_a_failed_write_leaves_nothing_behind(journal: Journal) -> None:
    with pytest.raises(TypeError):
        journal.begin([operation(), operation("dec-2", memo={"bad": object()})], 1)
    assert not journal.recent()
    journal.begin([operation()], 1)
    assert journal.known("dec-1")


def test_others_read_while_it_writes(journal: Journal) -> None:
    reader = Journal(journal.path, read_only=True)
    journal.begin([operation()], 1)
    assert [each.id for each in reader.recent()] == ["dec-1"]
    with pytest.raises(JournalError, match="cannot be written"):
        reader.begin([operation("dec-2")], 2)


def test_the_command_prints_it_as_lines_of_json(journal: Journal) -> None:
    journal.begin([operation(), operation("dec-2")], 1)
    number = journal.call(operation(state="working"), CALL, 2)
    journal.answer(operation(state="working"), number, Answer(200), 3)
    folder = ["--data-dir", str(journal.path.parent)]
    said = CliRunner().invoke(app, ["journal", *folder])
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert [(line["operation"], line["kind"]) for line in lines] == [
        ("dec-1", "intent"), ("dec-2", "intent"), ("dec-1", "call"), ("dec-1", "answer")
    ]  # fmt: skip
    one = CliRunner().invoke(app, ["journal", "dec-2", *folder])
    assert [json.loads(line)["operation"] for line in one.stdout.splitlines()] == ["dec-2"]
    unknown = CliRunner().invoke(app, ["journal", "dec-9", *folder])
    assert (unknown.exit_code, "no operation 'dec-9'" in unknown.stderr) == (2, True)
    missing = CliRunner().invoke(app, ["journal", "--data-dir", "/nowhere"])
    assert (missing.exit_code, "/nowhere/journal.sqlite" in missing.stderr) == (1, True)
