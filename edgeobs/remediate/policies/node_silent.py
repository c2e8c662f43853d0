"""A node that has gone silent, alone: keep new work off it, and start elsewhere what ran on it."""

from edgeobs.remediate.policies.base import CORDON, action, still_absent
from edgeobs.signals import SECOND, Action, Incident

WAIT_NS = 30 * SECOND
"""A reboot of a process, or the rest of the zone going dark as well, shows within this time."""

ALONE_NS = 20 * SECOND
"""So long it must be the incident of the node itself: a zone that comes back does so node by node."""


def node_silent(incident: Incident, now_ns: int) -> list[Action]:
    """Cordon once the node has been silent for the wait; the ladder says what else."""
    if incident.scope != "node" or now_ns - incident.opened_ns < ALONE_NS:
        return []
    for each in incident.evidence:
        silent_ns = now_ns - each.onset_ns
        if still_absent(each, "node", now_ns) and silent_ns >= WAIT_NS:
            reason = f"it has been silent for {silent_ns // SECOND} s: {each.text}"
            return [action("node_silent", "cordon", incident, CORDON, reason)]
    return []
