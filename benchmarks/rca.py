"""Which pod is the cause: Nezha's recordings, with metrics, logs and traces, and with metrics alone.

Given the fault's time, what is surprising in the minutes after is ranked; what was usual is told by the calm
before, strictly prequential, earlier faults left out. Found ourselves, a recording is looked at as time goes
by, incidents are opened at one threshold, and of those that are open in the five minutes after a fault the
strongest must name the pod.

Beside it, on the same clues: the pod with the one most surprising clue (max score), fewer signals, and no
service graph. The published figures are given the time and all three signals (Yu et al., "Nezha:
Interpretable Fine-Grained Root Causes Analysis for Microservices on Multi-modal Observability Data", ESEC/FSE
2023).
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.causes import LEAST_PAST
from benchmarks.accuracy.data import MINUTE, Fault, NoDataError
from benchmarks.measure import Measure
from benchmarks.rca_clues import Recording, clues, record
from benchmarks.rca_data import DAYS, Day, load
from benchmarks.rca_found import Incident, incidents
from edgeobs.causes import Cause, Clue, Settings, rank
from edgeobs.causes.happened import Span
from edgeobs.signals import SECOND

PUBLISHED = {"TrainTicket": 0.867, "OnlineBoutique": 0.929}
FLOOR = 0.36
"""Faulty pod first by metrics alone, a running z-score, as measured on OnlineBoutique."""
STEP_NS, QUICK_STEP_NS = 30 * SECOND, 2 * MINUTE
AFTER_NS = 5 * MINUTE
"""An incident is a fault's if it is open at any time so long after it."""
LASTS_NS = 3 * MINUTE
"""About so long Nezha's faults last."""
NOWHERE = 1_000_000
_END = 1 << 62

Ranking = Callable[[Sequence[Clue]], list[str]]
"""Clues → pods, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of every fault that counts, the rank of its pod by each way; `NOWHERE` where it is in no list."""

    name: str
    faults: list[Fault]
    ranks: dict[str, list[int]]
    first: list[str]  # what came first by ours, whatever it is, with the reason
    others: int  # incidents that were found and are no fault's
    hours: float

    def top(self, way: str, most: int) -> float:
        """Share of faults whose pod is among the first ``most``."""
        return float(np.mean(np.array(self.ranks[way]) <= most))


def run(quick: bool, data: Path | None) -> list[Measure]:
    """Both recordings; the tables go where messages go."""
    if data is None:
        print("rca: left out, no --data DIR was given", file=sys.stderr)
        return []
    found = []
    for name in DAYS:
        try:
            day = load(data, name)
        except NoDataError as error:
            print(f"rca: {error}", file=sys.stderr)
            raise SystemExit(2) from error
        judged = judge(record(day), QUICK_STEP_NS if quick else STEP_NS)
        print(table(judged), file=sys.stderr)
        found += _measures(judged, "nezha" if name == "TrainTicket" else f"nezha_{name.lower()}")
    return found


def judge(recording: Recording, step_ns: int, settings: Settings | None = None) -> Judged:
    """Rank every fault's causes by all ways."""
    settings = settings or Settings()
    day = recording.day
    faults = [fault for fault in day.faults if _known(recording, fault)]
    ways = _ways(recording, settings)
    ranks: dict[str, list[int]] = {way: [] for way in ways}
    strict, first = [], []
    for fault in faults:
        told = clues(recording, fault.time_ns, _END, _earlier(day, fault), settings)
        for way, ranking in ways.items():
            ranks[way].append(_rank(ranking(told), fault.node))
        causes = rank(told, recording.members, recording.counts.edges, settings)
        strict.append(_rank([each.name() for each in causes], fault.node))
        first.append(f"{causes[0].name()}: {causes[0].reason}" if causes else "nothing")
    opened = incidents(recording, step_ns, settings)
    own = [_open_after(fault, opened) for fault in faults]
    ranks["any kind"] = strict
    ranks["found"] = [
        _rank([each.causes[0].place.pod for each in open_], fault.node)
        for fault, open_ in zip(faults, own, strict=True)
    ]
    others = [each for each in opened if not any(each in open_ for open_ in own)]
    ends = [node.time_ns[-1] - node.time_ns[0] for _, node, _, _ in recording.scored]
    return Judged(day.name, faults, ranks, first, len(others), float(np.median(ends)) / (3600 * SECOND))


def _known(recording: Recording, fault: Fault) -> bool:
    """With metrics alone, a pod must have a past, as in `accuracy`; logs and traces need less."""
    if len(recording.counts.begins_ns):
        return True
    (pod,) = (pod for pod in recording.day.pods if pod.name == fault.node)
    return bool(np.sum(pod.time_ns <= fault.time_ns) >= LEAST_PAST)


