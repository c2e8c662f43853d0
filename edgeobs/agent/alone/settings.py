"""What may be done alone: nothing, unless it is named here."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

_UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,199}\.service")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NEVER = frozenset({"kube-system", "kube-public", "kube-node-lease", "kubeedge"})

LONGEST_STEP_S = 2.0
"""Seconds between two looks, at most, where anything may be done alone."""

Patterns = Annotated[tuple[str, ...], MaxLen(32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What says that something needs a restart: one of these at least."""

    low: Patterns = ()
    """Series that are below what is expected of them when it is at fault: a name, or
    ``name{label="value"}``, with ``*`` and ``?``."""
    high: Patterns = ()
    """The same of series that are above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Signs):
    """A systemd unit that may be restarted."""

    unit: str
    """Its whole name, ``k3s-agent.service``; no pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods(Signs):
    """A namespace whose pods on this node may be restarted; the signs are of series of the pod."""

    namespace: str
    """Its name; none of the system's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A delegated budget, and on what it may be spent."""

    enabled: bool = False
    """Whether anything is done alone at all."""
    after_s: Annotated[float, Ge(1), Le(604_800)] = 120.0
    """Seconds that the core must not have answered before anything is done."""
    most: Annotated[int, Ge(0), Le(100)] = 2
    """Actions within `per_s`, over all targets. What failed, or came to nothing, counts."""
    per_s: Annotated[float, Ge(60), Le(2_592_000)] = 3600.0
    """The time that `most` is about, seconds. It does not pass while the agent is not running."""
    cooldown_s: Annotated[float, Ge(60), Le(604_800)] = 1800.0
    """Seconds after an action on a target in which there is no other on it."""
    verify_s: Annotated[float, Ge(1), Le(86_400)] = 300.0
    """Seconds in which its evidence must have become calm, or the action was in vain."""
    score: Annotated[float, Ge(6), Le(20)] = 9.0
    """Decades that the evidence must have: 9 promises a false one in 10⁹ samples."""
    timeout_s: Annotated[float, Ge(1), Le(600)] = 90.0
    """Seconds that an action may take; after it nobody knows whether it was done."""
    units: Annotated[tuple[Unit, ...], MaxLen(32)] = ()
    """Units that may be restarted."""
    pods: Annotated[tuple[Pods, ...], MaxLen(32)] = ()
    """Namespaces whose pods may be restarted, through `metaserver_url`."""
    metaserver_url: str = ""
    """KubeEdge's MetaServer on this node, ``http://127.0.0.1:10550``. Empty: no pod is touched."""


def problems(settings: Settings, uplink_url: str, interval_s: float) -> Iterator[str]:
    """A line, with its place, for everything that is of the right kind and yet cannot be.

    Parameters
    ----------
    uplink_url, interval_s
        The agent's `uplink.url` and `interval_s`.

    """
    units, spaces = [each.unit for each in settings.units], [each.namespace for each in settings.pods]
    yield from _misnamed("units", "unit", units, _UNIT)
    yield from _misnamed("pods", "namespace", spaces, _NAMESPACE)
    signs: tuple[tuple[str, tuple[Signs, ...]], ...] = ("units", settings.units), ("pods", settings.pods)
    for place, listed in signs:
        for number, each in enumerate(listed):
            if not each.low and not each.high:
                yield f"{place}[{number}]: expected patterns in low or high; found none"
    yield from (f"pods: {name} is never acted upon" for name in spaces if name in _NEVER)
    url = settings.metaserver_url
    if url and not url.startswith(("http://", "https://")):
        yield f"metaserver_url: expected http:// or https://, found {url!r:.80}"
    if spaces and not url:
        yield "metaserver_url: is needed for pods"
    if settings.enabled:
        yield from _unready(bool(units or spaces), uplink_url, interval_s)


def _misnamed(place: str, key: str, names: Sequence[str], pattern: re.Pattern[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        if not pattern.fullmatch(name):
            yield f"{place}[{number}].{key}: expected a whole name, no pattern; found {name!r:.80}"
        elif name in names[:number]:
            yield f"{place}[{number}].{key}: {name} is given twice"


def _unready(named: bool, uplink_url: str, interval_s: float) -> Iterator[str]:
    if not named:
        yield "enabled: is on, and neither units nor pods name anything"
    if not uplink_url:
        yield "enabled: needs uplink.url: without a core there is no being cut off"
    if interval_s > LONGEST_STEP_S:
        yield f"enabled: needs an interval_s of at most {LONGEST_STEP_S:g}: looks must not be further apart"
