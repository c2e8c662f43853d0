"""A disk that fails: keep new work off its node."""

import re

from edgeobs.remediate.policies.base import CORDON, action, kinds, naming
from edgeobs.signals import Action, Incident

_DISK = r"(?i)(?:disk|nvme|block)\w*"
_KINDS = {
    "latency": re.compile(rf"{_DISK}_(?:latency|operation_time|io_time|(?:read|write)_time|await)"),
    "errors": re.compile(rf"{_DISK}_(?:io_)?errors"),
    "queue": re.compile(rf"{_DISK}_(?:pending|queue|io_now|inflight)"),
}


def disk_failing(incident: Incident, now_ns: int) -> list[Action]:  # noqa: ARG001  every policy has it
    """Cordon when a disk is slower or more queued than usual *and* answers with errors.

    A busy disk is slow and queued as well; only errors tell a bad one from a busy one.
    """
    if incident.scope != "node":
        return []
    found = kinds(incident.evidence, _KINDS)
    if "errors" not in found or len(found) < 2:
        return []
    reason = f"its disk is failing: {naming(found)}"
    return [action("disk_failing", "cordon", incident, CORDON, reason)]
