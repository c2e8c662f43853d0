"""From evidence to the API, and from a node's death to its pods' new life, on a real control plane.

The product runs as an operator runs it: a process of its own, under the permissions that are shipped. Beside
it Kubernetes alone, with its defaults, is given a dead node too.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Measure
from benchmarks.serving import Core
from edgeobs.remediate import Settings
from edgeobs.remediate.journal import NAME, Journal
from edgeobs.signals import SECOND
from tests.real.api import Api, Object, wait
from tests.real.control_plane import AS_SHIPPED, Account, ControlPlane, Timing
from tests.real.nodes import Nodes
from tests.real.parts import MissingPartsError, Parts, find
from tests.real.product import OPTED_IN, RBAC, WIDE, Cordons, deployment, product, running
from tests.real.site import Site

EVENTS, DEATHS, WATCHED_S = 200, 10, 60.0
QUICK = 20, 3, 20.0
WATCHED = 1000
EACH_S = 1.5  # between two events
PODS = 4  # of each dead node
ALONE_LAST_S = (
    354.0  # seen when it was last measured; by Kubernetes' defaults 50 + 300, and a look now and then
)
SHIPPED = Timing(calls=200)  # as shipped, but for how fast the controller manager takes up a thousand nodes
LIVE: dict[str, Any] = {"dry_run": False, "live": ["cordon", "release"], **WIDE}
FIRST = "first"  # its disk fails before all others: whoever has just begun to lead reads the cluster anew
POOL = "edgeobs.test/pool"
SPACE = "/api/v1/namespaces/default/pods"


def run(quick: bool) -> list[Measure]:
    """Everything on two control planes at most, one after the other but for what only waits."""
    try:
        parts = find()
    except MissingPartsError as missing:
        print(f"remediate: left out: {missing}", file=sys.stderr)
        return []
    events, deaths, watched_s = QUICK if quick else (EVENTS, DEATHS, WATCHED_S)
    with ExitStack() as stack:
        alone = None if quick else _alone(stack, parts)
        plane = stack.enter_context(ControlPlane(timing=SHIPPED, parts=parts))
        account = plane.account(RBAC)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeobs-bench-")))
        found = _act(plane, account, folder, events, deaths)
        found.append(_watch(plane, account, watched_s))
        if alone is None:
            print(
                f"remediate: --quick: Kubernetes alone not measured; last seen {ALONE_LAST_S:g} s",
                file=sys.stderr,
            )
        else:
            found.append(alone.measure())
    return found


@dataclass(slots=True)
class Death:
    """A node that dies: when, which pods it had, when all of these were given up."""

    node: str
    killed_s: float
    pods: frozenset[str]  # uids
    released_s: float = 0.0


@dataclass(slots=True)
class Deaths:
    """Looks until every dead node's pods are given up, and started elsewhere."""

    api: Api
    pods: int  # that run when all is well
    deaths: list[Death] = field(default_factory=list)
    elsewhere_s: float = 0.0

    def kill(self, nodes: Nodes, name: str) -> None:
        """End a node's kubelet, and remember what it ran."""
        here = frozenset(
            p["metadata"]["uid"] for p in self.api.items(SPACE) if p["spec"].get("nodeName") == name
        )
        if not here:
            raise RuntimeError(f"no pod runs on {name}")
        nodes.kill(name)
        self.deaths.append(Death(name, time.time(), here))

    def look(self) -> bool:
        """Whether all is over."""
        pods, now = self.api.items(SPACE), time.time()
        kept = {p["metadata"]["uid"] for p in pods if "deletionTimestamp" not in p["metadata"]}
        for death in self.deaths:
            if not death.released_s and not death.pods & kept:
                death.released_s = now
        if (
            all(death.released_s for death in self.deaths)
            and len(running(self.api, "default", "web")) >= self.pods
        ):
            self.elsewhere_s = now
        return bool(self.elsewhere_s)

    def took(self) -> list[float]:
        """From each death to its pods' release, seconds."""
        return [death.released_s - death.killed_s for death in self.deaths]


