"""What comes next when an action did not help: one rung after the other, never two at a leap. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Le

from edgeobs.remediate.policies.base import CORDON, Patch
from edgeobs.signals import SECOND, Action, Verb

Step = Literal["notify", "annotate", "cordon", "taint", "reschedule", "drain", "release", "failover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of a ladder."""

    verb: Step
    """What is done."""

    after_s: Annotated[float, Ge(0), Le(86_400)] = 0.0
    """Time after the rung below was complete and did not help, seconds; 0: together with it."""


class Past(NamedTuple):
    """What has become of a rung for an incident."""

    done_ns: int  # when it was complete, or would have been; 0: not yet
    helped: bool | None  # None: not known yet, or it was dry


Asked = Callable[[str, Verb], Past]
"""Incident and verb → what has become of it."""

PATCHES: dict[Verb, Patch] = {
    "cordon": CORDON,
    "taint": (("/spec/taints/-", "edgeobs.io/pressure=true:PreferNoSchedule"),),
}
"""What people are shown of a verb: it goes through the API as such; the others are steps of their own."""

LADDERS: dict[str, tuple[Rung, ...]] = {
    "disk_failing": (
        Rung(verb="cordon"),
        Rung(verb="reschedule", after_s=300),
        Rung(verb="drain", after_s=900),
    ),
    "node_silent": (Rung(verb="cordon"), Rung(verb="release")),
    "resource_pressure": (Rung(verb="taint"), Rung(verb="reschedule", after_s=600)),
    "zone_dark": (Rung(verb="failover"),),
}
"""By policy, where the configuration names no other: first what keeps work off, then what moves it."""


def climb(found: Sequence[Action], rungs: Sequence[Rung], past: Asked, now_ns: int) -> list[Action]:
    """The rungs that an incident has come to, the lowest first.

    Parameters
    ----------
    found
        What the policy proposes: nothing, or one action that says on what and why.

    """
    if not found or not rungs:
        return list(found)
    reached: list[Action] = []
    for rung in rungs:
        if reached and rung.after_s and not _due(reached[-1], rung, past, now_ns):
            break
        reached.append(replace(found[0], verb=rung.verb, patch=PATCHES.get(rung.verb, ())))
    return reached


def _due(below: Action, rung: Rung, past: Asked, now_ns: int) -> bool:
    """Whether the rung below was given its time, and did not help."""
    said = past(below.incident, below.verb)
    if not said.done_ns or said.helped:
        return False
    return now_ns - said.done_ns >= rung.after_s * SECOND
