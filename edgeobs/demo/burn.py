"""A real, bounded burn of this machine: every processor, and a part of the memory that is free."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from edgeobs.demo.children import Children

LONGEST_S = 30
_MEMORY_SHARE = 0.25
_MEMORY_MOST = 3 << 30
_HIDES = 1 / 8  # programs that come and go with this much of the burn's memory make it look usual
_PER_PROCESSOR = 2  # so that tasks wait for processors, as under real overload: pressure shows it
_BURNER = Path(__file__).with_name("burner.py")


def memory_bytes(available: int) -> int:
    """How much of ``available`` bytes the burn takes: a quarter, 3 GiB at most."""
    return min(int(available * _MEMORY_SHARE), _MEMORY_MOST)


def hidden(available: Sequence[int]) -> bool:
    """Whether memory that others take and give back, as seen before, is no longer small beside the burn's."""
    return bool(available) and max(available) - min(available) > _HIDES * memory_bytes(min(available))


def burn(children: Children, seconds: float) -> None:
    """Start the burn; it ends by itself within ``seconds`` (30 at most), or with us if that is sooner."""
    limit = max(1, min(int(seconds), LONGEST_S))
    wanted = memory_bytes(psutil.virtual_memory().available)
    for number in range(_PER_PROCESSOR * len(os.sched_getaffinity(0))):
        mine = wanted if number == 0 else 0
        children.start(f"burn-{number}", [sys.executable, "-IS", str(_BURNER), str(limit), str(mine)])
