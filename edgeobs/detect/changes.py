"""Changes that were announced, by start times, versions or ourselves: which series to learn anew at once."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from edgeobs.columns import grown
from edgeobs.detect.change_signs import (
    Carrier,
    ChangeSettings,
    about,
    carriers,
    fits,
    place_of,
    split,
    watched,
)
from edgeobs.detect.contract import State
from edgeobs.detect.numbers import Numbers
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Bools, Floats, Int32s, Kind, Labels, Resource, Source

SCHEMA = 1
UNMET, MET, WATCHED = range(3)
_MOST_DOUBLINGS = 8
_SOON = 4  # rests after which a change is no longer one of a row
_MOST_REASONS = 8
_COUNTED = (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY)
_T = TypeVar("_T")
_K = TypeVar("_K")
_V = TypeVar("_V")


class Relearn(NamedTuple):
    """Series whose past is no guide any more, and why."""

    ids: Int32s  # ascending, each once
    since_ns: int  # our clock
    reasons: tuple[str, ...]  # for people; the first few
    held: int  # series that were left as they are: they were learned anew a short while ago


class Changes:
    """Who changed, and which series that is about; 14 bytes a series.

    - A start time that moved (`ChangeSettings.starts`): the series of the same sender; of the node where it
      is its boot; of whom the labels name where that is somebody else.
    - A sender of the same workload on the same node with another version: all of that workload there.
    - A series with the same labels but for a version (``…_info{version=…}``), or another version of its
      instrumentation scope: as a start time.
    - Counters whose start time moved (`restarted`): all of their sender.
    - `announce`: what we did ourselves.
    """

    def __init__(self, table: SeriesTable, settings: ChangeSettings) -> None:
        self.table, self.settings = table, settings
        self._met = np.zeros(0, np.int8)
        self._source = np.zeros(0, np.int32)  # by series, into `_sources`
        self._about = np.zeros(0, np.int32)  # by series, into `_places`; 0 is nobody else
        self._last_s = np.zeros(0, np.uint32)  # when it was last learned anew, our clock
        self._times = np.zeros(0, np.uint8)  # how often in a row
        self._sources, self._places = Numbers[Source](), Numbers[Resource | None]()
        self._places.of(None)
        self._started: dict[int, float] = {}  # by series: the start time it told
        self._versions: dict[Resource, Labels] = {}
        self._labels: dict[Carrier, Labels] = {}

    def observe(self, series: Int32s, value: Floats, now_ns: int) -> Relearn:
        """Look at samples: at the identity of new series, and the value of those that tell a start time."""
        self._grow(int(series.max(initial=-1)) + 1)
        events: list[tuple[Resource | Source, str]] = []
        met = self._met[series]
        if (met == UNMET).any():
            unmet, at = np.unique(series[met == UNMET], return_index=True)
            for number in unmet[np.argsort(at)].tolist():
                events += self._meet(number)
            met = self._met[series]
        at = np.flatnonzero((met == WATCHED) & np.isfinite(value))
        for number, told in zip(series[at].tolist(), value[at].tolist(), strict=True):
            before = self._started.get(number)
            _remember(self._started, number, told, self.settings.most)
            if before is not None and abs(told - before) > self._jitter(number):
                events.append(
                    (self._whom(number), f"{self.table[number].name} {before:.0f} became {told:.0f}")
                )
        return self._relearn(events, now_ns)

    def restarted(self, ids: Int32s, now_ns: int) -> Relearn:
        """Counters whose start time is new: a sender began anew when half of those that just spoke say so.

        One alone may be a gap that somebody on the way took for a reset.
        """
        self._grow(int(ids.max(initial=-1)) + 1)
        ids = ids[self._due(ids, now_ns)[0]]  # a start that moves with every request costs nothing
        if not len(ids):
            return self._relearn([], now_ns)
        for number in ids[self._met[ids] == UNMET].tolist():
            self._meet(number)
        spoke = np.flatnonzero((self.table.seen_ns == now_ns) & np.isin(self.table.kind, _COUNTED))
        spoke = spoke[spoke < len(self._met)]
        of = self._source[spoke[self._met[spoke] > UNMET]]
        told = np.bincount(self._source[np.unique(ids)], minlength=len(self._sources.items))
        began = np.flatnonzero((told > 0) & (2 * told >= np.bincount(of, minlength=len(told))))
        events = [(self._sources.items[number], "its counters began anew") for number in began.tolist()]
        return self._relearn(events, now_ns)

    def shifted(self, ids: Int32s, now_ns: int) -> Relearn:
        """Series whose level moved unannounced (`Shifts`): these alone, and no oftener than others."""
        return self._limited(np.unique(ids), now_ns, ("the level moved",) if len(ids) else ())

    def announce(self, place: Resource, now_ns: int, why: str = "our own action") -> Relearn:
        """Something was done at a place (a node, a workload …; what is empty is any): its series change."""
        return self._relearn([(place, why)] if any(place) else [], now_ns)

    def forget(self, ids: Int32s) -> None:
        """Series whose ids may be given to others."""
        ids = ids[ids < len(self._met)]
        for number in ids[self._met[ids] == WATCHED].tolist():
            self._started.pop(number, None)
        for column in (self._met, self._source, self._about, self._last_s, self._times):
            column[ids] = 0
        met = self._met > UNMET
        self._source = self._sources.kept(self._source, met)
        self._about = self._places.kept(self._about, met)

    def state(self) -> State:
        """A copy of what the table does not tell."""
        used = min(len(self._met), len(self.table.identities))
        return {
            "schema": np.array([SCHEMA]),
            "last_s": self._last_s[:used].copy(),
            "times": self._times[:used].copy(),
            "watched": np.array(list(self._started), np.int32),
            "started": np.array(list(self._started.values()), np.float64),
        }

    def restore(self, state: State) -> None:
        """Take up a `state`, after the table was.

        ValueError with the reason, and nothing changed, when it does not fit.
        """
        schema = state.get("schema")
        if schema is None or schema.dtype.kind not in "iu" or schema.tolist() != [SCHEMA]:
            raise ValueError(f"changes: expected schema {SCHEMA}, found {schema}")
        kinds = {"last_s": np.uint32, "times": np.uint8, "watched": np.int32, "started": np.float64}
        for name, dtype in kinds.items():
            if name not in state or state[name].dtype != dtype or state[name].ndim != 1:
                raise ValueError(f"changes: {name}: expected one column of {dtype.__name__}")
        last, times, numbers, started = (state[name] for name in kinds)
        used, identities = len(last), self.table.identities
        if len(times) != used or used > len(identities) or len(numbers) != len(started):
            raise ValueError("changes: columns of different length, or longer than the table")
        known = [0 <= n < used and identities[n] is not None for n in numbers.tolist()]
        if not all(known) or not np.isfinite(started).all():
            raise ValueError(
                "changes: start times that are no numbers, or of series that are not in the table"
            )
        fresh = Changes(self.table, self.settings)
        fresh._grow(used)
        fresh._last_s[:used], fresh._times[:used] = last, times
        by_age = np.argsort(self.table.seen_ns[:used], kind="stable").tolist()
        for number in by_age:  # the newest last: its version is the one that holds
            if identities[number] is not None:
                fresh._meet(number)
        fresh._started = dict(zip(numbers.tolist(), started.tolist(), strict=True))
        self.__dict__.update(fresh.__dict__)

    def _grow(self, rows: int) -> None:
        for name in ("_met", "_source", "_about", "_last_s", "_times"):
            setattr(self, name, grown(getattr(self, name), rows, 0))

    def _meet(self, number: int) -> list[tuple[Resource | Source, str]]:
        """Place a new series, and say what its appearance tells."""
        identity, s = self.table[number], self.settings
        new = identity.source not in self._sources.by_item
        self._source[number] = self._sources.of(identity.source)
        self._about[number] = self._places.of(about(identity))
        self._met[number] = WATCHED if watched(identity.name, s.starts) else MET
        found: list[tuple[Resource | Source, str]] = []
        if new:
            _, version = split(identity.source.attributes, s.versions)
            place = place_of(identity.source)
            if version and (place.workload or place.node):
                found += self._replaced(self._versions, place, version, place)
        for carrier, version in carriers(identity, s.versions):
            found += self._replaced(self._labels, carrier, version, self._whom(number))
        return found

    def _replaced(
        self, known: dict[_T, Labels], key: _T, version: Labels, whom: Resource | Source
    ) -> list[tuple[Resource | Source, str]]:
        before = known.get(key)
        _remember(known, key, version, self.settings.most)
        if before is None or before == version:
            return []
        return [(whom, f"{_words(before)} became {_words(version)}")]

    def _whom(self, number: int) -> Resource | Source:
        other: Resource | None = self._places.items[self._about[number]]
        if other is not None:
            return other
        source: Source = self._sources.items[self._source[number]]
        of_node = "boot" in self.table[number].name and source.resource.node
        return source.resource.place() if of_node else source

    def _jitter(self, number: int) -> float:
        """Generations are counted; times wander."""
        return 0.0 if self.table[number].name.endswith("generation") else self.settings.jitter_s

    def _of(self, whom: Resource | Source) -> Bools:
        """Which series are a sender's, or at or about a place."""
        if isinstance(whom, Source):
            theirs: Bools = self._source == self._sources.by_item.get(whom, -1)
            return theirs
        there = [n for n, source in enumerate(self._sources.items) if fits(source.resource, whom)]
        of_them = [n for n, place in enumerate(self._places.items) if place is not None and fits(place, whom)]
        return np.isin(self._source, there) | np.isin(self._about, of_them)

    def _relearn(self, events: Sequence[tuple[Resource | Source, str]], now_ns: int) -> Relearn:
        if not events:
            return Relearn(np.zeros(0, np.int32), now_ns, (), 0)
        touched = np.zeros(len(self._met), np.bool_)
        for whom, _ in events:
            touched |= self._of(whom)
        reasons = tuple(dict.fromkeys(f"{_name(whom)}: {why}" for whom, why in events))[:_MOST_REASONS]
        return self._limited(np.flatnonzero(touched & (self._met > UNMET)).astype(np.int32), now_ns, reasons)

    def _limited(self, ids: Int32s, now_ns: int, reasons: tuple[str, ...]) -> Relearn:
        """Those of the series that are not at rest."""
        self._grow(int(ids.max(initial=-1)) + 1)
        due, quiet, rest = self._due(ids, now_ns)
        at, times = ids[due], self._times[ids[due]].astype(np.float64)
        in_a_row = quiet[due] < _SOON * rest[due]
        self._times[at] = np.where(in_a_row, np.minimum(times + 1, _MOST_DOUBLINGS), 0)
        self._last_s[at] = now_ns // SECOND
        return Relearn(at, now_ns, reasons, len(ids) - len(at))

    def _due(self, ids: Int32s, now_ns: int) -> tuple[Bools, Floats, Floats]:
        """Which of the series are not at rest; for how long each has been quiet, and has to be, seconds."""
        last_s = self._last_s[ids]
        quiet = now_ns // SECOND - last_s.astype(np.float64)
        rest: Floats = self.settings.rest_s * np.exp2(self._times[ids].astype(np.float64))
        due: Bools = (last_s == 0) | (quiet >= rest) | (quiet < 0)
        return due, quiet, rest


def _remember(known: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Put it last; the first goes when there are too many."""
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        del known[next(iter(known))]


def _words(version: Labels) -> str:
    return ", ".join(f"{key} {value}" for key, value in version)


def _name(whom: Resource | Source) -> str:
    place = whom.resource if isinstance(whom, Source) else whom
    return (
        "/".join(word for word in (place.node, place.namespace, place.workload, place.pod) if word)
        or "a sender"
    )
