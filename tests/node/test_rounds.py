"""Deadlines: what hangs costs itself alone."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading
from edgeobs.node.rounds import AGAIN_S, Rounds
from edgeobs.node.sources.table import Source, sources
from edgeobs.node.timely import Lane, LateError, Timely
from tests.node.boards import Clock, host
from tests.waiting import wait

GOOD = Reading("good", "gauge", "1", 1)
SOON = 0.2
"""A deadline for what will not be met; what should be met has LONG."""
LONG = 30.0


def good(_: Host) -> Iterator[Reading]:
    yield GOOD


class Hanging:
    """A source that hangs until it is let go."""

    def __init__(self) -> None:
        self.go, self.entered = threading.Event(), 0

    def __call__(self, _: Host) -> Iterator[Reading]:
        self.entered += 1
        self.go.wait(60)
        yield Reading("late", "gauge", "1", self.entered)


def reasons(rounds: Rounds) -> dict[str, str]:
    return {name: answer.reason for name, answer in rounds.answers.items()}


def test_a_source_that_hangs_stalls_no_other(tmp_path: Path) -> None:
    hang = Hanging()
    table = {
        "a": Source(good, within_s=LONG),
        "b": Source(hang, within_s=SOON),
        "c": Source(good, within_s=LONG),
    }
    rounds, before = Rounds(host("riscv", tmp_path), table), threading.active_count()
    for _ in range(5):
        assert rounds.read() == [GOOD, GOOD]
        assert reasons(rounds) == {"a": "", "b": "slow", "c": ""}
    assert hang.entered == 1  # it is not begun again while it hangs
    assert threading.active_count() - before == 2
    assert rounds.failures == {"b": 1}
    hang.go.set()
    wait(lambda: len(rounds.read()) == 3, "it is read anew once it came back")
    assert hang.entered == 2  # and what came late was not told as if it were new
    assert reasons(rounds)["b"] == ""


def test_threads_that_were_left_behind_end(tmp_path: Path) -> None:
    hang = Hanging()
    before = threading.active_count()
    lane = Lane("left")
    rounds = Rounds(host("riscv", tmp_path), {"b": Source(hang, within_s=SOON)}, lane)
    rounds.read()
    hang.go.set()
    wait(lambda: threading.active_count() == before, "the thread ends with what it did")


def test_what_is_missing_has_a_reason_and_is_looked_for_again(tmp_path: Path) -> None:
    clock, errors = (
        Clock(),
        {"absent": MissingError("none"), "denied": PermissionError(), "unreadable": ValueError()},
    )
    errors |= {"gone": FileNotFoundError(), "broken": ZeroDivisionError()}
    asked: list[str] = []

    def failing(name: str) -> Source:
        def read(_: Host) -> Iterator[Reading]:
            asked.append(name)
            raise errors[name]

        return Source(read, within_s=LONG)

    rounds = Rounds(host("riscv", tmp_path, clock), {name: failing(name) for name in errors})
    assert rounds.read() == []
    want = {name: name for name in ("absent", "denied", "unreadable")} | {
        "gone": "absent",
        "broken": "unreadable",
    }
    assert reasons(rounds) == want
    own = [dict(r.attributes) for r in rounds.own() if r.name == "edgeobs.node.source.up" and r.value == 0]
    assert {each["source"]: each["reason"] for each in own} == want
    asked.clear()
    rounds.read()
    assert asked == ["unreadable", "broken"]  # the others are as they were
    clock.now += AGAIN_S
    asked.clear()
    rounds.read()
    assert asked == list(errors)
    assert rounds.failures == {"unreadable": 3, "broken": 3}


def test_sources_are_read_when_they_are_due_and_told_while_they_hold(tmp_path: Path) -> None:
    clock = Clock()
    table = {"often": Source(good, within_s=LONG), "seldom": Source(good, every_s=10, within_s=LONG)}
    rounds = Rounds(host("riscv", tmp_path, clock), table)
    news = []
    for _ in range(21):
        news.append(len(rounds.read()))
        clock.now += 1
    assert [at for at, count in enumerate(news) if count == 2] == [0, 10, 20]
    assert len(rounds.newest(1.0)) == 2
    clock.now += 5
    assert len(rounds.newest(1.0)) == 1  # the other has not been heard of for too long
    clock.now += 30
    assert rounds.newest(1.0) == []


def test_what_is_apart_is_waited_for_by_nobody(tmp_path: Path) -> None:
    clock, hang = Clock(), Hanging()
    table = {"apart": Source(hang, every_s=5, within_s=10, apart=True), "a": Source(good, within_s=LONG)}
    rounds = Rounds(host("riscv", tmp_path, clock), table)
    assert rounds.read() == [GOOD]
    assert reasons(rounds) == {"a": ""}  # the other has begun, and nothing is said of it yet
    clock.now += 11
    assert rounds.read() == [GOOD]
    assert reasons(rounds)["apart"] == "slow"
    hang.go.set()
    wait(lambda: len(rounds.read()) == 2, "it is told once it is done")
    assert reasons(rounds)["apart"] == ""
    assert hang.entered == 1
    clock.now += 5
    wait(lambda: len(rounds.read()) == 2, "it is due again")
    assert hang.entered == 2


def test_devices_over_the_bound_are_left_out_and_told(tmp_path: Path) -> None:
    def many(_: Host) -> Iterator[Reading]:
        for number in range(40):
            yield Reading("x", "gauge", "1", number, (("hw.id", str(number)),))

    rounds = Rounds(host("riscv", tmp_path), {"many": Source(many, within_s=LONG)})
    assert len(rounds.read()) == 16
    assert [r.value for r in rounds.own() if r.name == "edgeobs.node.left_out"] == [24]


def test_pods_have_a_bound_of_their_own(tmp_path: Path) -> None:
    def many(_: Host) -> Iterator[Reading]:
        for number in range(40):
            uid = ("k8s.pod.uid", str(number))
            yield Reading("x", "gauge", "1", number, (uid,))
            yield Reading("y", "gauge", "1", number, (uid, ("k8s.container.name", "c")))

    rounds = Rounds(host("riscv", tmp_path, pods_at_most=60), {"many": Source(many, within_s=LONG)})
    assert len(rounds.read()) == 60
    assert [r.value for r in rounds.own() if r.name == "edgeobs.node.left_out"] == [20]


def test_files_that_never_answer_cost_their_sources_alone(tmp_path: Path) -> None:
    """Pipes that nobody writes to, as a driver or server that hangs: no timeout ends such a read."""
    machine = host("server", tmp_path, within_s=2.0)
    pipes = [tmp_path / "proc/loadavg", tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"]
    for pipe in pipes:
        pipe.unlink()
        os.mkfifo(pipe)
    table = {name: each for name, each in sources().items() if not each.apart}
    before = threading.active_count()
    rounds = Rounds(machine, table)
    for _ in range(3):
        rounds.read()
        slow = {name for name, answer in rounds.answers.items() if answer.reason == "slow"}
        assert slow == {"load", "power"}
    assert {"cpu", "pods", "temperature"} <= {n for n, answer in rounds.answers.items() if answer.readings}
    assert threading.active_count() - before <= 4  # two that hang, one that reads, one for mounts
    for pipe in pipes:  # let them go
        with pipe.open("w") as writer:
            writer.write("1\n")


def test_timely_work_is_not_begun_again_while_it_hangs() -> None:
    go, begun = threading.Event(), 0

    def work() -> int:
        nonlocal begun
        begun += 1
        go.wait(60)
        return begun

    timely = Timely(Lane("timely"), SOON)
    for _ in range(3):
        with pytest.raises(LateError):
            timely.run("one", work)
    assert begun == 1
    timely.within_s = LONG
    assert timely.run("other", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        timely.run("wrong", lambda: 1 // 0)
    go.set()
    wait(lambda: timely.hanging["one"].done, "it came back")
    assert timely.run("one", work) == 2
