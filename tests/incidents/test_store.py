"""What is saved is found again; what cannot be saved says why, and leaves nothing half done."""

import os
import sqlite3
from dataclasses import replace
from math import isnan, nan
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeobs.incidents import Settings, codec
from edgeobs.incidents.store import LOOK_BACK_NS, Store, StoreError
from edgeobs.remediate import Settings as Remediate
from edgeobs.signals import (
    SECOND,
    Action,
    Check,
    Decision,
    Evidence,
    ExternalAlert,
    Incident,
    Outcome,
    Point,
    Resource,
    Verdict,
)

T = 1_700_000_000 * SECOND + 1
PLACE = Resource("site", "a", "a1")
POINT = Point(T, 1.5, 0.5, 1.0, 9.25)
EVIDENCE = Evidence(
    source="series", text='up{x="y"}', name="up", labels=(("x", "y"),), unit="s", onset_ns=T, last_ns=T,
    score=9.25, weight=1.0, value=1.5, expected=0.75, low=0.5, high=1.0,
    points=(POINT, POINT._replace(time_ns=T + 1)),
)  # fmt: skip
INCIDENT = Incident(
    "inc-1", "node", PLACE, "open", T, T, 0, 9.25, "t", (EVIDENCE, replace(EVIDENCE, points=()))
)
DECISION = Decision(
    "dec-1", Action("cordon", PLACE, (("/spec/unschedulable", "true"),), "r", "p", "inc-1"), "held",
    "zone_hold", "dark", (Check("zone_hold", "held", "dark"),), True, T,
)  # fmt: skip
ALERT = ExternalAlert("f1", "firing", PLACE, "Hot", "it is hot", T, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edgeobs.sqlite"


def test_a_restart_finds_everything_and_nothing_twice(path: Path) -> None:
    store = Store(path)
    outcome = Outcome("dec-1", False, "dry-run", T)
    for _ in range(2):
        store.save([INCIDENT], [DECISION], [outcome])
    store.save([replace(INCIDENT, state="ongoing")])
    store.close()
    again = Store(path)
    assert again.incidents() == [replace(INCIDENT, state="ongoing")]
    assert again.decisions() == [DECISION]
    assert again.outcomes() == [outcome]
    again.close()


def test_kill_without_close_loses_nothing(path: Path) -> None:
    store = Store(path)
    store.save([INCIDENT], [DECISION])
    other = Store(path)  # the first still holds its log, as after kill -9
    assert other.incidents(active=True) == [INCIDENT]
    assert other.incidents(active=False) == []
    other.close()
    store.close()


def test_an_alert_is_taken_once(path: Path) -> None:
    store = Store(path)
    resolved = ALERT._replace(status="resolved", ends_ns=T + 5)
    assert store.take_alerts([ALERT, ALERT]) == [ALERT]
    assert store.take_alerts([ALERT, resolved]) == [resolved]
    assert store.alerts() == [resolved]
    later = ALERT._replace(starts_ns=T + 9)
    assert store.take_alerts([later]) == [later]
    assert store.alerts() == [later]
    store.close()


def resolved(name: str, at_ns: int) -> Incident:
    return replace(
        INCIDENT, id=name, state="resolved", opened_ns=at_ns, updated_ns=at_ns, resolved_ns=at_ns, evidence=()
    )


def decided(name: str, incident: str, verdict: Verdict, at_s: int) -> Decision:
    action = replace(DECISION.action, incident=incident)
    when = T + at_s * SECOND
    return replace(
        DECISION, id=name, action=action, verdict=verdict, decided_ns=when, steady_ns=(at_s + 1) * SECOND
    )


def test_what_is_not_over_is_found_whatever_came_after(path: Path) -> None:
    store = Store(path)
    store.save([INCIDENT, *(resolved(f"done-{i}", T + i) for i in range(50))])
    assert [i.id for i in store.incidents(limit=2)] == ["inc-1", "done-48", "done-49"]
    assert [i.id for i in store.incidents(active=False, limit=1)] == ["done-49"]
    store.close()


def test_the_ledger_is_found_whatever_came_after(path: Path) -> None:
    store = Store(path)
    flight, pending = decided("flight", "inc-1", "allowed", 0), decided("held", "inc-2", "held", 1)
    old, lately = decided("old", "done", "allowed", 2), decided("lately", "done", "allowed", 9000)
    noise = [decided(f"noise-{i}", "done", "denied", 3 + i) for i in range(100)]
    store.save([INCIDENT, replace(INCIDENT, id="inc-2"), resolved("done", T)], [flight, pending, old])
    store.save([], [*noise, lately])
    assert store.ledger(3600 * SECOND) == [flight, pending, lately]
    assert old in store.ledger()
    store.close()


def test_what_budgets_look_back_to_is_kept_though_its_incident_is_gone(path: Path) -> None:
    store = Store(path, Settings(keep_incidents=1))
    week = LOOK_BACK_NS // SECOND
    store.save(
        [resolved("gone", T)],
        [decided("within", "gone", "allowed", 10), decided("beyond", "gone", "allowed", 0)],
    )
    for i in range(100):
        store.save([resolved(f"done-{i}", T + 1 + i)], [decided("newest", f"done-{i}", "allowed", week + 5)])
    assert [d.id for d in store.decisions()] == ["within", "newest"]
    store.close()


def test_no_cool_down_is_longer_than_what_is_kept() -> None:
    (bound,) = [each.le for each in get_args(get_args(remediate_cooldown())[0])[1:] if hasattr(each, "le")]
    assert bound * SECOND <= LOOK_BACK_NS


def remediate_cooldown() -> Any:
    return get_type_hints(Remediate, include_extras=True)["cooldown_s"]


def test_an_alert_of_one_place_says_nothing_of_another(path: Path) -> None:
    store = Store(path)
    forged = ALERT._replace(status="resolved", place=PLACE._replace(node="b9"), ends_ns=T + 1)
    assert store.take_alerts([forged]) == [forged]
    assert store.take_alerts([ALERT]) == [ALERT]
    for place in (PLACE._replace(cluster="other"), PLACE._replace(zone="b"), PLACE._replace(node="b9")):
        forged = ALERT._replace(place=place)
        assert store.take_alerts([forged]) == [forged]
    assert ALERT in store.alerts()
    end = ALERT._replace(status="resolved", ends_ns=T + 9)
    assert store.take_alerts([end]) == [end]
    assert end in store.alerts()
    assert ALERT not in store.alerts()
    store.close()


def test_a_date_that_no_row_can_hold_is_no_failure_of_the_store(path: Path) -> None:
    store = Store(path)
    with pytest.raises(ValueError, match="too large"):
        store.take_alerts([ALERT, ALERT._replace(starts_ns=2**70)])
    assert store.take_alerts([ALERT]) == [ALERT]  # nothing was done
    store.close()


def test_all_or_nothing(path: Path) -> None:
    store = Store(path)
    too_late = Outcome("dec-1", True, "", 2**70)  # more than a column holds
    with pytest.raises(ValueError, match="too large"):
        store.save([INCIDENT], [DECISION], [too_late])
    assert store.decisions() == []
    assert store.incidents() == []
    store.save([INCIDENT])
    store.close()


def test_a_full_disk_is_named_and_survived(path: Path) -> None:
    store = Store(path)
    store.save([INCIDENT])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    many = [replace(INCIDENT, id=f"many-{i}", title="x" * 5000) for i in range(20)]
    with pytest.raises(StoreError, match="the disk is full"):
        store.save(many)
    assert store.incidents() == [INCIDENT]
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.save(many)
    assert len(store.incidents()) == 21
    store.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no database, whatever it is called" * 100, "no database"),
        (None, "cannot be opened|cannot be written"),
    ],
)
def test_a_file_that_is_none_is_named(path: Path, content: bytes | None, reason: str) -> None:
    if content is None:
        path = path / "missing" / "edgeobs.sqlite"
    else:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=reason):
        Store(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(path: Path) -> None:
    Store(path).close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    with pytest.raises(StoreError, match=r"written|opened"):
        Store(path).save([INCIDENT])


def test_another_version_is_refused_with_what_to_do(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match=r"schema version 99, this edgeobs reads 1: run the version"):
        Store(path)


def test_a_foreign_database_is_refused(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE people (name TEXT)")
    db.close()
    with pytest.raises(StoreError, match="schema version 0"):
        Store(path)


def test_old_resolved_incidents_go_and_open_ones_stay(path: Path) -> None:
    store = Store(path, Settings(keep_incidents=5))
    store.save([INCIDENT], [DECISION])
    for i in range(200):
        done = replace(INCIDENT, id=f"done-{i}", state="resolved", updated_ns=T + i, resolved_ns=T + i)
        store.save([done])
    kept = store.incidents()
    assert INCIDENT in kept
    assert 5 <= len(kept) <= 5 + 100
    assert {i.id for i in kept if i.id != "inc-1"} >= {f"done-{i}" for i in range(196, 200)}
    store.close()


numbers = st.floats(width=64)
texts = st.text(max_size=20)
points = st.builds(Point, st.integers(0, 2**62), numbers, numbers, numbers, numbers)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(texts, st.lists(points, max_size=5), st.lists(st.tuples(texts, texts), max_size=3), numbers)
def test_codec_round_trip(text: str, plot: list[Point], labels: list[tuple[str, str]], value: float) -> None:
    evidence = replace(EVIDENCE, text=text, points=tuple(plot), labels=tuple(labels), value=value)
    incident = replace(INCIDENT, evidence=(evidence, EVIDENCE), title=text)
    assert repr(codec.read_incident(*codec.write_incident(incident))) == repr(incident)  # NaN is not itself


def test_unknown_values_survive() -> None:
    silent = replace(EVIDENCE, source="absence", value=nan, expected=nan, low=nan, high=nan, points=())
    (again,) = codec.read_incident(*codec.write_incident(replace(INCIDENT, evidence=(silent,)))).evidence
    assert isnan(again.value)