class Alone:
    """Kubernetes with its defaults and nothing else, and one of its nodes dead."""

    def __init__(self, plane: ControlPlane) -> None:
        nodes = Nodes(plane.api)
        names = nodes.fleet({"a": 2, "b": 1}, labels={POOL: "mortal"})
        self.deaths = _work(plane.api, names)
        self.deaths.kill(nodes, "a-1")
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        wait("Kubernetes gives a dead node's pods up", self.deaths.look, 600, 1.0)

    def measure(self) -> Measure:
        """When it is over."""
        self._thread.join(600)
        death = self.deaths.deaths[0]
        if not self.deaths.elsewhere_s:
            raise RuntimeError("Kubernetes alone did not give a dead node's pods up")
        running_s = self.deaths.elsewhere_s - death.killed_s
        return Measure(
            "kubernetes_alone_release_s", death.released_s - death.killed_s, "s",
            f"by its defaults: not ready after 50 s, 300 s more; running elsewhere after {running_s:.0f} s",
        )  # fmt: skip


def _alone(stack: ExitStack, parts: Parts) -> Alone:
    return Alone(stack.enter_context(ControlPlane(timing=AS_SHIPPED, parts=parts)))


def _work(api: Api, names: list[str]) -> Deaths:
    """Pods on all of these nodes, of a Deployment that opted in."""
    made = PODS * len(names)
    api.apply(deployment("web", "default", made, nodeSelector={POOL: "mortal"}))
    wait(f"{made} pods run", lambda: len(running(api, "default", "web")) >= made, 60)
    return Deaths(api, made)


def _act(plane: ControlPlane, account: Account, folder: Path, events: int, deaths: int) -> list[Measure]:
    """Nodes die while the site learns; then one disk after the other fails."""
    nodes = Nodes(plane.api)
    disks = {f"disk-{number}": f"site-{number}" for number in range(events)} | {FIRST: "site-first"}
    mortal = {f"mortal-{number}-{k}": f"mortal-{number}" for number in range(deaths) for k in range(3)}
    for name, zone in (disks | mortal).items():
        nodes.add(name, zone, OPTED_IN | ({POOL: "mortal"} if name in mortal else {}))
    nodes.wait_ready(list(disks | mortal), 120)
    dying = _work(plane.api, list(mortal))
    with (
        product(account, LIVE, folder, incidents={"max_active": 100_000}) as served,
        Cordons(plane) as cordons,
        Site(served.http_port, disks | mortal) as site,
    ):
        site.warm(60)
        for number in range(deaths):
            site.silence(f"mortal-{number}-0")
            dying.kill(nodes, f"mortal-{number}-0")
            time.sleep(EACH_S)
        looking = threading.Thread(target=wait, args=("all dead nodes are released", dying.look, 240, 0.2))
        looking.start()
        site.warm()
        _fail(site, cordons, [FIRST], 30)
        del disks[FIRST]
        _fail(site, cordons, list(disks), 10)
        looking.join()
        wait(
            "all is done", lambda: all(o["state"] != "working" for o in served.get("/api/v1/operations")), 20
        )
        decisions = served.get("/api/v1/decisions?limit=1000")
    return [
        *_cordoned(decisions, disks, site, cordons, _patched(folder), plane.audit(account.name)),
        _died(dying),
    ]


def _fail(site: Site, cordons: Cordons, names: list[str], within_s: float) -> None:
    for name in names:
        site.fail(name)
        time.sleep(EACH_S)
    until = time.monotonic() + within_s
    while not cordons.seen_s.keys() >= set(names) and time.monotonic() < until:
        time.sleep(0.05)


def _patched(folder: Path) -> dict[str, tuple[float, float]]:
    """Node → when its cordon was decided, and when the API had answered, by the journal; Unix seconds."""
    journal = Journal(folder / "data" / NAME, Settings(), read_only=True)
    found = {}
    try:
        for operation in journal.recent(10_000):
            answered = [e.at_ns for e in journal.story(operation.id) if e.kind == "answer"]
            if operation.action.verb == "cordon" and answered:
                found[operation.action.target.node] = (operation.begun_ns / SECOND, answered[0] / SECOND)
    finally:
        journal.close()
    return found


