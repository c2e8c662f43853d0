"""Incidents of a recording that we find ourselves, looking at it as time goes by.

A look sees what is known by then and no more. An incident is of one place, the likeliest cause of a look;
where another is likelier at the next look, that is another incident. While it is young its causes are looked
for again, as a core does it: by all that is known since its first clue began.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.data import DAY, MINUTE
from benchmarks.rca_clues import METRICS_NS, Recording, clues
from edgeobs.causes import Cause, Clue, Settings, rank
from edgeobs.causes.happened import Span, calm
from edgeobs.inquiry import YOUNG_NS
from edgeobs.past import INTERVAL_NS
from edgeobs.signals import Resource

WINDOW_NS = 2 * MINUTE
"""How far back a look goes."""
FRESH_NS, FRESH = 10 * MINUTE, 6
"""So many intervals of the last minutes must have been calm: what begins anew is watched first."""
CALM_NS = 2 * MINUTE
"""After so long without a reason an incident is over."""


@dataclass(slots=True)
class Incident:
    """Of one place, and what was told of it when it was clearest."""

    place: Resource
    begin_ns: int  # when it is thought to have begun
    opened_ns: int
    hot_ns: int  # the last look that gave a reason
    causes: tuple[Cause, ...]


def incidents(recording: Recording, step_ns: int, settings: Settings) -> list[Incident]:
    """Look every ``step_ns``, and open where the likeliest cause reaches the threshold.

    The threshold is what promises one false incident a day, were all clues calibrated and all looks apart:
    log₁₀(members · looks a day) decades.
    """
    threshold = float(np.log10(len(recording.members) * DAY / step_ns))
    first = min(int(node.time_ns[0]) for _, node, _, _ in recording.scored)
    last = max(int(node.time_ns[-1]) for _, node, _, _ in recording.scored)
    found: list[Incident] = []
    for now in range(first, last + METRICS_NS, step_ns):
        told = clues(recording, now - WINDOW_NS, now, _troubles(recording, found, now), settings)
        causes = rank(told, recording.members, recording.counts.edges, settings)
        if causes and causes[0].score >= threshold:
            live = [x for x in found if x.place == causes[0].place and now - x.hot_ns <= CALM_NS]
            if live:
                live[0].hot_ns = now
                live[0].causes = _clearer(live[0].causes, causes)
            else:
                found.append(Incident(causes[0].place, _onset(told, now, settings), now, now, causes))
        for each in found:
            if now - each.opened_ns <= YOUNG_NS:
                each.causes = _clearer(each.causes, _again(recording, each, found, now, settings))
    return found


def _clearer(known: tuple[Cause, ...], found: tuple[Cause, ...]) -> tuple[Cause, ...]:
    return found if found and found[0].score > known[0].score else known


def _onset(told: Sequence[Clue], now: int, settings: Settings) -> int:
    """When it began: with the first of all clues, whose interval ended when it was told, as a core has it."""
    strong = [clue.onset_ns - INTERVAL_NS for clue in told if clue.decades >= settings.floor]
    return min(strong, default=now - WINDOW_NS)


def _again(
    recording: Recording, incident: Incident, found: Sequence[Incident], now: int, settings: Settings
) -> tuple[Cause, ...]:
    """The causes of an incident by all that is known by now since it began."""
    troubles = [(each.begin_ns, each.hot_ns + 1) for each in found if each.begin_ns < incident.begin_ns]
    told = clues(recording, incident.begin_ns, now, troubles, settings)
    return rank(told, recording.members, recording.counts.edges, settings)


def _troubles(recording: Recording, found: list[Incident], now: int) -> list[Span] | None:
    """When anything was known to be wrong; None where too few of the last minutes were calm."""
    begins = recording.counts.begins_ns
    troubles = [(each.begin_ns, each.hot_ns + 1) for each in found]
    fresh = calm(begins, troubles) & (begins >= now - FRESH_NS) & (begins + INTERVAL_NS <= now - WINDOW_NS)
    return troubles if fresh.sum() >= FRESH else None
