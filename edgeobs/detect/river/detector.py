"""River models behind the contract of `edgeobs.detect`: many of them, guarded, on the common scale."""

import hashlib
from collections import deque
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

import numpy as np

from edgeobs.columns import grown
from edgeobs.detect.contract import State
from edgeobs.detect.models import ModelSettings
from edgeobs.detect.river.build import recipe
from edgeobs.detect.river.entity import Entity
from edgeobs.detect.river.ranges import WARM
from edgeobs.detect.river.tail import FIELDS, Tail
from edgeobs.signals import Counts, Floats, Identity, Int32s, Int64s, Scores

NEW, UNWANTED = -1, -2
"""In the place of a slot: a series never looked at; one that no pattern names or that found no room."""
_SCHEMA = 1
_MOST_DRIFTS = 1024


class Names(Protocol):
    """Who a series is: a `SeriesTable`."""

    def __getitem__(self, number: int) -> Identity: ...


class Drift(NamedTuple):
    """A change that a drift detector noticed, with the sample of a series at a time."""

    series: int
    time_ns: int


class ModelDetector:
    """A configured River model per series, node or workload, as one `Detector`.

    - Values reach a model as spreads from their usual level, finite and within ±100, a missing one as it last
      was; half-space trees see them in [0, 1].
    - A raw score becomes decades by the tail of that model's own raw scores (`Tail`). A drift scores
      ``drift_score`` for a few ticks, stands in `drifted`, and model and ranges begin anew.
    - A model that raises, or whose score is no number, is let go, counted, named by `failing`, and built anew
      after a pause; the others go on.
    - `state` has the tails and which series share a model. The models themselves relearn after a
      restart: what is inside of them is River's, and means something else in its next version. A state of
      other settings is not taken up.

    Parameters
    ----------
    settings
        The model. Raises `edgeobs.detect.river.build.Wrong` for one that cannot be.
    names
        Identities by series id; None: every series is wanted, and ``per`` is series.
    counts
        Gets ``edgeobs_detector_errors_total`` for every failure of a model, and
        ``edgeobs_models_left_out_total`` for every series that found no room, each time it was looked at.
    name
        Its label there.

    """

    def __init__(
        self,
        settings: ModelSettings,
        names: Names | None = None,
        counts: Counts | None = None,
        name: str = "river",
    ) -> None:
        self.settings, self.names, self.name = settings, names, name
        self.counts = Counts() if counts is None else counts
        self.drifted: deque[Drift] = deque(maxlen=_MOST_DRIFTS)
        self._make = recipe(settings)
        self._drifts = self._make().kind in {"drift", "binary"}
        self._slots: Int32s = np.zeros(0, np.int32)
        self._entities: dict[int, Entity] = {}  # by slot
        self._tails: dict[int, Tail] = {}  # by slot
        self._by_key: dict[object, int] = {}
        self._keys: dict[int, object] = {}
        self._free: list[int] = []  # slots below the highest ever used

    def score_learn(self, series: Int32s, time_ns: Int64s, value: Floats) -> Scores:
        """Score each sample by what was known before it, then learn it; of a tick the last is scored."""
        n = len(series)
        found = Scores(np.zeros(n), np.full(n, np.nan), np.full(n, np.nan))
        self._slots = grown(self._slots, int(series.max(initial=-1)) + 1, NEW)
        at = np.flatnonzero((self._slots[series] != UNWANTED) & np.isfinite(value))
        ids, times, values = series[at].tolist(), time_ns[at].tolist(), value[at].tolist()
        for row, number, time, new in zip(at.tolist(), ids, times, values, strict=True):
            slot = self._slot(number)
            if slot < 0:
                continue
            entity = self._entities[slot]
            known = entity.ranges.get(entity.names[number])
            if known is not None and known.n >= WARM:
                found.expected[row], found.spread[row] = known.mean, known.spread()
            failures, drifts = entity.failures, entity.drifts
            raw = entity.take(number, time, new)
            if raw:
                found.score[row] = max(self._decades(slot, each) for each in raw)
            if entity.failures > failures:
                self.counts["edgeobs_detector_errors_total", self.name] += entity.failures - failures
            if entity.drifts > drifts:
                self.drifted.append(Drift(number, time))
        return found

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others; a model that has none left goes with them."""
        left = False
        for number in ids[ids < len(self._slots)].tolist():
            slot = int(self._slots[number])
            self._slots[number] = NEW
            if slot >= 0:
                self._left(number, slot)
                left = True
        if left:  # there is room: whoever found none may try again
            self._slots[self._slots == UNWANTED] = NEW

    def failing(self) -> dict[int, str]:
        """Series whose model failed and waits to be built anew, and why."""
        return {n: entity.reason for entity in self._entities.values() if entity.reason for n in entity.names}

    def census(self) -> dict[str, int]:
        """How many models there are: that are asked or will be, and that failed and wait."""
        failing = sum(bool(entity.reason) for entity in self._entities.values())
        return {"alive": len(self._entities) - failing, "failing": failing}

    def state(self) -> State:
        """A copy of what outlives a restart: which series share a model, and the tails."""
        used = int(np.flatnonzero(self._slots != NEW).max(initial=-1)) + 1
        mine: State = {
            "schema": np.array([_SCHEMA]),
            "settings": self._fingerprint(),
            "slots": self._slots[:used].copy(),
        }
        tails = [[slot, *tail.row()] for slot, tail in sorted(self._tails.items())]
        return mine | {"tails": np.array(tails, np.float64).reshape(-1, 1 + len(FIELDS))}

    def restore(self, state: State) -> None:
        """Take up a `state`; ValueError with the reason, and nothing changed, when it does not fit."""
        slots, tails = self._checked(state)
        self._slots = np.full(len(slots), NEW, np.int32)
        self._entities, self._tails, self._by_key, self._keys, self._free = {}, {}, {}, {}, []
        if state["settings"].tolist() != self._fingerprint().tolist():
            return  # another model: its scores mean something else
        for number in np.flatnonzero(slots >= 0).tolist():
            self._restored(number, int(slots[number]))
        self._tails |= {slot: tail for slot, tail in tails.items() if slot in self._entities}
        self._free = [s for s in range(max(self._entities, default=-1), -1, -1) if s not in self._entities]

    def _decades(self, slot: int, raw: float) -> float:
        """A raw score on the common scale, by its model's own past."""
        if self._drifts:
            return raw * self.settings.drift_score
        return self._tails[slot].step(raw)

    def _slot(self, number: int) -> int:
        """Of the model that looks at a series; < 0 when none does."""
        slot = int(self._slots[number])
        if slot == NEW:
            slot = int(self._placed(number))
            self._slots[number] = slot
        return slot

    def _placed(self, number: int) -> int:
        key = self._key(number)
        if key is None:
            return UNWANTED
        slot = self._by_key.get(key)
        if slot is None:
            slot = self._free[-1] if self._free else len(self._entities)
        if slot >= self.settings.max_models or not self._joined(number, key, slot):
            self.counts["edgeobs_models_left_out_total", self.name] += 1
            return UNWANTED
        return slot

    def _joined(self, number: int, key: object, slot: int) -> bool:
        entity = self._entities.get(slot)
        if entity is None:
            if slot in self._free:
                self._free.remove(slot)
            entity = self._entities[slot] = Entity(self._make, self.settings.pause_s)
            self._by_key[key], self._keys[slot] = slot, key
            self._tails[slot] = Tail()
        return entity.join(number, "value" if self._alone() else self.names[number].text())  # type: ignore[index]

    def _restored(self, number: int, slot: int) -> None:
        """A series that had a model before the restart; one that is nobody now is new when it comes."""
        try:
            key = self._key(number)
        except KeyError:
            return
        fits = self._by_key.get(key, slot) == slot and self._keys.get(slot, key) == key
        if key is not None and fits and slot < self.settings.max_models:
            self._joined(number, key, slot)
            self._slots[number] = slot

    def _left(self, number: int, slot: int) -> None:
        self._entities[slot].leave(number)
        if not self._entities[slot].names:
            del self._entities[slot], self._tails[slot], self._by_key[self._keys.pop(slot)]
            self._free.append(slot)

    def _alone(self) -> bool:
        return self.settings.per == "series" or self.names is None

    def _key(self, number: int) -> object:
        """What a series shares its model by; None when it is not wanted."""
        if self.names is None:
            return number
        identity = self.names[number]
        if not any(fnmatchcase(identity.name, pattern) for pattern in self.settings.series):
            return None
        resource = identity.source.resource
        if self.settings.per == "node":
            return resource.place() if resource.node else None
        if self.settings.per == "workload":
            return (resource.cluster, resource.namespace, resource.workload) if resource.workload else None
        return number

    def _fingerprint(self) -> Int32s:
        told = repr((self.settings.model, self.settings.parameters, self.settings.per, self.settings.series))
        digest = hashlib.sha256(told.encode()).digest()[:16]
        return np.frombuffer(digest, np.uint8).astype(np.int32)

    def _checked(self, state: State) -> tuple[Int32s, dict[int, Tail]]:
        found = {name: state.get(name, np.zeros(0)) for name in ("schema", "settings", "slots", "tails")}
        schema, settings, slots, tails = (array.tolist() for array in found.values())
        if schema != [_SCHEMA]:
            raise ValueError(f"{self.name}: expected schema {_SCHEMA}, found {schema}")
        if found["settings"].shape != (16,) or not all(0 <= byte < 256 for byte in settings):
            raise ValueError(f"{self.name}: expected a fingerprint of its settings, found {settings}")
        if found["slots"].ndim != 1 or not all(isinstance(s, int) and s >= UNWANTED for s in slots):
            raise ValueError(f"{self.name}: expected a slot for each series, found {slots[:3]} …")
        if found["tails"].shape != (len(tails), 1 + len(FIELDS)):
            raise ValueError(f"{self.name}: expected {1 + len(FIELDS)} numbers a tail, found {tails[:1]} …")
        return np.array(slots, np.int32), {int(slot): Tail.of(row) for slot, *row in tails}
