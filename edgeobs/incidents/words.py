"""An incident in one line, for people."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite

from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Evidence, Resource

_FAMILIES = {
    "disk": r"disk|block|nvme|iops",
    "filesystem": r"filesystem|inode",
    "memory": r"mem|swap|oom|paging",
    "CPU": r"cpu|load_?average|load1|load5|load15",
    "network": r"net|tcp|udp|packet|interface",
    "temperature": r"temp|thermal|fan",
    "pressure": r"pressure|psi|stall",
}
_COMPILED = {
    family: re.compile(rf"(?:^|[_.:])(?:{words})", re.IGNORECASE) for family, words in _FAMILIES.items()
}


def family(name: str) -> str:
    """Which part of a machine a metric's name points at; empty when it points at none."""
    return next((each for each, words in _COMPILED.items() if words.search(name)), "")


def clock(time_ns: int) -> str:
    """``12:01:07 UTC``."""
    return datetime.fromtimestamp(time_ns // SECOND, UTC).strftime("%H:%M:%S UTC")


def where(place: Resource) -> str:
    """``edge-17``, ``zone b``, ``cluster site-1``."""
    if place.node:
        return place.node
    return f"zone {place.zone}" if place.zone else f"cluster {place.cluster}".strip()


def title(place: Resource, evidence: Sequence[Evidence], nodes: int) -> str:
    """What is abnormal and the likeliest cause; ``evidence`` likeliest first, ``nodes`` how many it is of."""
    first = evidence[0]
    since = f"since {clock(first.onset_ns)}"
    if first.source == "absence":
        what = {"exporter": f"part of {where(place)} is", "node": f"{place.node or 'a node'} is"}
        return f"{what.get(first.name, where(place) + ' is')} silent: {first.text}, {since}"
    if first.source == "alert":
        return f"alert {first.name} on {where(place)}: {first.text}, {since}"
    if first.source == "joint":
        parts = ", ".join(f"{text} ({share:.0%})" for text, share in first.parts[:2])
        return f"{where(place)} as a whole is unlike itself: most of it {parts or 'unknown'}, {since}"
    if first.source == "sign":
        return f"{_whose(first, place)}: {first.text}{_rest(evidence)}, {since}"
    head = _head(place, evidence, nodes)
    seen = f"{quantity(first.value, first.unit)}"
    expected = _expected(first)
    return f"{head}: {first.brief()} {seen}{expected}{_rest(evidence)}, {since}"


def _rest(evidence: Sequence[Evidence]) -> str:
    more = len({each.text for each in evidence}) - 1
    return f", and {more} more" if more else ""


def _whose(first: Evidence, place: Resource) -> str:
    """``till-7 on edge-1``: the pod or workload that something is of, and where."""
    who = first.resource.pod or first.resource.workload
    return f"{who} on {where(place)}" if who else where(place)


def _head(place: Resource, evidence: Sequence[Evidence], nodes: int) -> str:
    if not place.node and nodes > 1:
        return f"{nodes} nodes of {where(place)} became abnormal together"
    if evidence[0].kind:
        return f"{_whose(evidence[0], place)} is abnormal"
    part = family(evidence[0].name)
    alike = {each.name for each in evidence if each.source == "series" and family(each.name) == part}
    if part == "disk" and len(alike) > 1 and any("error" in name for name in alike):
        return f"disk of {where(place)} is failing"
    if part in {"CPU", "memory", "pressure"}:
        return f"{where(place)} is under unusual load"
    return f"{part} of {where(place)} is abnormal" if part else f"{where(place)} is abnormal"


def _expected(first: Evidence) -> str:
    if not (isfinite(first.expected) and isfinite(first.high)):
        return ""
    spread = first.high - first.expected
    return f", expected {quantity(first.expected, first.unit)} ± {quantity(spread, first.unit)}"
