"""A node short of processor and memory: prefer other nodes for new work."""

import re

from edgeobs.remediate.policies.base import action, falling, naming, rising
from edgeobs.signals import SECOND, Action, Evidence, Incident

WAIT_NS = 5 * SECOND
"""A burst shorter than this is nobody's business."""

TAINT = "edgeobs.io/pressure=true:PreferNoSchedule"

_CPU = re.compile(r"(?i)(?:^|_)(?:cpu|load)")
_MEMORY = re.compile(r"(?i)(?:^|_)(?:memory|mem|swap|paging)")
_PRESSURE = re.compile(r"(?i)pressure")
_SPARE = re.compile(r"(?i)idle|available|swap_?free")
# What moves without a shortage: work that gives way to other work, memory that is given back when asked for.
_NEITHER = re.compile(r"(?i)nice|free|cached|buffers")


def resource_pressure(incident: Incident, now_ns: int) -> list[Action]:
    """Taint when processor and memory are both busier than usual, for the wait at least."""
    if incident.scope != "node" or now_ns - incident.opened_ns < WAIT_NS:
        return []
    found: dict[str, Evidence] = {}
    for each in incident.evidence:
        part = _part(each)
        if part and part not in found and not each.calm and _busier(each):
            found[part] = each
    if len(found) < 2:
        return []
    reason = f"it is short of processor and memory: {naming(found)}"
    return [action("resource_pressure", "taint", incident, (("/spec/taints/-", TAINT),), reason)]


def _part(evidence: Evidence) -> str:
    if _PRESSURE.search(evidence.name):
        labels = {value for _, value in evidence.labels}
        return next((part for part in ("cpu", "memory") if part in labels), "")
    if _CPU.search(evidence.name):
        return "cpu"
    return "memory" if _MEMORY.search(evidence.name) else ""


def _busier(evidence: Evidence) -> bool:
    words = " ".join((evidence.name, *(value for _, value in evidence.labels)))
    if _SPARE.search(words):
        return falling(evidence)
    return rising(evidence) and not _NEITHER.search(words)
