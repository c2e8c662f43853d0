"""Verdicts that came and went between two looks: what is told of them. Pure.

One lost datagram is no broken name server, and a processor that is slowed for a second in every ten is not
well in the other nine. So a problem is told once it has lasted, and is over once it has been gone for a
while.
"""

from collections.abc import Mapping
from typing import NamedTuple

from edgeobs.node.health import Verdict
from edgeobs.node.settings import Health


class Settled(NamedTuple):
    """What is told; since when it is a problem without a break, and when it last was one; None: it is not."""

    told: Verdict
    since_s: float | None = None
    last_s: float | None = None


def settled(
    before: Mapping[str, Settled], verdicts: Mapping[str, Verdict], settings: Health, now_s: float
) -> dict[str, Settled]:
    """By condition type, as of now."""
    return {kind: _one(before.get(kind), verdict, settings, now_s) for kind, verdict in verdicts.items()}


def _one(before: Settled | None, verdict: Verdict, settings: Health, now_s: float) -> Settled:
    if verdict.status == "True":
        since = now_s if before is None or before.since_s is None else before.since_s
        lasted = now_s - since >= settings.confirm_s
        if lasted or (before is not None and before.told.status == "True"):
            return Settled(verdict, since, now_s)
        calm = before.told if before is not None else Verdict("Unknown", "NotConfirmed", "seen once")
        return Settled(calm, since, now_s)
    if before is None or before.told.status != "True" or before.last_s is None:
        return Settled(verdict)
    recent = now_s - before.last_s < settings.hold_s
    return Settled(before.told, None, before.last_s) if recent else Settled(verdict)
