"""Clues of a recording in a window of time: metrics by our detectors, logs and traces as a core does it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy import ours
from benchmarks.accuracy.data import MINUTE, Node
from benchmarks.rca_counts import Counts, counts, members, place
from benchmarks.rca_data import Day
from edgeobs.causes import Clue, Member, Settings
from edgeobs.causes.happened import Span, happened
from edgeobs.causes.merging import merged
from edgeobs.signals import Floats, Resource
from edgeobs.suspects import KNOWN_NS

METRICS_NS = 5 * MINUTE
"""After the beginning: what metrics of a minute tell trails by one or two (as in `accuracy`)."""


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


def clues(
    recording: Recording, begin_ns: int, end_ns: int, troubles: Sequence[Span] | None, settings: Settings
) -> list[Clue]:
    """All that is surprising from ``begin_ns`` on, as known at ``end_ns``.

    ``troubles`` are as of `happened`; None: logs and traces are not asked.
    """
    counts = recording.counts
    detected = _metrics(recording, begin_ns, min(begin_ns + METRICS_NS, end_ns), settings)
    if troubles is None:
        return detected
    changed = happened(counts.lines, counts.spans, begin_ns, end_ns - KNOWN_NS, troubles, settings)
    return merged(detected, changed, settings)


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
