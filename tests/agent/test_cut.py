"""A link is cut for hours and comes back, and both ends are killed: real TCP between network namespaces."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgeobs.signals import SECOND, Counts
from edgeobs.uplink.inbox import Inbox
from tests.agent.far import FAULTY, SERIES, START_NS, STEP_S
from tests.waiting import wait

ROOT = Path(__file__).parents[2]
NODE_IP, CORE_IP, PORT = "10.213.77.1", "10.213.77.2", 4318
HOUR = 3600 // STEP_S  # steps


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@dataclass
class Network:
    """Two network namespaces with one cable."""

    node: str = field(default_factory=lambda: f"eo-node-{os.getpid()}")
    core: str = field(default_factory=lambda: f"eo-core-{os.getpid()}")

    def plug(self) -> None:
        ends = {self.node: NODE_IP, self.core: CORE_IP}
        for name in ends:
            ip("netns", "add", name)
        cable = ("link", "add", "up0", "netns", self.node, "type", "veth", "peer", "name", "up0")
        ip(*cable, "netns", self.core)
        for name, address in ends.items():
            ip("-n", name, "addr", "add", f"{address}/30", "dev", "up0")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "up0", "up")

    def link(self, state: str) -> None:
        ip("-n", self.core, "link", "set", "up0", state)

    def unplug(self) -> None:
        for name in (self.node, self.core):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=20)


class Program:
    """One of `tests.agent.far`, in a namespace."""

    def __init__(self, namespace: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.agent.far", *arguments],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._answer() == {"ready": True}

    def ask(self, *words: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture
def network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    found = Network()
    try:
        found.plug()
    except (OSError, subprocess.CalledProcessError) as error:
        found.unplug()
        pytest.skip(f"no network namespaces can be made here: {error}")
    yield found
    found.unplug()


class Site:
    """The node, the core, and what the core wrote down."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.at_node, self.at_core = folder / "node", folder / "core"
        for place in (self.at_node, self.at_core):
            place.mkdir()
            (place / "token").write_text("secret")
        self.set_clock(START_NS)
        self.start_core()
        self.start_node()

    def start_core(self) -> None:
        self.core = Program(self.network.core, "core", str(self.at_core), CORE_IP, str(PORT))

    def start_node(self) -> None:
        url = f"http://{CORE_IP}:{PORT}/api/v1/uplink"
        self.node = Program(self.network.node, "node", str(self.at_node), url)

    def set_clock(self, now_ns: int) -> None:
        new = self.at_core / "now.new"
        new.write_text(str(now_ns))
        new.replace(self.at_core / "now")

    def run(self, steps: int, faulty: bool = False) -> dict[str, Any]:
        answer = self.node.ask("run", steps, int(faulty))
        self.set_clock(answer["now_ns"])
        return answer

    def waiting(self) -> Counter[str]:
        return Counter(self.node.ask("waiting")["waiting"])

    def drained(self) -> bool:
        return not sum(self.waiting().values())

    def log(self) -> list[dict[str, Any]]:
        lines = (self.at_core / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def site(network: Network, tmp_path: Path) -> Iterator[Site]:
    found = Site(network, tmp_path)
    yield found
    found.node.kill()
    found.core.kill()


@pytest.mark.timeout(400)  # starts five processes, on a machine that may have much else to do
def test_a_cut_of_hours_loses_nothing_and_nothing_acts_on_what_comes_late(site: Site) -> None:
    site.run(HOUR)
    wait(site.drained, "what the node says arrives")
    before = len(site.log())

    site.network.link("down")
    site.run(HOUR)
    during = site.run(20, faulty=True)
    offline = set(during["incidents"])
    assert offline, "detection goes on while the link is cut"
    after = site.run(HOUR)
    assert all(after["incidents"][i][0] == "resolved" for i in offline)
    queued = site.waiting()
    assert queued["summary"] >= 24
    assert queued["incident"] == len(offline)
    assert len(site.log()) == before, "the link is really cut"

    site.network.link("up")
    wait(lambda: site.waiting()["incident"] == 0, "incidents arrive")
    assert site.waiting()["summary"], "and do not wait for the rest, which is paced"
    site.core.kill()
    site.start_core()
    wait(lambda: site.waiting()["summary"] < queued["summary"], "some summaries arrive")
    site.node.kill()
    site.start_node()
    wait(site.drained, "all arrives")
    site.run(60)
    wait(site.drained, "and it goes on")

    check_order(site.log())
    check_late(site.log()[before:], offline)
    inbox = Inbox(site.at_core / "inbox.sqlite", Counts())
    kept = {incident.id: incident for incident in inbox.incidents()}
    assert offline <= set(kept)
    for number in offline:
        assert kept[number].state == "resolved"
        assert len(kept[number].evidence) >= FAULTY
        assert all(len(e.points) >= 12 for e in kept[number].evidence if e.source == "series")
    assert [heard.missing for heard in inbox.heard()] == [0, 0]
    inbox.close()


def check_order(log: list[dict[str, Any]]) -> None:
    """Each series' summaries come in order and once; what was under way when the core died, perhaps twice."""
    told = [(name, time_ns) for line in log for name, time_ns in line.get("points", ())]
    again = {time_ns for (_, time_ns), times in Counter(told).items() if times > 1}
    assert len(again) <= 1
    names = {name for name, _ in told}
    assert len(names) == SERIES
    for name in names:
        times = [time_ns for other, time_ns in told if other == name]
        assert times == sorted(times)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) <= 2 * 300 * SECOND, "kill -9 lost at most the interval under way"


def check_late(log: list[dict[str, Any]], offline: set[str]) -> None:
    """What came late was scored, and nothing was made of it."""
    assert sum(line.get("late", 0) for line in log) >= 24 * SERIES // 2
    assert sum(line.get("scored", 0) for line in log) >= 24 * SERIES
    told = [number for line in log for number in line.get("alerts", ())]
    assert set(told) <= offline, "ends are told"
    assert not any("series" in line.get("opened", ()) for line in log)
