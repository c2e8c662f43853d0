"""Children find their parents, whichever comes first."""

from typing import NamedTuple

import numpy as np

from edgeobs.signals import SECOND, Bools, Int8s, Int32s, Int64s, UInt64s
from edgeobs.traces.window import Generation, Window

_WIDTH = 5
_LONGEST_NS = 3600 * SECOND  # a span that took longer is not believed
_LOW = 0xFFFFFFFF  # where the operation stands in what is remembered; above it is who is told of
_KIND_BITS = 3


class Spans(NamedTuple):
    """n spans, settled; numbers as of `units.Resolved`."""

    key: UInt64s  # who it is, of `window.identities`
    parent: UInt64s  # who its parent is
    child: Bools  # whether it has one
    source: Int32s
    operation: Int32s
    told: Int32s
    kind: Int8s
    failed: Bools
    start_ns: Int64s  # 0: unknown
    when_ns: Int64s  # its end, or what else is known
    duration_ns: Int64s  # −1: unknown
    trace: UInt64s  # (n, 2)
    came_ns: Int64s  # our clock

    def of(self, which: Bools | Int64s) -> "Spans":
        """Some of them."""
        return Spans._make(column[which] for column in self)

    @staticmethod
    def none() -> "Spans":
        """No spans."""
        key, number, flag, time = (
            np.zeros(0, np.uint64),
            np.zeros(0, np.int32),
            np.zeros(0, np.bool_),
            np.zeros(0, np.int64),
        )
        return Spans(
            key, key, flag, number, number, number, np.zeros(0, np.int8), flag, time, time, time,
            np.zeros((0, 2), np.uint64), time,
        )  # fmt: skip

    @staticmethod
    def joined(parts: "list[Spans]") -> "Spans":
        """All of them."""
        return (
            parts[0] if len(parts) == 1 else Spans._make(np.concatenate(c) for c in zip(*parts, strict=True))
        )


class Parents(NamedTuple):
    """What is remembered of the parents of n spans."""

    source: Int32s
    kind: Int8s
    failed: Bools
    start_ns: Int64s
    duration_ns: Int64s
    told: Int32s

    def of(self, which: Int64s) -> "Parents":
        """Some of them."""
        return Parents._make(column[which] for column in self)


class Joined(NamedTuple):
    """What a step brought about."""

    fresh: Spans  # seen for the first time
    duplicates: int
    children: Spans
    parents: Parents  # of those, row by row
    orphans: int  # waited in vain
    ended: list[Generation]  # spans whose children have all come; their facts are told by `ended`


class Ended(NamedTuple):
    """Spans (n) of which nothing more will come."""

    source: Int64s
    operation: Int64s
    start_ns: Int64s  # 0: unknown
    own_ns: Int64s  # what they took without their children; −1: unknown
    asked: Int64s  # a source of another place that they waited for; −1: none


def ended(generation: Generation) -> Ended:
    """What a generation that was let go tells."""
    inner = generation.inner_ns[: generation.used]
    real = inner >= 0
    facts, inner = generation.facts[: generation.used][real], inner[real]
    duration = facts[:, 3]
    own = np.where((duration >= 0) & (duration < _LONGEST_NS), np.maximum(duration - inner, 0), -1)
    asked = generation.asked[: generation.used][real].astype(np.int64) - 1
    operation = (facts[:, 4] & _LOW).astype(np.uint32).view(np.int32).astype(np.int64)
    return Ended(facts[:, 0], operation, facts[:, 2], own, asked)


class Join:
    """Spans that may be parents, and children that wait; at most ``limit`` of each."""

    def __init__(self, limit: int, wait_ns: int) -> None:
        self.limit, self.wait_ns = limit, wait_ns
        self.window = Window(limit, wait_ns, _WIDTH)
        self._waiting: Spans | None = None

    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting.key) if self._waiting is not None else 0

    def step(self, spans: Spans, now_ns: int) -> Joined:
        """Take spans in (n ≥ 0) and let time pass."""
        fresh = self.window.add(spans.key, _facts(spans), now_ns)
        first = spans if fresh.all() else spans.of(fresh)
        children = first.of(first.child)
        if self._waiting is not None:
            children = Spans.joined([self._waiting, children])
        found, facts, rows = self.window.find(children.parent)
        left = children.of(~found)
        patient = (now_ns - left.came_ns < self.wait_ns) & (left.came_ns <= now_ns)
        kept = np.flatnonzero(patient)[-self.limit :]
        self._waiting = left.of(kept)
        joined, parents = children.of(found), _parents(facts)
        elsewhere = np.where(joined.source != parents.source, joined.source, np.int32(-1))
        self.window.took(rows, joined.duration_ns, elsewhere)
        self.window.pass_time(now_ns)
        ended, self.window.ended = self.window.ended, []
        return Joined(
            first, len(spans.key) - len(first.key), joined, parents, len(left.key) - len(kept), ended
        )


def _facts(spans: Spans) -> Int64s:
    kind = spans.kind.astype(np.int64) | spans.failed.astype(np.int64) << _KIND_BITS
    numbers = spans.told.astype(np.int64) << 32 | spans.operation.astype(np.int64) & _LOW
    return np.stack([spans.source, kind, spans.start_ns, spans.duration_ns, numbers], axis=1)


def _parents(facts: Int64s) -> Parents:
    source, kind, start, duration, numbers = facts.T
    return Parents(
        source.astype(np.int32),
        (kind & ((1 << _KIND_BITS) - 1)).astype(np.int8),
        kind >> _KIND_BITS > 0,
        start,
        duration,
        (numbers >> 32).astype(np.int32),
    )
