"""Quantities as Kubernetes writes them, and what a pod asks of a node. Pure.

Grammar: k8s.io/apimachinery, ``pkg/api/resource/quantity.go``. What a pod asks: k8s.io/component-helpers,
``resource/helpers.go``, ``PodRequests``.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Json = Mapping[str, Any]

MOST = 2**63 - 1
_QUANTITY = re.compile(
    r"([+-]?)(\d{1,64})?(?:\.(\d{0,64}))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,9}))?", re.ASCII
)
_BINARY = {unit: 10 * power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FARTHEST = 100  # powers of ten from which nothing but the bounds is left


@lru_cache(4096)
def quantity(text: str, decimals: int = 0) -> int:
    """A quantity in units of 10^-``decimals``, rounded away from zero; past int64 it is the bound, as there.

    Raises ValueError for what is no quantity.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        raise ValueError(f"expected a quantity such as 100m or 1.5Gi; found {text[:40]!r}")
    sign, whole, part, binary, unit, exponent = found.groups()
    whole, part = whole or "", part or ""
    digits = int(whole + part)
    tens = decimals - len(part) + (_DECIMAL[unit] if unit else int(exponent or 0))
    tens = max(-2 * _FARTHEST, min(tens, _FARTHEST))
    digits <<= _BINARY[binary] if binary else 0
    scale: int = 10 ** abs(tens)
    size = min(digits * scale if tens >= 0 else -(-digits // scale), MOST)
    return -size if sign == "-" else size


def amounts(found: Json | None) -> dict[str, int]:
    """Resource → amount: processors in thousandths, all else in whole units. Raises ValueError naming it."""
    result = {}
    for key, text in (found or {}).items():
        try:
            result[key] = quantity(str(text), 3 if key == "cpu" or key.endswith(".cpu") else 0)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return result


def pod_requests(spec: Json, status: Json) -> dict[str, int]:
    """What the scheduler reserves for a pod: its containers, or more where starting needs more; overhead."""
    used = {
        each.get("name"): _most((amounts(each.get("allocatedResources")), _requests(each)))
        for part in ("containerStatuses", "initContainerStatuses")
        for each in status.get(part) or ()
    }
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        total = _sum(total, _of(container, used))
    beside: dict[str, int] = {}  # sidecars that were started so far
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _of(container, used)
        if container.get("restartPolicy") == "Always":
            total, beside = _sum(total, asked), _sum(beside, asked)
            asked = beside
        else:
            asked = _sum(beside, asked)
        peak = _most((peak, asked))
    total = _most((total, peak)) | _requests(spec)  # what is set for the pod as a whole wins
    return _sum(total, amounts(spec.get("overhead")))


def _of(container: Json, used: Mapping[Any, dict[str, int]]) -> dict[str, int]:
    """A resize is counted from when it is asked for until it is done, whichever is more."""
    return _most((_requests(container), used.get(container.get("name"), {})))


def _requests(holder: Json) -> dict[str, int]:
    return amounts((holder.get("resources") or {}).get("requests"))


def _sum(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return left | {key: left.get(key, 0) + amount for key, amount in right.items()}


def _most(several: Iterable[dict[str, int]]) -> dict[str, int]:
    most: dict[str, int] = {}
    for each in several:
        for key, amount in each.items():
            most[key] = max(amount, most.get(key, 0))
    return most
