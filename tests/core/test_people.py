"""What people said, on disk and joined with what the cluster says."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgeobs import people as module
from edgeobs.calls import Answer, Call
from edgeobs.objects import Node, Ref
from edgeobs.people import NotKept, People
from edgeobs.remediate import Settings, Switches
from edgeobs.remediate.marks import APPROVE
from edgeobs.remediate.words import Here, What, Word
from edgeobs.signals import SECOND

NOW = 1_700_000_000 * SECOND
HERE = Here(("site", "a", "a0"), NOW)
CONTROL = Ref("ConfigMap", "edgeobs", "edgeobs-control")


@dataclass
class Shared:
    """A ConfigMap that two replicas see."""

    data: dict[str, str] | None = None
    calls: list[Call] = field(default_factory=list)
    refuses: bool = False

    def notes(self) -> dict[str, str]:
        return self.data or {}

    def call(self, call: Call) -> Answer:
        self.calls.append(call)
        if self.refuses:
            return Answer(403, "Forbidden", "configmaps is forbidden")
        if call.verb == "patch" and self.data is None:
            return Answer(404, "NotFound")
        data = {**(self.data or {}), **call.body["data"]}
        self.data = {key: value for key, value in data.items() if value is not None}
        return Answer(200)


def opened(folder: Path, **more: Any) -> People:
    made = People(folder / "data", Settings(), clock=lambda: NOW, **more)
    made.open()
    return made


def word(what: What, incident: str = "", **more: Any) -> Word:
    until = NOW + 1800 * SECOND if what == "approve" else 0
    return Word(what, "ada", "because", NOW, incident, until_ns=until, **more)


def test_what_was_said_outlives_the_process(tmp_path: Path) -> None:
    first = opened(tmp_path)
    for each in (word("pause"), word("veto", "inc-1"), word("approve", "inc-2", verb="drain")):
        assert first.say(each) == ""
    again = opened(tmp_path)
    assert again() == first()
    assert again().paused.startswith("paused by ada")
    assert (list(again().vetoed), list(again().approved)) == (["inc-1"], [("inc-2", "drain")])
    again.say(word("resume"))
    assert opened(tmp_path)().paused == ""


def test_before_it_is_read_everything_is_held(tmp_path: Path) -> None:
    assert People(tmp_path, Settings())().paused == "what people said is not read yet"


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"version": 2, "words": []}', '{"version": 1, "words": [{"what": "hug"}]}', '[]',
     '{"version": 1, "words": [{"what": "veto", "by": "a", "why": "", "at_ns": "x"}]}'],
)  # fmt: skip
def test_what_cannot_be_read_may_have_been_a_veto(tmp_path: Path, text: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / module.NAME).write_text(text)
    people = opened(tmp_path)
    assert "cannot be read" in people().paused
    with pytest.raises(NotKept, match="cannot be read"):
        people.say(word("approve", "inc-1"))
    people.say(word("pause"))
    assert "cannot be read" in people().paused
    assert (tmp_path / "data" / module.NAME).read_text() == text
    people.say(word("resume"))
    assert (people(), people.problem) == (Switches(), "")
    assert (tmp_path / "data" / "people.refused").read_text() == text
    assert opened(tmp_path)() == Switches()


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_on_a_full_disk_what_restrains_counts_and_what_lets_go_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = opened(tmp_path)
    monkeypatch.setattr(module, "_write", _full)
    for each in (word("pause"), word("veto", "inc-1")):
        assert "No space left" in people.say(each)
    assert people().paused
    for each in (word("resume"), word("approve", "inc-1")):
        with pytest.raises(NotKept, match="No space left"):
            people.say(each)
    assert people().paused
    assert list(people().vetoed) == ["inc-1"]


def test_a_pause_is_told_to_every_replica(tmp_path: Path) -> None:
    shared = Shared()
    here, there = (
        opened(tmp_path / name, notes=shared.notes, call=shared.call, control=CONTROL) for name in "ab"
    )
    here.say(word("pause"))
    assert there().paused == "paused by ada in the ConfigMap: because"
    there.say(word("resume"))
    assert there().paused == ""
    assert here().paused == "", "whichever replica heard it"
    assert [call.verb for call in shared.calls] == ["patch", "create", "patch"]
    assert all(call.ref == CONTROL for call in shared.calls)


def test_a_word_on_an_incident_is_told_to_every_replica_and_ends_for_all(tmp_path: Path) -> None:
    shared = Shared()
    here, there = (
        opened(tmp_path / name, notes=shared.notes, call=shared.call, control=CONTROL) for name in "ab"
    )
    assert here.shares
    here.say(word("veto", "inc-1"))
    there.say(word("approve", "inc-2", verb="drain"))
    assert here() == there()
    assert (list(here().vetoed), list(here().approved)) == (["inc-1"], [("inc-2", "drain")])
    there.say(word("approve", "inc-1")._replace(at_ns=NOW + 1))
    assert here().vetoed == {}
    there.look([], {"inc-4": HERE}, {"inc-3"})
    here.say(word("veto", "inc-3"))
    assert list(there().vetoed) == [], "it is over, as this one knows"
    there.look([], {"inc-3": HERE}, set())
    assert list(there().vetoed) == ["inc-3"]
    late = People(
        tmp_path / "c", Settings(), Switches, shared.notes, shared.call, CONTROL, lambda: NOW + 7200 * SECOND
    )
    late.open()
    late.look([], {"inc-3": HERE}, set())
    late.say(word("veto", "inc-4"))
    assert sorted(shared.data or {}) == ["veto.inc-3", "veto.inc-4"]


def test_a_word_on_another_replica_s_incident_is_about_ours_of_the_same_place(tmp_path: Path) -> None:
    shared = Shared()
    here, there = (
        opened(tmp_path / name, notes=shared.notes, call=shared.call, control=CONTROL) for name in "ab"
    )
    there.look([], {"inc-b": HERE, "inc-x": Here(("site", "a", "a1"), NOW)}, set())
    here.say(word("veto", "inc-a", place=HERE.place))
    assert "inc-b" in there().vetoed
    assert "inc-x" not in there().vetoed
    there.look([], {"inc-b": HERE._replace(opened_ns=NOW + 61 * SECOND)}, set())
    assert "inc-b" not in there().vetoed, "it was not open when that was said"
    there.look([], {"inc-b": HERE}, set())
    there.say(word("approve", "inc-b", place=HERE.place)._replace(at_ns=NOW + 1))
    here.look([], {"inc-a": HERE}, set())
    assert (here().vetoed, list(here().approved)) == ({}, [("inc-a", "")])


def test_a_pause_counts_whatever_clocks_said_before_and_kubectl_may_end_it(tmp_path: Path) -> None:
    ahead = str(NOW + 300 * SECOND)
    shared = Shared({"paused": "false", "said_ns": ahead})
    here = opened(tmp_path / "a", notes=shared.notes, call=shared.call, control=CONTROL)
    shared.refuses = True
    assert "could not be told" in here.say(word("pause"))
    assert here().paused, "an earlier resume by a clock that is ahead does not end it"
    shared.refuses = False
    here.say(word("pause"))
    assert shared.data is not None
    shared.data["paused"] = "false"  # kubectl patch
    assert here().paused == ""
    here.say(word("pause"))
    shared.data = None  # kubectl delete
    assert here().paused.startswith("paused by ada")


def test_a_pause_that_the_others_cannot_be_told_counts_here_and_says_so(tmp_path: Path) -> None:
    shared = Shared(refuses=True)
    here = opened(tmp_path, notes=shared.notes, call=shared.call, control=CONTROL)
    assert "could not be told (ConfigMap edgeobs-control): 403" in here.say(word("pause"))
    assert here().paused


def test_the_election_is_heard_as_well(tmp_path: Path) -> None:
    here = opened(tmp_path, base=lambda: Switches(leader="edge-b leads", led_since_ns=7))
    here.say(word("veto", "inc-1"))
    assert (here().leader, here().led_since_ns, list(here().vetoed)) == ("edge-b leads", 7, ["inc-1"])


def test_an_annotation_is_on_record_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = opened(tmp_path)
    node = Node("a0", "uid-a0", annotations={APPROVE: "inc-1"})
    with monkeypatch.context() as full:
        full.setattr(module, "_write", _full)
        here.look([node], {"inc-1": HERE}, set())
        assert here().approved == {}
    here.look([node], {"inc-1": HERE}, set())
    assert list(here().approved) == [("inc-1", "")]
    (kept,) = json.loads(here.path.read_text())["words"]
    assert (kept["at_ns"], kept["node"]) == (NOW, "uid-a0")
    here.look([node], {}, set())
    assert here().approved == {}
    assert opened(tmp_path)() == Switches()


def test_nothing_is_written_when_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = opened(tmp_path)
    here.say(word("veto", "inc-1"))
    monkeypatch.setattr(module, "_write", _full)
    log: list[object] = []
    monkeypatch.setattr(module.log, "error", lambda *_, **__: log.append(1))
    here.look([Node("a0")], {"inc-1": HERE}, set())
    assert not log
