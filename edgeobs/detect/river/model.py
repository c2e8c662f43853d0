"""One River model that cannot take anything else down with it."""

import math
from typing import Any, Literal

Kind = Literal["features", "value", "drift", "binary"]
"""What a model looks at: features, one value, one value for changes, one yes or no for changes."""
Scale = Literal["plain", "share", "ratio"]
"""What a raw score is: any number; one minus a share of what is usual, at most 1; a ratio, 1 the usual."""
SEED = 1
"""Of every estimator that takes a seed and was not given one: the same samples give the same scores."""
BEYOND = 3.0
"""Spreads from the usual beyond which a value is a *yes* to a binary drift detector."""
_MOST_RAW = 1e30
_REHEARSAL = ({"a": 0.0}, {"a": 1.0}, {"a": -1.0})


class Model:
    """A model, how many samples it has learned, and since when it has failed.

    Parameters
    ----------
    estimator
        River's; new.
    kind
        What it looks at.
    warmup
        Samples it learns before it is asked for a score.
    scale
        What its raw scores are.

    """

    __slots__ = ("estimator", "kind", "learned", "scale", "warmup")

    def __init__(self, estimator: Any, kind: Kind, warmup: int, scale: Scale) -> None:
        self.estimator, self.kind, self.warmup, self.scale = estimator, kind, warmup, scale
        self.learned = 0

    def step(self, x: dict[str, float]) -> float | None:
        """Score features by what was known before, then learn them.

        The raw score, higher is more abnormal, on a scale of the model's own; 1 for a drift, 0 for none. None
        while it is too young. Raises whatever the model raises, and ValueError for a score that is no number.
        """
        if self.kind in {"drift", "binary"}:
            value = one(x)
            self.estimator.update(value if self.kind == "drift" else abs(value) > BEYOND)
            self.learned += 1
            return float(bool(self.estimator.drift_detected)) if self.learned > self.warmup else None
        given = (x,) if self.kind == "features" else ({}, one(x))
        raw = self.estimator.score_one(*given) if self.learned >= self.warmup else None
        self.estimator.learn_one(*given)
        self.learned += 1
        return None if raw is None else self._plain(raw)

    def rehearse(self) -> None:
        """Run on a few samples, to find at the start what a constructor did not; not to be used after."""
        self.warmup = min(self.warmup, 2)
        for x in _REHEARSAL:
            self.step(dict(x))

    def _plain(self, score: Any) -> float:
        raw = float(score)
        if not math.isfinite(raw):
            raise ValueError(f"its score is {raw}")
        if self.scale == "ratio":
            return math.log(max(raw, 1e-9))
        if self.scale == "share":  # on this scale it is near the distance of a Gaussian
            return math.sqrt(-math.log(max(1.0 - max(raw, 0.0), 1e-16)))
        return max(-_MOST_RAW, min(raw, _MOST_RAW))


def one(x: dict[str, float]) -> float:
    """One number of features in spreads: the only one, or how far from the usual they are all together."""
    if len(x) == 1:
        return next(iter(x.values()))
    return math.sqrt(sum(value * value for value in x.values()) / len(x))