def _cordoned(
    decisions: list[Object],
    disks: Mapping[str, str],
    site: Site,
    cordons: Cordons,
    patched: Mapping[str, tuple[float, float]],
    audit: list[Object],
) -> list[Measure]:
    sent, audited = np.array(site.sent_s), _audited(audit)
    evidence, fault, decided, by_audit = [], [], [], []
    for each in decisions:
        name, at = each["action"]["target"]["node"], each["decided_s"]
        if name not in disks.keys() & patched.keys() & cordons.seen_s.keys() or each["verdict"] != "allowed":
            continue
        last = sent[np.searchsorted(sent, at) - 1]  # the request that carried the last of the evidence
        evidence.append(cordons.seen_s[name] - last)
        fault.append(cordons.seen_s[name] - site.failed_s[name])
        decided.append(patched[name][1] - patched[name][0])
        by_audit.append(audited[name] - at)
    if len(evidence) < 0.9 * len(disks):
        raise RuntimeError(f"{len(disks)} disks failed, {len(evidence)} nodes were cordoned")
    what = f"{len(evidence)} of {len(disks)} failing disks"
    return [
        Measure("evidence_to_cordon_p95_s", _p(evidence, 95), "s", f"{what}; {_spread(evidence, 's')}"),
        Measure("fault_to_cordon_p95_s", _p(fault, 95), "s", f"first bad sample; one each {site.period_s} s"),
        Measure(
            "decision_to_patch_p95_ms", 1e3 * _p(decided, 95), "ms",
            f"{_spread([1e3 * s for s in decided], 'ms')}; audit log p95 {1e3 * _p(by_audit, 95):.0f} ms",
        ),
    ]  # fmt: skip


def _audited(audit: list[Object]) -> dict[str, float]:
    """Node → when the API server was done with the first patch of it that it granted, Unix seconds."""
    found: dict[str, float] = {}
    for event in audit:
        of = event.get("objectRef", {})
        ours = event["verb"] == "patch" and of.get("resource") == "nodes" and "subresource" not in of
        if ours and event.get("responseStatus", {}).get("code") == 200:
            found.setdefault(of["name"], datetime.fromisoformat(event["stageTimestamp"]).timestamp())
    return found


def _died(dying: Deaths) -> Measure:
    took = dying.took()
    if min(took) < 0:
        raise RuntimeError("a dead node's pods were not released")
    elsewhere = dying.elsewhere_s - dying.deaths[-1].killed_s
    text = f"the longest of {len(took)}; {_spread(took, 's')}; Kubernetes alone {ALONE_LAST_S:g} s"
    return Measure(
        "dead_node_release_s", max(took), "s", f"{text}; all run elsewhere {elsewhere:.0f} s after the last",
        max(took) / ALONE_LAST_S,
    )  # fmt: skip


def _watch(plane: ControlPlane, account: Account, seconds: float) -> Measure:
    """What a core costs that watches a thousand nodes at rest; KWOK renews their Leases as kubelets do."""
    nodes = Nodes(plane.api)
    there = {each["metadata"]["name"] for each in plane.api.items("/api/v1/nodes")}
    more = [f"edge-{number}" for number in range(WATCHED - len(there))]
    for number, name in enumerate(more):
        nodes.add(name, f"zone-{number % 50}", OPTED_IN)
    nodes.wait_ready(more, 240)
    with product(account, LIVE) as served:
        wait("it leads and knows all nodes", lambda: _leads(served), 60, 0.5)
        time.sleep(10)
        before, began = served.cpu_s(), time.monotonic()
        time.sleep(seconds)
        core_percent = 100 * (served.cpu_s() - before) / (time.monotonic() - began)
        rss = served.rss_mib()
    text = f"{len(there) + len(more)} nodes, {WATCHED / 10:.0f} Lease renewals a second, {rss:.0f} MiB"
    return Measure("watch_core_percent", core_percent, "%", text)


def _leads(served: Core) -> bool:
    return not served.get("/api/v1/status").get("notices")


def _p(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _spread(values: list[float], unit: str) -> str:
    return f"p50 {_p(values, 50):.3g}, p99 {_p(values, 99):.3g}, max {max(values):.3g} {unit}"
