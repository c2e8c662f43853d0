"""What policies share: their shape, and how they read evidence."""

from collections.abc import Callable, Iterable, Mapping
from re import Pattern

from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Action, Evidence, Incident, Verb

Policy = Callable[[Incident, int], list[Action]]
"""Incident and now (ns) → actions; pure, and none when the evidence is not what the policy is about."""

Patch = tuple[tuple[str, str], ...]

CORDON: Patch = (("/spec/unschedulable", "true"),)

_FRESH_NS = 5 * SECOND


def action(policy: str, verb: Verb, incident: Incident, patch: Patch, reason: str) -> Action:
    """An action on the place of an incident."""
    return Action(verb, incident.place, patch, reason, policy, incident.id)


def still_absent(evidence: Evidence, scope: str, now_ns: int) -> bool:
    """Whether this is the absence of a node or zone, and it was seen to hold within the last seconds.

    Evidence stays for a hold time after what is missing has come back.
    """
    absent = evidence.source == "absence" and evidence.name == scope and not evidence.calm
    return absent and now_ns - evidence.last_ns <= _FRESH_NS


def rising(evidence: Evidence) -> bool:
    """Whether it is above its expected range; a score alone does not say which way."""
    return evidence.source == "series" and evidence.value > evidence.high


def falling(evidence: Evidence) -> bool:
    """Whether it is below its expected range."""
    return evidence.source == "series" and evidence.value < evidence.low


def kinds(evidence: Iterable[Evidence], patterns: Mapping[str, Pattern[str]]) -> dict[str, Evidence]:
    """For each kind of series the likeliest evidence that rose and is not calm."""
    found: dict[str, Evidence] = {}
    for each in evidence:
        if each.calm or not rising(each):
            continue
        for kind, pattern in patterns.items():
            if kind not in found and pattern.search(each.name):
                found[kind] = each
    return found


def naming(found: Mapping[str, Evidence]) -> str:
    """``latency: system_disk_… (sda) at 0.4 s, expected 0.002 s; errors: …``."""
    parts = []
    for kind, each in found.items():
        seen, expected = quantity(each.value, each.unit), quantity(each.expected, each.unit)
        parts.append(f"{kind}: {each.brief()} at {seen}, expected {expected}")
    return "; ".join(parts)
