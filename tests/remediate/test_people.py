"""What people say: in force at once, expired in time, and never more than they said."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.objects import Node
from edgeobs.remediate import Settings, Switches, words
from edgeobs.remediate.marks import APPROVE
from edgeobs.remediate.sharing import AHEAD_NS, joined, merged, noted, outdated
from edgeobs.remediate.windows import DAYS, Window, inside, problems, window_of
from edgeobs.remediate.words import Here, Key, What, Word, Words, annotated, kept, said, short
from edgeobs.signals import SECOND

NOW = 1_700_000_000 * SECOND
BERLIN = "Europe/Berlin"
HALF_HOUR = 1800 * SECOND
NOTHING = Switches()


def word(what: What, incident: str = "", **more: Any) -> Word:
    return Word(what, "ada", "because", NOW, incident, **more)


def approval(incident: str = "inc-1", **more: Any) -> Word:
    return word("approve", incident, **{"until_ns": NOW + HALF_HOUR, **more})


def told(*several: Word, notes: dict[str, str] | None = None, now_ns: int = NOW) -> Switches:
    found = Words()
    for each in several:
        found = said(found, each)
    return joined(merged(found, notes or {}, {}), notes or {}, NOTHING, now_ns)


def test_pause_lasts_until_resumed_and_tells_who_and_why() -> None:
    assert told(word("pause"), now_ns=NOW + 10**18).paused == "paused by ada at 2023-11-14 22:13 UTC: because"
    assert told(word("pause"), word("resume")) == NOTHING


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("true", True),
        ("True", True),
        ("yes", True),
        ("ture", True),
        ("false", False),
        (" No ", False),
        ("", False),
    ],
)
def test_the_config_map_pauses_by_any_word_but_no(value: str, held: bool) -> None:
    notes = {"paused": value, "reason": "we change the switch", "by": "bob"}
    found = told(notes=notes).paused
    assert found == ("paused by bob in the ConfigMap: we change the switch" if held else "")


def test_resuming_here_does_not_resume_what_is_paused_elsewhere() -> None:
    assert "in the ConfigMap" in told(word("pause"), word("resume"), notes={"paused": "true"}).paused


def test_an_approval_counts_for_its_time_and_no_longer() -> None:
    early = NOW - AHEAD_NS - 1
    for at, counts in (
        (early, False),
        (early + 1, True),
        (NOW, True),
        (NOW + HALF_HOUR - 1, True),
        (NOW + HALF_HOUR, False),
    ):
        assert bool(told(approval(), now_ns=at).approved) == counts
    assert told(approval(verb="drain")).approved.keys() == {("inc-1", "drain")}


def test_the_last_word_on_an_incident_counts() -> None:
    both = told(approval(), word("veto", "inc-1"))
    assert (list(both.vetoed), both.approved) == (["inc-1"], {})
    taken_back = told(word("veto", "inc-1"), approval())
    assert (taken_back.vetoed, list(taken_back.approved)) == ({}, [("inc-1", "")])


def test_a_veto_beats_the_annotation_of_a_node() -> None:
    here = said(Words(), approval(node="uid-a0"))
    assert joined(said(here, word("veto", "inc-1")), {}, NOTHING, NOW).approved == {}


def test_words_end_with_their_incident() -> None:
    found = Words()
    for each in (word("pause"), word("veto", "inc-1"), word("veto", "inc-2", late=True), approval("inc-3")):
        found = said(found, each)
    assert kept(found, {"inc-1", "inc-2", "inc-3"}, set()) == found
    later = kept(found, set(), {"inc-1", "inc-2", "inc-3"})
    assert (list(later.vetoes), [key.incident for key in later.approvals]) == (["inc-2"], ["inc-3"])
    assert kept(found, set(), set()).all() == [word("pause")]


def node(name: str = "a0", **notes: str) -> Node:
    return Node(name, f"uid-{name}", annotations={APPROVE: notes["approve"]} if notes else {})


def test_an_annotation_counts_from_when_it_was_first_seen_and_never_anew() -> None:
    marked, active = [node(approve="inc-1")], {"inc-1"}
    first = annotated(Words(), marked, active, HALF_HOUR, NOW)
    assert (
        joined(first, {}, NOTHING, NOW)
        .approved[("inc-1", "")]
        .startswith("approved by an annotation of node a0")
    )
    later = annotated(first, marked, active, HALF_HOUR, NOW + 10 * HALF_HOUR)
    assert later == first
    assert joined(later, {}, NOTHING, NOW + 10 * HALF_HOUR).approved == {}
    gone = annotated(later, [node()], active, HALF_HOUR, NOW + 10 * HALF_HOUR)
    assert gone == Words()
    again = annotated(gone, marked, active, HALF_HOUR, NOW + 11 * HALF_HOUR)
    assert joined(again, {}, NOTHING, NOW + 11 * HALF_HOUR).approved


def test_only_an_incident_that_lasts_is_approved_by_annotation() -> None:
    for text in ("inc-2", "*", ""):
        assert annotated(Words(), [node(approve=text)], {"inc-1"}, HALF_HOUR, NOW) == Words()


def test_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST", 3)
    crowd = [node(f"n{n}", approve="inc-1") for n in range(9)]
    assert len(annotated(Words(), crowd, {"inc-1"}, HALF_HOUR, NOW).approvals) == 3


@given(st.text())
def test_what_people_write_becomes_one_printable_bounded_line(text: str) -> None:
    found = short(text)
    assert found.isprintable()
    assert len(found) <= words.LONGEST


@given(
    st.lists(
        st.tuples(st.sampled_from(["pause", "resume", "approve", "veto"]), st.sampled_from("ab")), max_size=12
    )
)
def test_whatever_was_said_nothing_vetoed_is_approved(several: list[tuple[What, str]]) -> None:
    found = Words()
    for what, incident in several:
        found = said(found, word(what, incident, until_ns=NOW + 1))
        last = {name: each for each, name in several}
    state = joined(found, {}, NOTHING, NOW)
    assert not {incident for incident, _ in state.approved} & state.vetoed.keys()
    if several and several[-1][0] == "veto":
        assert several[-1][1] in state.vetoed
        assert last


# -- words that replicas share


def seen(*several: Word) -> dict[str, str]:
    """The ConfigMap after words that were said to another replica."""
    return {key: text for each in several for key, text in noted(each).items()}


def later(what: What, by_s: int, **more: Any) -> Word:
    made = approval(**more) if what == "approve" else word(what, "inc-1", **more)
    return made._replace(at_ns=NOW + by_s * SECOND)


def test_what_is_said_to_one_replica_is_known_to_all() -> None:
    there = told(notes=seen(word("veto", "inc-1"), approval("inc-2", verb="drain")))
    assert there.vetoed == told(word("veto", "inc-1")).vetoed
    assert there.approved == told(approval("inc-2", verb="drain")).approved
    assert seen(word("pause"))["paused"] == "true"
    assert told(notes=seen(word("pause"), word("resume"))).paused == ""


@pytest.mark.parametrize(
    ("here", "there", "vetoed"),
    [
        (later("veto", 1), later("approve", 2), False),
        (later("veto", 2), later("approve", 1), True),
        (later("approve", 1), later("veto", 2), True),
        (later("approve", 2), later("veto", 1), False),
        (later("approve", 1), later("veto", 1), True),
        (later("veto", 1), later("approve", 1), True),
    ],
)
def test_whoever_heard_it_the_last_word_counts_and_of_two_the_veto(
    here: Word, there: Word, vetoed: bool
) -> None:
    found = told(here, notes=seen(there), now_ns=NOW + 3 * SECOND)
    assert (bool(found.vetoed), bool(found.approved)) == (vetoed, not vetoed)


def test_an_annotation_takes_no_veto_back_wherever_that_was_said() -> None:
    approved = said(Words(), approval(node="uid-a0")._replace(at_ns=NOW + 2))
    found = joined(merged(approved, seen(later("veto", 1)), {}), {}, NOTHING, NOW + 3)
    assert (list(found.vetoed), found.approved) == (["inc-1"], {})
    kept_on = joined(merged(approved, seen(word("veto", "inc-2")), {}), {}, NOTHING, NOW + 3)
    assert list(kept_on.approved) == [("inc-1", "")]


def test_a_veto_that_somebody_typed_counts_until_it_is_taken_away() -> None:
    notes = {"veto.inc-1": "please don't"}
    assert told(approval(), notes=notes, now_ns=NOW + 1).vetoed == {"inc-1": "by the ConfigMap: please don't"}


note_keys = st.one_of(st.text(max_size=20), st.sampled_from(["veto.inc-1", "approve.inc-1"]))
note_texts = st.one_of(st.text(max_size=40), st.sampled_from(['{"at_ns": 1e999}', "[]", "{}"]))


@given(st.dictionaries(note_keys, note_texts))
def test_whatever_stands_in_the_config_map_approves_nothing_by_mistake(notes: dict[str, str]) -> None:
    assert told(notes=notes).approved == {}


def test_what_is_over_is_taken_out_of_the_config_map() -> None:
    place = ("site", "a", "a0")
    said_of = [word("veto", "inc-1"), approval("inc-2", verb="drain"), word("veto", "inc-3"),
               word("veto", "inc-4", place=place)]  # fmt: skip
    notes = {**seen(*said_of), "paused": "true", "mine": "x", "veto.inc-5": "please don't"}
    active = {"inc-1": Here(("", "", ""), NOW), "ours": Here(place, NOW)}
    assert outdated(notes, active, {"inc-3"}, NOW + HALF_HOUR) == []
    assert outdated(notes, active, {"inc-3"}, NOW + 3 * HALF_HOUR) == ["approve.inc-2.drain"]


# -- maintenance windows


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp()) * SECOND


NIGHT = Window(start="22:00", end="04:00", days=("fri",), timezone=BERLIN)


@pytest.mark.parametrize(
    ("moment", "is_in"),
    [
        ("2026-11-27T21:59", False),
        ("2026-11-27T22:00", True),
        ("2026-11-28T03:59", True),
        ("2026-11-28T04:00", False),
        ("2026-11-27T03:00", False),
        ("2026-11-28T23:00", False),
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(moment: str, is_in: bool) -> None:
    assert inside(NIGHT, at(moment)) == is_in


def test_a_change_of_clocks_leaves_an_hour_out_or_has_it_twice() -> None:
    early = Window(start="02:00", end="03:00", timezone=BERLIN)
    spring = at("2026-03-29T00:00")
    assert not any(inside(early, spring + minute * 60 * SECOND) for minute in range(23 * 60))
    autumn = at("2026-10-25T00:00")
    assert sum(inside(early, autumn + minute * 60 * SECOND) for minute in range(25 * 60)) == 120
    across = Window(start="22:00", end="06:00", timezone=BERLIN)
    evening = at("2026-10-24T12:00")
    assert sum(inside(across, evening + minute * 60 * SECOND) for minute in range(24 * 60)) == 9 * 60


def test_nothing_is_done_outside_those_that_allow_or_inside_those_that_forbid() -> None:
    freeze = Window(start="00:00", end="24:00", days=("sun",), timezone=BERLIN, allow="outside", zones=("b",))
    night, sunday = at("2026-11-27T23:00"), at("2026-11-29T12:00")
    assert window_of([], "a", sunday) == ("allowed", "no maintenance window is set")
    assert window_of([NIGHT], "a", night)[0] == "allowed"
    verdict, why = window_of([NIGHT], "a", sunday)
    assert (verdict, why) == (
        "held", "outside the maintenance windows; the next opens Fri 2026-12-04 22:00 Europe/Berlin",
    )  # fmt: skip
    assert window_of([freeze], "a", sunday)[0] == "allowed"
    assert window_of([freeze], "b", sunday) == ("held", f"nothing is done in {freeze.text()}")
    assert window_of([freeze, replace(freeze, zones=(), allow="inside")], "b", sunday)[0] == "held"


times = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
windows = st.builds(
    Window, start=times, end=times, days=st.lists(st.sampled_from(DAYS), min_size=1).map(tuple),
    timezone=st.sampled_from(["UTC", BERLIN, "America/St_Johns", "Pacific/Apia"]),
)  # fmt: skip


@given(windows, st.integers(0, 4 * 10**9))
def test_a_window_that_forbids_is_the_opposite_of_one_that_allows(window: Window, now_s: int) -> None:
    if window.start == window.end:
        return
    allowed = window_of([window], "a", now_s * SECOND)[0] == "allowed"
    forbidden = window_of([replace(window, allow="outside")], "a", now_s * SECOND)[0] == "held"
    assert allowed == forbidden == inside(window, now_s * SECOND)


def test_what_is_wrong_with_a_window_is_told_with_its_place() -> None:
    wrong = [
        Window(start="22:00", end="22:00"),
        Window(start="22:00", end="23:00", timezone="Mars/Olympus", days=()),
    ]
    assert dict(problems(wrong)).keys() == {"windows[0].end", "windows[1].timezone", "windows[1].days"}
    assert not list(problems([NIGHT]))


def test_the_key_of_an_approval_is_the_incident_the_verb_and_who() -> None:
    found = said(said(Words(), approval(verb="drain")), approval(verb="failover", node="uid-a0"))
    assert set(found.approvals) == {Key("inc-1", "drain", ""), Key("inc-1", "failover", "uid-a0")}
    assert Settings().approve == ("drain", "release", "failover")
