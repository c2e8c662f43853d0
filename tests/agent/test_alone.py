"""What the agent does alone: the budget, the record, what it watches and tells; in simulated time."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgeobs.agent.alone.deeds import Result
from edgeobs.agent.alone.journal import NAME, Journal
from edgeobs.agent.alone.story import NAME as STORY
from edgeobs.incidents import codec
from edgeobs.signals import SECOND, Resource
from edgeobs.web.answers import incident_detail
from tests.agent.alone_things import NODE, SETTINGS, Bench, make_evidence, make_incident


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.alone.close()


def test_what_is_on_the_list_is_restarted_once_watched_and_told(bench: Bench) -> None:
    bench.cut()
    bench.ill()
    bench.step()
    assert [did[:2] for did in bench.did] == [("restart_unit", "k3s-agent.service")]
    bench.step()
    assert bench.states == ["done"]
    bench.incidents["inc-1"] = replace(
        bench.incidents["inc-1"], evidence=(make_evidence(bench.now_ns, calm=True),)
    )
    bench.step(30)
    assert bench.states == ["helped"]
    told = bench.told[-1]
    assert "alone: restart of k3s-agent.service: it helped" in told.title
    story = told.evidence[-1]
    assert (story.name, dict(story.labels)["result"], story.weight) == (STORY, "helped", 0.0)
    assert "cut off for 10" in story.text
    assert "kubelet" in story.text
    again = codec.read_incident(*codec.write_incident(told))
    assert (again.title, again.evidence[-1].text) == (told.title, story.text)
    shown = json.loads(incident_detail(again).model_dump_json())
    assert shown["title"] == told.title, "as the core's API answers it"
    assert shown["evidence"][-1]["text"] == shown["evidence"][-1]["brief"] == story.text
    assert bench.counts["edgeobs_agent_actions_total", "restart_unit", "helped"] == 1
    assert len(bench.did) == 1


def test_what_did_not_help_is_not_tried_again_before_the_core_is_back(bench: Bench) -> None:
    bench.cut()
    for _ in range(5000):
        bench.ill()
        bench.step()
    assert bench.states == ["in_vain"]
    assert "nothing more is tried before the core is back" in bench.told[-1].title
    assert "once" in bench.rules()
    bench.silent_since_s = None
    bench.step()
    bench.cut()
    bench.ill()
    bench.step()
    assert len(bench.did) == 2, "the core was back, and the target has cooled down"


def test_another_thing_for_the_same_incident_is_not_tried_either(bench: Bench) -> None:
    bench.cut()
    bench.result = Result("failed", "status 1")
    for _ in range(10):
        bench.ill(make_evidence(bench.now_ns), make_evidence(bench.now_ns, "queue", 9.0))
        bench.step()
    assert len(bench.did) == 1
    assert bench.told[-1].title.endswith("it failed: status 1")


def test_a_target_cools_down_though_it_helped(bench: Bench) -> None:
    bench.cut()
    bench.ill()
    bench.step()
    bench.step()
    bench.resolve()
    bench.step()
    assert bench.states == ["helped"]
    assert bench.told[-1].state == "resolved", "what is over is not taken back by what is told of it later"
    for _ in range(1700):
        bench.ill(name="inc-2")
        bench.step()
    assert len(bench.did) == 1
    assert "cooldown" in bench.rules()
    for _ in range(200):
        bench.ill(name="inc-2")
        bench.step()
    assert len(bench.did) == 2


@pytest.mark.parametrize("ends", ["restart", "go on"])
def test_a_budget_is_spent_whatever_is_killed(bench: Bench, ends: str) -> None:
    bench.settings = replace(SETTINGS, cooldown_s=60, verify_s=1)
    bench.restart()
    bench.cut(1000)
    for number in range(3000):
        bench.ill(name=f"inc-{number // 100}")
        bench.incidents = dict(list(bench.incidents.items())[-1:])
        bench.result = Result("done")
        bench.step()
        if number % 50 == 7 and bench.states[-1:] == ["done"]:
            bench.resolve(next(iter(bench.incidents)))
        if ends == "restart" and number % 500 == 499:
            bench.restart()
            bench.cut(1000)
        if bench.silent_since_s is not None and number % 100 == 99:
            bench.silent_since_s = None
            bench.step()
            bench.cut(1000)
    assert len(bench.did) == 2


def test_kill_9_between_intent_and_result_is_told_as_unknown_and_not_repeated(bench: Bench) -> None:
    bench.hold = []
    bench.cut()
    bench.ill()
    bench.step()
    assert (bench.states, bench.did) == (["intended"], [])
    bench.restart()
    bench.cut(10_000)
    bench.step()
    assert bench.states == ["unknown"]
    assert "whether it was done is not known" in bench.told[-1].title
    for _ in range(4000):
        bench.ill()
        bench.step()
    assert bench.states == ["unknown"]
    assert bench.hold == []


def test_what_was_done_is_watched_on_after_a_restart(bench: Bench) -> None:
    bench.cut()
    bench.ill()
    bench.step()
    bench.step()
    bench.restart()
    assert bench.states == ["done"]
    for _ in range(130):
        bench.ill()
        bench.step()
    assert bench.states == ["in_vain"]


def test_an_incident_that_is_gone_after_a_restart_says_nothing_of_what_helped(bench: Bench) -> None:
    bench.cut()
    bench.ill()
    bench.step()
    bench.step()
    bench.incidents = {}
    bench.restart()
    bench.step()
    assert bench.states == ["unknown"]


def test_nothing_is_done_on_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no database at all" * 1000)
    bench = Bench(tmp_path)
    assert f"{NAME}: the file is no database" in bench.problems["alone"]
    bench.cut()
    for _ in range(100):
        bench.ill()
        bench.step()
    assert bench.did == []
    (tmp_path / NAME).unlink()
    for _ in range(20):
        bench.ill()
        bench.step()
    assert bench.rules() == {"cut_off"}, "of a new file it is not known whether the core ever answered"
    bench.silent_since_s = None
    bench.step()
    bench.cut()
    for _ in range(20):
        bench.ill()
        bench.step()
    assert bench.problems == {}
    assert len(bench.did) == 1
    bench.alone.close()


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("UPDATE deeds SET decision = '{}'", "a row cannot be read"),
        ("UPDATE deeds SET state = 'fine'", "a row cannot be read"),
        ("PRAGMA user_version = 9", "has schema version 9"),
    ],
)
def test_a_row_that_cannot_be_read_may_be_spent_budget(bench: Bench, damage: str, why: str) -> None:
    bench.cut()
    bench.ill()
    bench.step()
    bench.alone.close()
    other = sqlite3.connect(bench.folder / NAME)
    other.execute(damage)
    other.commit()
    other.close()
    bench.start()
    assert why in bench.problems["alone"]
    bench.ill(name="inc-2")
    bench.step(4000)
    assert len(bench.did) == 1


def test_nothing_is_done_that_cannot_be_written_down(bench: Bench) -> None:
    other = sqlite3.connect(bench.folder / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.cut()
    bench.ill()
    bench.step()
    assert bench.did == []
    assert "another process holds the file" in bench.problems["alone"]
    other.execute("ROLLBACK")
    other.close()
    for _ in range(15):
        bench.ill()
        bench.step()
    assert (len(bench.did), bench.problems) == (1, {})


def test_a_file_that_was_taken_away_is_not_written_to(bench: Bench) -> None:
    (bench.folder / NAME).rename(bench.folder / "away")
    bench.cut()
    bench.ill()
    bench.step()
    assert bench.did == []
    assert "the file was taken away" in bench.problems["alone"]


def test_a_result_that_cannot_be_written_down_holds_everything_else(bench: Bench) -> None:
    bench.hold = []
    bench.cut()
    bench.ill()
    bench.step()
    other = sqlite3.connect(bench.folder / NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bench.hold.pop()()
    bench.step()
    assert bench.states == ["done"]
    assert "alone" in bench.problems
    other.execute("ROLLBACK")
    other.close()
    bench.step(20)
    assert bench.problems == {}
    journal = Journal(bench.folder / NAME)
    assert [deed.state for deed in journal.read()[0]] == ["done"]
    journal.close()


def test_a_pod_is_named_with_its_namespace_and_only_one(bench: Bench) -> None:
    web = NODE._replace(namespace="shop", pod="web-1")
    bench.settings = replace(SETTINGS, units=())
    bench.restart()
    bench.cut()
    other = web._replace(pod="web-2")
    bench.ill(
        make_evidence(bench.now_ns, "queue", 9.0, whose=web),
        make_evidence(bench.now_ns, "queue", 8.0, whose=other),
    )
    bench.step()
    assert (bench.did, bench.rules()) == ([], {"one_pod"})
    bench.ill(make_evidence(bench.now_ns, "queue", 9.0, whose=web._replace(namespace="bank")))
    bench.step()
    bench.ill(make_evidence(bench.now_ns, "queue", 0.0, whose=web))
    bench.step()
    assert bench.did == [], "another namespace, and another direction"
    bench.ill(make_evidence(bench.now_ns, "queue", 9.0, whose=web))
    bench.step()
    assert [did[:2] for did in bench.did] == [("restart_pod", "shop/web-1")]


def clock_set(bench: Bench) -> None:
    bench.ahead_s = 7.0
    bench.ill()


def elsewhere(bench: Bench) -> None:
    bench.incidents["inc-1"] = make_incident(bench.now_ns, place=Resource("c1", "z1", "edge-2"))


HELD: dict[str, Callable[[Bench], None]] = {
    "cut_off": lambda bench: setattr(bench, "silent_since_s", None),
    "own_node": elsewhere,
    "fresh": lambda bench: bench.ill(make_evidence(bench.now_ns - 40 * SECOND)),
    "certain": lambda bench: bench.ill(make_evidence(bench.now_ns, score=8.0)),
    "clock": clock_set,
    "enabled": lambda bench: setattr(bench.alone, "settings", replace(SETTINGS, enabled=False)),
    "budget": lambda bench: setattr(bench.alone, "settings", replace(SETTINGS, most=0)),
    "paused": lambda bench: setattr(bench.alone, "_guard", replace(bench.alone._guard, pause=True)),
}


@pytest.mark.parametrize("rule", HELD)
def test_every_refusal_is_said_once_with_its_rule(
    rule: str, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgeobs.agent.alone")
    bench.cut()
    bench.step()
    bench.ill()
    HELD[rule](bench)
    for _ in range(3):
        bench.step()
    assert bench.did == []
    assert bench.rules() == {rule}
    said = [line for line in caplog.messages if line.endswith(f"({rule})")]
    assert len(said) == 1
    assert "k3s-agent.service" in said[0]


def test_an_incident_that_has_only_begun_is_not_certain(bench: Bench) -> None:
    bench.cut()
    bench.incidents["inc-1"] = make_incident(bench.now_ns, state="open")
    bench.step()
    assert (bench.did, bench.rules()) == ([], {"certain"})


def test_a_restart_with_a_clock_that_went_back_holds(bench: Bench) -> None:
    bench.settings = replace(SETTINGS, cooldown_s=60)
    bench.cut()
    bench.ill()
    bench.step()
    bench.ahead_s = -500.0
    bench.restart()
    bench.silent_since_s = None
    bench.step()
    bench.cut()
    for _ in range(290):
        bench.ill(name="inc-2")
        bench.step()
    assert len(bench.did) == 1
    for _ in range(20):
        bench.ill(name="inc-2")
        bench.step()
    assert len(bench.did) == 2


def test_a_core_that_has_never_answered_is_most_likely_misspelt(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.restart()
    bench.cut()
    bench.ill()
    bench.step()
    assert len(bench.did) == 1, "it did so before a restart"
    bench.alone.close()


def test_whatever_raises_nothing_is_done_and_the_agent_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cut()
    bench.ill()
    with monkeypatch.context() as patched:
        patched.setattr(bench.alone, "_silence", lambda: 1 / 0)
        bench.step()
    assert "ZeroDivisionError" in bench.problems["alone"]
    for _ in range(12):
        bench.ill()
        bench.step()
    assert (bench.problems, len(bench.did)) == ({}, 1)
