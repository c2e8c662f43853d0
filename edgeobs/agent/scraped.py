"""One target's bodies as `Points`: who its series are is settled once, values are columns from then on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgeobs.agent.exposition import CompiledLayout, Exposition, Layout, Sample, Walk, parse
from edgeobs.ingest import naming
from edgeobs.ingest.intern import REASONS, Interner
from edgeobs.ingest.remote_write_series import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    SUMMARY,
    UNSPECIFIED,
    scalar_kind,
)
from edgeobs.signals import (
    Distributions,
    Floats,
    Identity,
    Int32s,
    Kind,
    Labels,
    Points,
    Principal,
    Source,
)

_Rows = np.ndarray[tuple[int], np.dtype[np.intp]]
_TYPES = {"counter": COUNTER, "gauge": GAUGE, "histogram": HISTOGRAM, "summary": SUMMARY}
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
_EDGE = {"histogram": "le", "summary": "quantile"}


class _Shape(NamedTuple):
    """A histogram or summary of a body: which rows it is made of."""

    kind: Kind
    edges: tuple[float, ...]  # ascending
    rows: tuple[int, ...]  # of each edge
    total: int  # row of the sum; −1: none
    events: int  # of the count


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every row of a layout becomes, once and for all as long as no series id is given away."""

    epoch: int
    layout: Layout | CompiledLayout | None
    rows: _Rows  # of scalars
    ids: Int32s
    shapes: tuple[_Shape, ...]
    shape_ids: Int32s
    rejected: dict[str, int]
    samples: int


class Scraped:
    """Reads the bodies of one target, one after the other.

    Parameters
    ----------
    source
        Whose series they are.
    limit
        Most samples of a body.
    walk
        The compiled loop that reads values; None: there is none.

    """

    def __init__(
        self,
        source: Source,
        interner: Interner,
        principal: Principal,
        limit: int,
        walk: Walk | None = None,
    ) -> None:
        self.source, self.interner, self.principal, self.limit = source, interner, principal, limit
        self._walk = walk
        self._plan: _Plan | None = None

    def points(self, body: bytes, now_ns: int) -> Points:
        """The points of a body; classic histograms and summaries become distributions.

        Raises
        ------
        ValueError
            It is not Prometheus's text, or too much of it; names the line. No series has come of it.

        """
        plan = self._plan
        if plan is not None and plan.layout is not None and plan.epoch == self.interner.table.epoch:
            values = plan.layout.values(body)
            if values is not None:
                return _points(plan, values, np.full(plan.samples, now_ns))
        found = parse(body, self.limit, self._walk)
        plan = self._plan = self._planned(found, now_ns)
        values = np.array([sample.value for sample in found.samples], np.float64)
        times = [now_ns if s.time_ms is None else s.time_ms * 1_000_000 for s in found.samples]
        return _points(plan, values, np.array(times, np.int64))

    def _planned(self, found: Exposition, now_ns: int) -> _Plan:
        shapes = _shapes(found)
        used = {row for shape, _, _ in shapes for row in (*shape.rows, shape.total, shape.events)}
        rows, ids = [], []
        rejected: dict[str, int] = {}
        for row, sample in enumerate(found.samples):
            if row in used:
                continue
            kind = scalar_kind(sample.name, _type_of(found.types, sample.name))
            number = self._admit(sample.name, sample.labels, kind, now_ns)
            if number < 0:
                reason = REASONS[number]
                rejected[reason] = rejected.get(reason, 0) + 1
                continue
            rows.append(row)
            ids.append(number)
        kept, shape_ids = [], []
        for shape, family, labels in shapes:
            number = self._admit(family, labels, shape.kind, now_ns)
            if number < 0:
                reason = REASONS[number]
                rejected[reason] = rejected.get(reason, 0) + 1
                continue
            kept.append(shape)
            shape_ids.append(number)
        return _Plan(
            self.interner.table.epoch, found.layout, np.array(rows, np.intp), np.array(ids, np.int32),
            tuple(kept), np.array(shape_ids, np.int32), rejected, len(found.samples),
        )  # fmt: skip

    def _admit(self, name: str, labels: Labels, kind: Kind, now_ns: int) -> int:
        own = naming.labels(labels, (), self.source)
        return self.interner.admit(self.principal, Identity(self.source, name, own, kind), now_ns)


