"""What one model looks at: a series, or the series of a node or workload, tick by tick."""

from collections.abc import Callable

from edgeobs.detect.river.model import Model
from edgeobs.detect.river.ranges import Range
from edgeobs.signals import SECOND

MOST_FEATURES = 64
"""Series that one model may look at."""
HOLD = 5
"""Ticks for which a drift is evidence, the one it was found in first."""
_SETTLED = 4  # times its warm-up a model has learned before new series are worth a new model


class Entity:
    """The features of a model, their ranges, and the tick that is being filled.

    A tick is what arrives with one time stamp (or an older one), each feature once. It is complete with the
    sample by which every series has spoken that spoke when the tick's first one last did; then the features,
    each at its last value, are scored and learned. One that never completes is when a later one begins. So a
    score depends on samples and their order alone, and is known as soon as it can be.
    """

    def __init__(self, make: Callable[[], Model], pause_s: float) -> None:
        self.make, self.pause_ns = make, int(pause_s * SECOND)
        self.names: dict[int, str] = {}  # series id → feature
        self.ranges: dict[str, Range] = {}
        self.latest: dict[str, float] = {}  # feature → its last value, in spreads
        self.features: frozenset[str] = frozenset()  # what the model was built for
        self.model: Model | None = None
        self.resume_ns = 0
        self.reason = ""  # why the last model failed; empty while all is well
        self.failures = 0
        self.drifts = 0
        self.hold = 0  # ticks for which the last drift still counts
        self._tick_ns = -1
        self._seen: set[str] = set()
        self._awaited: frozenset[str] = frozenset()
        self._done = True
        self._company: dict[str, frozenset[str]] = {}  # feature → those of the last tick it was in

    def join(self, series: int, name: str) -> bool:
        """Take a series in; False when there is no room. A name that is taken is made another."""
        if len(self.names) >= MOST_FEATURES:
            return False
        taken, number, plain = set(self.names.values()), 2, name
        while name in taken:
            name, number = f"{plain}#{number}", number + 1
        self.names[series] = name
        return True

    def leave(self, series: int) -> None:
        """Forget a series; a model that looked at it is built anew."""
        name = self.names.pop(series)
        self.ranges.pop(name, None)
        self.latest.pop(name, None)
        self._company.pop(name, None)
        self._seen.discard(name)
        self._awaited -= {name}
        if name in self.features:
            self.model = None

    def take(self, series: int, time_ns: int, value: float) -> list[float]:
        """Raw scores that a sample brings about: none, its own tick's, that of the tick before."""
        name = self.names[series]
        found = []
        if time_ns > self._tick_ns or name in self._seen:
            if not self._done:
                found.append(self._run(self._tick_ns))
            self._begin(name, time_ns)
        known = self.ranges.setdefault(name, Range())
        away = known.scaled(value)
        known.learn(value)
        if away is not None:
            self.latest[name] = away
        self._seen.add(name)
        if not self._done and self._awaited <= self._seen:
            found.append(self._run(self._tick_ns))
            self._done = True
        return [raw for raw in found if raw is not None]

    def _begin(self, name: str, time_ns: int) -> None:
        together = frozenset(self._seen)
        self._company.update(dict.fromkeys(together, together))
        self._tick_ns, self._seen, self._done = max(time_ns, self._tick_ns), set(), False
        self._awaited = self._company.get(name, frozenset()) & self.names_now()

    def names_now(self) -> frozenset[str]:
        """Features of today's series."""
        return frozenset(self.names.values())

    def _run(self, time_ns: int) -> float | None:
        """Ask the model, and teach it; None while there is none or it has nothing to say."""
        self.hold = max(self.hold - 1, 0)
        raw = self._asked(time_ns) if self.latest and time_ns >= self.resume_ns else None
        return 1.0 if self.hold else raw

    def _asked(self, time_ns: int) -> float | None:
        try:
            model = self._ready()
            if model is None:
                return None
            raw = model.step({name: self.latest[name] for name in sorted(self.features)})
        except Exception as error:  # noqa: BLE001  a model's failure may not stop the others
            self.failures += 1
            self.reason = f"{type(error).__name__}: {error}"[:200]
            self.model, self.resume_ns = None, time_ns + self.pause_ns
            return None
        self.reason = ""
        if raw and model.kind in {"drift", "binary"}:
            self._drifted()
        return raw

    def _ready(self) -> Model | None:
        """The model for today's features; a new one when they changed for good."""
        model = self.model
        more = len(self.latest) > len(self.features)
        if model is not None and not (more and model.learned >= _SETTLED * max(model.warmup, 10)):
            return model
        if model is None and not self._seen <= self.latest.keys():
            return None  # a range is young: the model would begin without the feature
        self.features = frozenset(self.latest)
        self.model = self.make()
        return self.model

    def _drifted(self) -> None:
        """What was usual is no more: ranges and model begin anew."""
        self.drifts += 1
        self.hold = HOLD
        self.ranges.clear()
        self.latest.clear()
        self.model = None
