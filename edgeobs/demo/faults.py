"""What goes wrong in the demo, where and when. Pure; the real burn of this machine is `burn`."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

FaultKind = Literal["burn", "disk", "cut", "dark"]

SLOWLY_S = 30.0
"""Seconds in which a bad disk gets slowly worse, before it gets worse fast."""
_FAST_S = 10.0


class Fault(NamedTuple):
    """One fault: of a node (burn, disk; cut: cut off, and its disk goes bad) or a zone (dark)."""

    kind: FaultKind
    target: str
    start_s: float  # Unix seconds, as all times here
    end_s: float

    def on(self, t: float) -> bool:
        """Whether it holds at ``t``."""
        return self.start_s <= t < self.end_s

    def text(self) -> str:
        """What a person reads."""
        what = {
            "burn": "this machine ({}) burns CPU and memory",
            "disk": "the disk of {} goes bad",
            "cut": "the link of {} is cut, and its disk goes bad",
            "dark": "zone {} goes dark",
        }
        return what[self.kind].format(self.target)


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds after the warm-up at which each fault begins, and how long it lasts."""

    warm_s: float = 50.0
    burn_at: float = 0.0
    burn_s: float = 25.0
    disk_at: float = 12.0
    disk_s: float = 75.0
    cut_at: float = 6.0
    cut_s: float = 50.0
    dark_at: float = 58.0
    dark_s: float = 30.0
    disk_node: str = "edge-17"
    cut_node: str = "edge-09"
    dark_zone: str = "b"
    watch_s: float = 15.0  # after the last fault's beginning: a false action would still be seen

    def faults(self, warm_s: float, this_node: str) -> tuple[Fault, ...]:
        """The schedule, once it is known when the warm-up ended."""
        return (
            Fault("burn", this_node, warm_s + self.burn_at, warm_s + self.burn_at + self.burn_s),
            Fault("disk", self.disk_node, warm_s + self.disk_at, warm_s + self.disk_at + self.disk_s),
            Fault("cut", self.cut_node, warm_s + self.cut_at, warm_s + self.cut_at + self.cut_s),
            Fault("dark", self.dark_zone, warm_s + self.dark_at, warm_s + self.dark_at + self.dark_s),
        )


class Wear(NamedTuple):
    """What a bad disk does at one moment."""

    slower: float  # factor on an operation's service time, ≥ 1
    errors: float  # failed operations per second


def wear(fault: Fault, t: float) -> Wear:
    """Operations 6 times as slow after `SLOWLY_S`, 90 times after 10 s more; healthy outside the fault."""
    if not fault.on(t):
        return Wear(1.0, 0.0)
    age = t - fault.start_s
    slow, fast = min(age / SLOWLY_S, 1.0), min(max(age - SLOWLY_S, 0.0) / _FAST_S, 1.0)
    return Wear(1 + 5 * slow + 84 * fast, 0.3 * slow + 12 * fast)