def _points(plan: _Plan, values: Floats, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Points:
    n = len(plan.rows)
    whole = n == plan.samples  # every row is a scalar
    return Points(
        plan.ids,
        times if whole else times[plan.rows],
        np.zeros(n, np.int64),
        values if whole else values[plan.rows],
        _distributions(plan, values, times) if plan.shapes else Distributions.none(),
        dict(plan.rejected),
    )


def _distributions(
    plan: _Plan, values: Floats, times: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Distributions:
    shapes = plan.shapes
    first = np.cumsum([0, *(len(shape.rows) for shape in shapes)])
    edge = np.array([edge for shape in shapes for edge in shape.edges])
    weight = values[np.array([row for shape in shapes for row in shape.rows], np.intp)]
    for at, shape in enumerate(shapes):
        if shape.kind == Kind.HISTOGRAM:  # what is written adds up from bucket to bucket
            inside = slice(first[at], first[at + 1])
            weight[inside] = np.diff(weight[inside], prepend=0.0)
    counts = np.array([shape.events for shape in shapes], np.intp)
    totals = np.array([shape.total for shape in shapes], np.intp)
    total = np.where(totals < 0, np.nan, values[totals])
    return Distributions(
        plan.shape_ids, times[counts], np.zeros(len(shapes), np.int64), values[counts], total,
        first.astype(np.int64), edge, weight,
    )  # fmt: skip


def _type_of(types: dict[str, str], name: str) -> int:
    """Of the family that a sample belongs to."""
    if name in types:
        return _TYPES.get(types[name], UNSPECIFIED)
    stem, _, suffix = name.rpartition("_")
    found = types.get(stem, "")
    return _TYPES[found] if f"_{suffix}" in _PARTS.get(found, ()) else UNSPECIFIED


def _shapes(found: Exposition) -> list[tuple[_Shape, str, Labels]]:
    """Histograms and summaries that are whole: with a count, and a histogram with its last bucket."""
    parts: dict[tuple[str, Labels], dict[str, list[tuple[float, int]]]] = {}
    for row, sample in enumerate(found.samples):
        for family, type_, part in _belongs(found.types, sample):
            edge, rest = _edge_of(sample.labels, _EDGE[type_] if part == _PARTS[type_][0] else "")
            if edge is not None:
                parts.setdefault((family, rest), {}).setdefault(part, []).append((edge, row))
    shapes = []
    for (family, labels), rows in parts.items():
        type_ = found.types[family]
        shape = _shape(type_, rows)
        if shape is not None:
            shapes.append((shape, family, labels))
    return shapes


def _belongs(types: dict[str, str], sample: Sample) -> Sequence[tuple[str, str, str]]:
    """Family, type and part of a histogram's or summary's sample; nothing for any other."""
    for part in ("_bucket", "_sum", "_count", ""):
        family = sample.name.removesuffix(part) if part else sample.name
        type_ = types.get(family, "")
        if sample.name == family + part and type_ in _PARTS and part in _PARTS[type_]:
            return [(family, type_, part)]
    return []


def _edge_of(labels: Labels, name: str) -> tuple[float | None, Labels]:
    """The bound in a label, and the other labels, sorted; 0 where there is no bound to look for."""
    if not name:
        return 0.0, tuple(sorted(labels))
    rest = tuple(sorted(pair for pair in labels if pair[0] != name))
    text = dict(labels).get(name)
    try:
        edge = math.nan if text is None else float(text)
    except ValueError:
        edge = math.nan
    return (None if math.isnan(edge) else edge), rest


def _shape(type_: str, rows: dict[str, list[tuple[float, int]]]) -> _Shape | None:
    bounds, total, count = (sorted(rows.get(part, ())) for part in _PARTS[type_])
    edges = tuple(edge for edge, _ in bounds)
    if len(count) != 1 or len(total) > 1 or not edges or len(set(edges)) < len(edges):
        return None
    if type_ == "histogram" and edges[-1] != math.inf:
        return None
    if type_ == "summary" and not all(0 <= edge <= 1 for edge in edges):
        return None
    kind = Kind.HISTOGRAM if type_ == "histogram" else Kind.SUMMARY
    return _Shape(kind, edges, tuple(row for _, row in bounds), total[0][1] if total else -1, count[0][1])
