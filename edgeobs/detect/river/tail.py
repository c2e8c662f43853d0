"""How rare a raw score is among a model's own: decades from a tail learned online, whatever the scale."""

import math

WARM = 20
"""Raw scores before the first one is judged."""
SHARE = 0.02  # of raw scores that are beyond the threshold
FIELDS = ("n", "mean", "variance", "threshold", "first", "second", "excesses", "run")
_MEMORY = 5000.0  # raw scores that mean, variance and threshold remember; of excesses the same share
_TRUST = 5.0  # excesses' worth of trust in where the tail was taken to begin
_PRIOR = 10.0  # excesses' worth of trust in the tail below
_PRIOR_SCALE, _PRIOR_SHAPE = 0.5, 0.15  # standard deviations; a little heavier than exponential
_MOST_SHAPE = 0.5  # heavier ones have no variance to learn the shape from
_CUT = 10.0  # mean excesses at which one is cut for what it teaches
_ABNORMAL, _LASTING = 3.0, 100  # decades; so many in a row are the new normal
_MOST = 20.0


class Tail:
    """A generalised Pareto tail over a learned threshold, in 64 bytes (peaks over threshold).

    The threshold is the 98 % quantile, by stochastic approximation; scale and shape follow from the first two
    moments of the excesses (Hosking and Wallis 1987), which begin with a prior. The shape stays in [0, ½]: no
    tail is taken to end. Below the threshold decades grow linearly from the mean. A run of abnormal scores
    teaches once; when it lasts all is learned anew.
    """

    __slots__ = FIELDS

    def __init__(self) -> None:
        self.n = self.mean = self.variance = self.threshold = 0.0
        self.first = self.second = self.excesses = self.run = 0.0

    def step(self, raw: float) -> float:
        """Decades of a raw score by those before it, in [0, 20]; then learn it."""
        if self.n < WARM:
            self._learn_bulk(raw)
            if self.n == WARM:
                self._begin()
            return 0.0
        found = self.decades(raw)
        abnormal = found >= _ABNORMAL
        if not (abnormal and self.run):
            self._learn_tail(raw)
            least = self.mean - _CUT * max(math.sqrt(self.variance), self._least())
            self._learn_bulk(max(least, min(raw, self.threshold + _CUT * self.first)))
        self.run = self.run + 1.0 if abnormal else 0.0
        if self.run >= _LASTING:
            self.n = self.run = 0.0
        return found

    def decades(self, raw: float) -> float:
        """Of a raw score, learning nothing."""
        if self.n < WARM or raw <= self.mean:
            return 0.0
        over = raw - self.threshold
        if over <= 0:
            return -math.log10(SHARE) * min((raw - self.mean) / (self.threshold - self.mean), 1.0)
        ratio = self.first * self.first / max(self.second - self.first * self.first, 1e-300)
        shape = max(0.0, min(0.5 * (1.0 - ratio), _MOST_SHAPE))
        scale = self.first * (1.0 - shape)
        far = over / scale
        beyond = far / math.log(10) if shape < 1e-6 else math.log10(1.0 + shape * far) / shape
        found = min(beyond - math.log10(SHARE), _MOST)
        if self.variance == 0.0:  # never moved: that it does, and to where, was each never seen in n scores
            return min(found, 2.0 * math.log10(self.n + 1.0))
        return found

    def row(self) -> list[float]:
        """The numbers, for a snapshot."""
        return [getattr(self, name) for name in FIELDS]

    @classmethod
    def of(cls, row: list[float]) -> "Tail":
        """From a `row`; ValueError when it cannot be one."""
        tail = cls()
        for name, value in zip(FIELDS, row, strict=True):
            setattr(tail, name, value)
        counts = tail.n, tail.variance, tail.first, tail.second, tail.excesses, tail.run
        if not all(map(math.isfinite, row)) or min(counts) < 0:
            raise ValueError(f"no tail has the numbers {row}")
        if tail.n >= WARM and (tail.threshold <= tail.mean or tail.first <= 0):
            raise ValueError(f"no tail has the numbers {row}")
        return tail

    def _least(self) -> float:
        return 1e-9 * abs(self.mean) + 1e-12

    def _begin(self) -> None:
        """The tail as it is taken to be before any excess was seen."""
        spread = max(math.sqrt(self.variance), self._least())
        self.threshold = self.mean + 2.0 * spread
        scale = _PRIOR_SCALE * spread
        self.first = scale / (1.0 - _PRIOR_SHAPE)
        self.second = 2.0 * scale * scale / ((1.0 - _PRIOR_SHAPE) * (1.0 - 2.0 * _PRIOR_SHAPE))
        self.excesses = self.run = 0.0

    def _learn_bulk(self, raw: float) -> None:
        self.n = min(self.n + 1.0, _MEMORY)
        step, away = 1.0 / self.n, raw - self.mean
        self.mean += step * away
        self.variance = 0.0 if self.n == 1 else (1.0 - step) * (self.variance + step * away * away)

    def _learn_tail(self, raw: float) -> None:
        over = raw - self.threshold
        if over > 0:
            over = min(over, _CUT * self.first)
            self.excesses = min(self.excesses + 1.0, SHARE * _MEMORY)
            step = 1.0 / (_PRIOR + self.excesses)
            self.first += step * (over - self.first)
            self.second += step * (over * over - self.second)
        toward = (self.first / SHARE) / (self.n + _TRUST / SHARE)
        self.threshold += toward * ((1.0 - SHARE) if over > 0 else -SHARE)
        self.first = max(self.first, self._least())
        self.second = max(self.second, self.first * self.first)
        self.threshold = max(self.threshold, self.mean + self._least())
