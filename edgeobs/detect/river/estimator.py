"""One of our detectors as a River estimator: clone it, compose it, evaluate it."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
from river import base

from edgeobs.detect import DETECTORS, Settings
from edgeobs.detect.contract import Detector
from edgeobs.signals import SECOND, Floats, Int32s, Int64s, Scores

_START_NS = 1_700_000_000 * SECOND
"""When the first sample is taken to be where none says its time."""


class SeriesDetector(base.AnomalyDetector):  # type: ignore[misc]
    """How surprising features are, each by its own past, in decades from 0 to 20.

    Every numeric feature is a series of a bank of edgeobs. A sample's score is −log₁₀ of the probability that
    any of its k features is as surprising as the most surprising one is, by chance: the highest score less
    log₁₀ k (Bonferroni). 0 while the features are young (some 20 samples, by the bank's settings). What is no
    finite number scores nothing and teaches nothing; features may come and go. A feature that is a
    ``datetime`` is the sample's time (UTC where it says no zone); otherwise a sample follows ``interval_s``
    after the one before.

    Parameters
    ----------
    bank
        Name of the detector in `edgeobs.detect.DETECTORS`.
    interval_s
        Seconds between samples that do not say their time, > 0.
    max_features
        Features that have a past at once, ≥ 1; those that come later are left out.
    settings
        Of the bank; None: the defaults.

    Examples
    --------
    >>> from edgeobs.detect.river import SeriesDetector
    >>> detector = SeriesDetector()
    >>> for i in range(100):
    ...     detector.learn_one({"x": i % 5})
    >>> detector.score_one({"x": 2}) < 1
    True
    >>> detector.score_one({"x": 100}) > 6
    True

    """

    def __init__(
        self,
        bank: str = "series",
        interval_s: float = 1.0,
        max_features: int = 1000,
        settings: Settings | None = None,
    ) -> None:
        if bank not in DETECTORS:
            raise ValueError(f"bank: expected one of {', '.join(DETECTORS)}; found {bank!r}")
        if not interval_s > 0 or max_features < 1:
            raise ValueError("interval_s: expected > 0, and max_features ≥ 1")
        self.bank, self.interval_s, self.max_features, self.settings = (
            bank,
            interval_s,
            max_features,
            settings,
        )
        self._ids: dict[Any, int] = {}  # feature → series
        self._time_ns = _START_NS
        self._bank = self._new()

    def learn_one(self, x: dict[Any, Any]) -> None:
        """Take a sample in."""
        self._time_ns = self._when(x)
        for name, value in x.items():
            if len(self._ids) < self.max_features and _number(value) is not None:
                self._ids.setdefault(name, len(self._ids))
        columns = self._columns(x)
        if len(columns[0]):
            self._bank.score_learn(*columns)

    def score_one(self, x: dict[Any, Any]) -> float:
        """Decades of surprise; nothing is learned."""
        columns = self._columns(x)
        if not len(columns[0]):
            return 0.0
        score = self._scores(columns).score
        return max(float(score.max()) - math.log10(len(score)), 0.0)

    def explain_one(self, x: dict[Any, Any]) -> dict[Any, tuple[float, float, float]]:
        """Score, expected value and spread of each feature; the latter two NaN while it is young."""
        columns = self._columns(x)
        if not len(columns[0]):
            return {}
        names = {number: name for name, number in self._ids.items()}
        found = self._scores(columns)
        rows = zip(found.score.tolist(), found.expected.tolist(), found.spread.tolist(), strict=True)
        return dict(zip([names[number] for number in columns[0].tolist()], rows, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        """What the bank knows is in its own schema, not as it lies in memory."""
        return self.__dict__ | {"_bank": self._bank.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Raises ValueError when the bank's schema is another."""
        self.__dict__.update(state)
        self._bank = self._new()
        if self._ids:
            self._bank.restore(state["_bank"])

    @classmethod
    def _unit_test_params(cls) -> Iterator[dict[str, Any]]:
        for bank in DETECTORS:
            yield {"bank": bank}

    def _new(self) -> Detector:
        return DETECTORS[self.bank](self.settings or Settings())

    def _scores(self, columns: tuple[Int32s, Int64s, Floats]) -> Scores:
        score = getattr(self._bank, "score", None)
        if score is not None:
            found: Scores = score(*columns)
            return found
        other = self._new()  # one that may learn the sample
        other.restore(self._bank.state())
        return other.score_learn(*columns)

    def _columns(self, x: dict[Any, Any]) -> tuple[Int32s, Int64s, Floats]:
        known = sorted((self._ids[name], _number(value)) for name, value in x.items() if name in self._ids)
        fine = [(number, value) for number, value in known if value is not None]
        ids = np.array([number for number, _ in fine], np.int32)
        time = np.full(len(fine), self._when(x), np.int64)
        return ids, time, np.array([value for _, value in fine], np.float64)

    def _when(self, x: dict[Any, Any]) -> int:
        for value in x.values():
            if isinstance(value, datetime):
                aware = value if value.tzinfo else value.replace(tzinfo=UTC)
                return int(aware.timestamp() * SECOND)
        return self._time_ns + int(self.interval_s * SECOND)


def _number(value: Any) -> float | None:
    """A finite value as a float; None for anything else."""
    if not isinstance(value, int | float | np.number):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return plain if math.isfinite(plain) else None
