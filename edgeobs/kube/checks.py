"""Whether an API server has what we need, asked once at the start."""

import re
from collections.abc import Mapping
from typing import Any

from edgeobs.calls import Unreachable
from edgeobs.kube.live import Live

OLDEST = (1, 29)
"""Served by what came later as well; what is older is neither supported nor tried."""

NEEDED: dict[str, tuple[str, ...]] = {
    "/api/v1": ("nodes", "nodes/status", "pods", "pods/eviction", "resourcequotas", "persistentvolumeclaims"),
    "/apis/apps/v1": ("deployments", "statefulsets", "replicasets", "daemonsets"),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/coordination.k8s.io/v1": ("leases",),
}
"""Group → resources that we use."""

Json = Mapping[str, Any]


def version(found: Json) -> tuple[int, int] | None:
    """Major and minor of ``/version``; vendors write a minor as ``29+``. None: unreadable."""
    numbers = [re.match(r"\d{1,4}", str(found.get(part) or "")) for part in ("major", "minor")]
    return (int(numbers[0][0]), int(numbers[1][0])) if numbers[0] and numbers[1] else None


def lacking(found: Json | None, groups: Mapping[str, Json | None]) -> list[str]:
    """What keeps us from acting on a cluster, for people; empty: nothing. Pure.

    Parameters
    ----------
    found
        The answer of ``/version``.
    groups
        Group → its list of resources; None: the server does not have it.

    """
    problems = []
    number, said = version(found or {}), str((found or {}).get("gitVersion") or "no version")
    if number is None:
        problems.append(f"the API server does not say which version it is ({said})")
    elif number < OLDEST:
        problems.append(f"the API server is {said}; edgeobs acts from {OLDEST[0]}.{OLDEST[1]} on")
    for group, names in NEEDED.items():
        resources = groups.get(group)
        has = {each.get("name"): each for each in (resources or {}).get("resources") or ()}
        missing = [name for name in names if name not in has]
        if resources is None:
            problems.append(f"the API server has no {group}")
        elif missing:
            problems.append(f"the API server has no {', '.join(missing)} in {group}")
        elif "pods/eviction" in names and has["pods/eviction"].get("version") != "v1":
            problems.append("the API server has evictions, but not of policy/v1")
    return problems


def check(live: Live) -> list[str]:
    """The same, asked now; that it cannot be asked is one of them."""
    try:
        return lacking(live.read("/version"), {group: live.read(group) for group in NEEDED})
    except Unreachable as error:
        return [str(error)]
