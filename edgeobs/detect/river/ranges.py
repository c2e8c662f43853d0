"""Values of any size as numbers that a model can take: finite, bounded, of the same scale everywhere."""

import math
from typing import Any

from river import base

WARM = 8
"""Values before which a range is not known."""
FARTHEST = 100.0
"""Spreads from the usual at which a value is cut."""
_MEMORY = 2000  # values that a range remembers
_CLIP = 4.0  # spreads at which a value is cut for what it teaches of the range
_FAR, _LASTING = 10.0, 100  # so many values in a row, so many spreads away: the range is learned anew
_LARGEST, _LEAST = 1e100, 1e-150  # where values are cut; the least spread …
_FLOOR = 1e-3  # … and that relative to the value's size


class Range:
    """Usual level and spread of one stream of finite values, bounded memory, robust to single outliers."""

    __slots__ = ("mean", "n", "run", "size", "variance")

    def __init__(self) -> None:
        self.n = self.run = 0
        self.mean = self.variance = self.size = 0.0

    def spread(self) -> float:
        """One standard deviation; has a floor, so that constants do not explode."""
        floor = _FLOOR * self.size
        return max(math.sqrt(self.variance + floor * floor), _LEAST)

    def scaled(self, value: float) -> float | None:
        """Spreads from the usual, in ±`FARTHEST`; None while the range is not known."""
        if self.n < WARM:
            return None
        value = max(-_LARGEST, min(value, _LARGEST))
        return max(-FARTHEST, min((value - self.mean) / self.spread(), FARTHEST))

    def learn(self, value: float) -> None:
        """Take a value in."""
        value = max(-_LARGEST, min(value, _LARGEST))
        away = value - self.mean
        if self.n >= WARM:
            spread = self.spread()
            self.run = self.run + 1 if abs(away) > _FAR * spread else 0
            away = max(-_CLIP * spread, min(away, _CLIP * spread))
            if self.run >= _LASTING:
                self.n = self.run = 0  # a new level: nothing of the old one is of use
                self.mean = self.size = 0.0
                away = value
        self.n = min(self.n + 1, _MEMORY)
        step = 1.0 / self.n
        self.mean += step * away
        self.variance = 0.0 if self.n == 1 else (1.0 - step) * (self.variance + step * away * away)
        self.size += step * (abs(self.mean) - self.size)


class Unit(base.Transformer):  # type: ignore[misc]
    """Features into [0, 1] by a learned range, for `anomaly.HalfSpaceTrees`.

    Four spreads either way of the usual fill the interval; what is farther is cut to its ends, so that the
    halves outside the usual stay empty. A feature whose range is not known yet is in the middle.
    """

    def __init__(self) -> None:
        self.ranges: dict[Any, Range] = {}

    def learn_one(self, x: dict[Any, float]) -> None:
        """Widen the ranges."""
        for name, value in x.items():
            if math.isfinite(value):
                self.ranges.setdefault(name, Range()).learn(value)

    def transform_one(self, x: dict[Any, float]) -> dict[Any, float]:
        """The same features in [0, 1]."""
        return {name: self._unit(name, value) for name, value in x.items()}

    def _unit(self, name: Any, value: float) -> float:
        known = self.ranges.get(name)
        away = known.scaled(value) if known and math.isfinite(value) else None
        return 0.5 if away is None else max(0.0, min(0.5 + away / 8.0, 1.0))