def _earlier(day: Day, fault: Fault) -> list[Span]:
    """When earlier faults were."""
    return [(each.time_ns, each.time_ns + LASTS_NS) for each in day.faults if each.time_ns < fault.time_ns]


def _ways(recording: Recording, settings: Settings) -> dict[str, Ranking]:
    edges = recording.counts.edges

    def ours(told: Sequence[Clue], signals: str, *, graph: bool = True) -> list[str]:
        some = [clue for clue in told if clue.signal in signals.split()]
        return _pods(rank(some, recording.members, edges if graph else [], settings))

    ways: dict[str, Ranking] = {
        "ours": lambda told: ours(told, "metric log trace"),
        "max score": _by_max,
        "metrics": lambda told: ours(told, "metric"),
        "no graph": lambda told: ours(told, "metric log trace", graph=False),
    }
    if len(recording.counts.begins_ns):
        ways["logs"] = lambda told: ours(told, "log")
        ways["traces"] = lambda told: ours(told, "trace")
        ways["metrics, traces"] = lambda told: ours(told, "metric trace")
        ways["metrics, logs"] = lambda told: ours(told, "metric log")
    return ways


def _by_max(told: Sequence[Clue]) -> list[str]:
    """Pods by their one most surprising clue."""
    best: dict[str, float] = {}
    for clue in told:
        if clue.place.pod:
            best[clue.place.pod] = max(best.get(clue.place.pod, 0.0), clue.decades)
    return sorted(best, key=lambda pod: -best[pod])


def _pods(causes: Sequence[Cause]) -> list[str]:
    return [each.place.pod for each in causes if each.kind == "pod"]


def _rank(names: Sequence[str], wanted: str) -> int:
    return names.index(wanted) + 1 if wanted in names else NOWHERE


def _open_after(fault: Fault, opened: Sequence[Incident]) -> list[Incident]:
    """Incidents that have a reason in the minutes after a fault, the strongest first."""
    around = [x for x in opened if x.hot_ns >= fault.time_ns and x.opened_ns <= fault.time_ns + AFTER_NS]
    return sorted(around, key=lambda each: -each.causes[0].score)


def _measures(judged: Judged, name: str) -> list[Measure]:
    def share(figure: str, way: str, most: int, beside: str, ratio: float | None = None) -> Measure:
        return Measure(f"{name}_{figure}", judged.top(way, most), "share", beside, ratio)

    published, three = PUBLISHED[judged.name], "logs" in judged.ranks
    others = ", ".join(f"{way} {judged.top(way, 1):.3g}" for way in ("max score", "metrics", "no graph"))
    threes = ", ".join(f"{way} {judged.top(way, 3):.3g}" for way in ("max score", "metrics"))
    source = f"published {published}" + ("" if three else f" with three signals, running z {FLOOR}")
    hour = f"{judged.others} in {judged.hours:.3g} h"
    return [
        share("top1_given_time", "ours", 1, f"{source}; {others}", judged.top("ours", 1) / published),
        share("top3_given_time", "ours", 3, threes),
        share("first_given_time", "any kind", 1, "no node, link or other before the pod"),
        share("top1", "found", 1, "found ourselves; the time was not given"),
        share("top3", "found", 3, "found ourselves"),
        Measure(f"{name}_other_incidents", judged.others / judged.hours, "an hour", hour),
    ]


def table(judged: Judged) -> str:
    """Shares of faults whose pod is first, by kind of fault and way, and what was missed and why."""
    ways = list(judged.ranks)
    rows = [[f"{judged.name}: first", "faults", *ways]]
    kinds = sorted({fault.kind for fault in judged.faults})
    for kind in [*kinds, ""]:
        which = [i for i, fault in enumerate(judged.faults) if kind in ("", fault.kind)]
        shares = [f"{np.mean([judged.ranks[way][i] <= 1 for i in which]):.2f}" for way in ways]
        rows.append([kind or "all", str(len(which)), *shares])
    shares = [f"{judged.top(way, 3):.2f}" for way in ways]
    rows.append(["all, among three", str(len(judged.faults)), *shares])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for i, fault in enumerate(judged.faults):
        rank_of = judged.ranks["ours"][i]
        if rank_of > 1:
            place = "in no list" if rank_of == NOWHERE else f"number {rank_of}"
            lines.append(f"missed: {fault.kind} of {fault.node}, {place}; first was {judged.first[i][:160]}")
    return "\n".join(lines) + "\n"
