"""Clues of a recording in a window of time: metrics by our detectors, logs and traces by `changes`."""

from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy import ours
from benchmarks.accuracy.data import MINUTE, Node
from benchmarks.rca_counts import INTERVAL_NS, PER_OCTAVE, Counts, Table, counts, members, place
from benchmarks.rca_data import Day
from edgeobs.causes import Clue, Member, Settings
from edgeobs.causes.changes import changes, usual
from edgeobs.causes.contrast import due, slow
from edgeobs.signals import Bools, Floats, Resource

METRICS_NS = 5 * MINUTE
"""After the beginning: what metrics of a minute tell trails by one or two (as in `accuracy`)."""
COUNTS_NS = 3 * MINUTE
"""After the beginning: Nezha's faults last about so long."""


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a day tells, scored and counted once, strictly in order of time."""

    day: Day
    scored: list[
        tuple[Resource, Node, Floats, Floats]
    ]  # pods, then nodes: score [n] and share [n, D] of each tick
    counts: Counts
    members: list[Member]


def record(day: Day) -> Recording:
    """Score all metrics as whole pods and whole nodes, and count all logs and spans."""
    places = [place(day, pod.name) for pod in day.pods] + [Resource(node=host.name) for host in day.hosts]
    whole = [*day.pods, *day.hosts]
    scores = ours.score_nodes(whole)
    scored = [
        (at, node, score, share) for at, node, (score, share) in zip(places, whole, scores, strict=True)
    ]
    return Recording(day, scored, counts(day), members(day))


def clues(recording: Recording, begin_ns: int, end_ns: int, calm: Bools, settings: Settings) -> list[Clue]:
    """All that is surprising from ``begin_ns`` on, as known at ``end_ns``; ``calm`` [B] as of `usual`."""
    return [
        *_metrics(recording, begin_ns, min(begin_ns + METRICS_NS, end_ns), settings),
        *_changes(recording.counts, begin_ns, min(begin_ns + COUNTS_NS, end_ns), calm, settings),
    ]


def _metrics(recording: Recording, begin_ns: int, end_ns: int, settings: Settings) -> list[Clue]:
    found = []
    for at, node, score, share in recording.scored:
        rows = np.flatnonzero((node.time_ns > begin_ns) & (node.time_ns <= end_ns))
        if not len(rows):
            continue
        top = rows[np.argmax(score[rows])]
        left = float(score[top] - np.log10(len(rows)))
        if left > 0:
            onset = int(node.time_ns[rows[np.argmax(score[rows] >= min(settings.floor, left))]])
            names = ", ".join(node.metrics[i] for i in np.argsort(-share[top])[:2])
            found.append(Clue(at, "metric", f"unlike itself, most in {names}", onset, left))
    return found


def _changes(counted: Counts, begin_ns: int, end_ns: int, calm: Bools, settings: Settings) -> list[Clue]:
    begins, ends = counted.begins_ns, counted.begins_ns + INTERVAL_NS
    during = (begins >= begin_ns) & (ends <= end_ns)
    before = usual(ends, calm, begin_ns, settings)
    if not during.any() or not before.any():
        return []
    near = before | during
    found: list[Clue] = []
    for table in counted.tables:
        count, exposure = _exposed(table, counted, near, before[near], settings)
        found += changes(table.series, count, exposure, begins[near], before[near], during[near])
    return found


def _exposed(
    table: Table, counted: Counts, near: Bools, before: Bools, settings: Settings
) -> tuple[Floats, Floats]:
    """[S, intervals that are near] twice: how often, and out of how many times."""
    count = table.count[:, near]
    if count.ndim == 3:
        margin = round(np.log2(settings.slow_factor) * PER_OCTAVE)
        return slow(count, before, settings.slow_share, margin)
    exposure = np.zeros(count.shape)
    for whose, rows in _by_place(table).items():
        if whose in counted.requests:
            parts = [counted.requests[whose]]
            if table.series[rows[0]].signal == "log" and whose in counted.asked:
                parts.append(counted.asked[whose])
            exposure[rows] = due(count[rows], np.concatenate(parts)[:, near], before)
    return count, exposure


def _by_place(table: Table) -> dict[Resource, list[int]]:
    found: dict[Resource, list[int]] = {}
    for row, series in enumerate(table.series):
        found.setdefault(series.place, []).append(row)
    return found
