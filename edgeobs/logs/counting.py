"""Lines counted by pod, interval, severity and template; what of it becomes series."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeobs.logs.settings import Settings
from edgeobs.signals import (
    SECOND,
    SEVERITIES,
    Admit,
    Counts,
    Identity,
    Int8s,
    Int32s,
    Int64s,
    Kind,
    Points,
    Principal,
    Source,
)

NAME = "log_lines"
OTHER = "other"
"""Value of the label ``template`` for lines that have no series by template."""

_DROPPED = "edgeobs_log_lines_dropped_total"
_NOT_YET = -2
_REFUSED = -1
_ROWS = 200_000  # of all pods together, past which no more templates are watched; some 250 bytes each
_CANDIDATES = 4  # times as many templates are watched for a second interval as may have series


Tally = tuple[str, int, int]
"""Template (empty: none), severity, and how many lines had both."""


class _Row:
    __slots__ = ("asked", "first", "last", "seated", "series")

    def __init__(self, interval: int) -> None:
        self.seated = False  # one of the templates of its pod that may have a series
        self.first = self.last = interval  # in which it was heard
        self.asked = interval - 1  # in which it last asked for a series
        self.series = _NOT_YET


class _Bucket(NamedTuple):
    due_ns: int
    lines: dict[tuple[str, int], int]


class _Pod:
    __slots__ = ("buckets", "closed", "rows", "seated", "source", "whose")

    def __init__(self, source: Source) -> None:
        self.source, self.whose = source, source.whose()
        self.rows: dict[tuple[str, int], _Row] = {}  # (template or "" for all lines, severity)
        self.buckets: dict[int, _Bucket] = {}
        self.closed = -1  # intervals up to this one are over
        self.seated = 0  # rows that are


class _Asking(NamedTuple):
    pod: _Pod
    principal: Principal
    interval: int
    now_ns: int


class Counting:
    """Counts by pod. Every pod has a series by severity, of all its lines, and up to
    ``settings.source_series`` by template and severity.

    Parameters
    ----------
    counts
        Dropped lines are counted by reason: ``late`` (their interval is over), ``sources`` (no room for
        another pod).
    admit
        Gives the ids of series.

    """

    def __init__(self, settings: Settings, counts: Counts, admit: Admit) -> None:
        self.settings, self.counts, self._admit = settings, counts, admit
        self._span = int(settings.interval_s * SECOND)
        self._quiet = max(1, round(settings.quiet_s / settings.interval_s))
        self._pods: dict[tuple[int, Source], _Pod] = {}
        self._series: dict[int, _Row] = {}
        self._due_ns = 1 << 63
        self._rows = 0

    def take(
        self, principal: Principal, source: Source, interval: int, tallies: Sequence[Tally], now_ns: int
    ) -> None:
        """Count lines of one pod that were written in one interval (its number since 1970)."""
        pod = self._pod(principal, source)
        if pod is None or interval <= pod.closed:
            self.counts[_DROPPED, "late" if pod else "sources"] += sum(lines for _, _, lines in tallies)
            return
        bucket = pod.buckets.get(interval)
        if bucket is None:
            end = max((interval + 1) * self._span, now_ns)
            bucket = pod.buckets[interval] = _Bucket(end + int(self.settings.grace_s * SECOND), {})
            self._due_ns = min(self._due_ns, bucket.due_ns)
        ask = _Asking(pod, principal, interval, now_ns)
        every, other, counted = [0] * len(SEVERITIES), [0] * len(SEVERITIES), bucket.lines
        for template, severity, lines in tallies:
            every[severity] += lines
            key = (template, severity)
            if template and key in counted:  # its row was seen to in this interval
                counted[key] += lines
            elif template and self._has_own(pod, key, interval):
                self._add(ask, bucket, key, lines)
            else:
                other[severity] += lines
        for severity in np.flatnonzero(every).tolist():
            self._add(ask, bucket, ("", severity), every[severity])
        for severity in np.flatnonzero(other).tolist():
            self._add(ask, bucket, (OTHER, severity), other[severity])

    def close(self, now_ns: int) -> Points:
        """Samples of the intervals that are over, by pod in ascending order."""
        if now_ns < self._due_ns:
            return Points.none()
        self._due_ns = 1 << 63
        rows: list[tuple[int, int, int]] = []  # series, interval, lines
        for key, pod in list(self._pods.items()):
            self._close(pod, now_ns, rows)
            self._due_ns = min([self._due_ns, *(bucket.due_ns for bucket in pod.buckets.values())])
            if not pod.rows and not pod.buckets:
                del self._pods[key]
        table = np.array(rows, np.int64).reshape(-1, 3)
        begin = table[:, 1] * self._span
        return Points(table[:, 0].astype(np.int32), begin + self._span, begin, table[:, 2].astype(np.float64))

    def forget(self, ids: Int32s) -> None:
        """Series that belong to others from now on."""
        for number in ids.tolist():
            row = self._series.pop(number, None)
            if row is not None:
                row.series = _NOT_YET

    def _pod(self, principal: Principal, source: Source) -> _Pod | None:
        key = (principal.id, source)
        pod = self._pods.get(key)
        if pod is None and len(self._pods) < self.settings.sources:
            pod = self._pods[key] = _Pod(source)
        return pod

    def _has_own(self, pod: _Pod, key: tuple[str, int], interval: int) -> bool:
        """Whether a template has a series of its own, from the second interval on in which it is heard."""
        row = pod.rows.get(key)
        if row is None:
            most = _CANDIDATES * (self.settings.source_series + len(SEVERITIES))
            if len(pod.rows) < most and self._rows < _ROWS:
                self._new_row(pod, key, interval)
            return False
        row.last = max(row.last, interval)
        if not row.seated and interval > row.first and pod.seated < self.settings.source_series:
            row.seated = True
            pod.seated += 1
        return row.seated

    def _new_row(self, pod: _Pod, key: tuple[str, int], interval: int) -> _Row:
        row = pod.rows[key] = _Row(interval)
        self._rows += 1
        return row

    def _drop(self, pod: _Pod, key: tuple[str, int]) -> None:
        row = pod.rows.pop(key)
        pod.seated -= row.seated
        self._series.pop(row.series, None)
        self._rows -= 1

    def _add(self, ask: _Asking, bucket: _Bucket, key: tuple[str, int], lines: int) -> None:
        row = ask.pod.rows.get(key)
        if row is None:
            row = self._new_row(ask.pod, key, ask.interval)
        row.last = max(row.last, ask.interval)
        if row.series < 0 and row.asked < ask.interval:
            row.asked = ask.interval
            row.series = max(_REFUSED, self._admit(ask.principal, self._identity(ask.pod, key), ask.now_ns))
            if row.series >= 0:
                self._series[row.series] = row
        bucket.lines[key] = bucket.lines.get(key, 0) + lines

    @staticmethod
    def _identity(pod: _Pod, key: tuple[str, int]) -> Identity:
        template, severity = key
        told = (("severity", SEVERITIES[severity]), ("template", template))
        labels = tuple(sorted((*pod.whose, *(pair for pair in told if pair[1]))))
        return Identity(pod.source, NAME, labels, Kind.DELTA, "{line}")

    def _close(self, pod: _Pod, now_ns: int, found: list[tuple[int, int, int]]) -> None:
        due = [interval for interval, bucket in pod.buckets.items() if bucket.due_ns <= now_ns]
        for interval in sorted(i for i in pod.buckets if due and i <= max(due)):
            lines = pod.buckets.pop(interval).lines
            pod.closed = interval
            for key, row in list(pod.rows.items()):
                if interval - row.last > self._quiet:
                    self._drop(pod, key)
                elif row.series >= 0 and (key in lines or row.first < interval):
                    found.append((row.series, interval, lines.get(key, 0)))
        if pod.rows and not pod.buckets and now_ns - (pod.closed + 1) * self._span > self._quiet * self._span:
            for key in list(pod.rows):
                self._drop(pod, key)


class Groups(NamedTuple):
    """Lines that are alike, counted; sorted by source and interval."""

    source: Int64s
    interval: Int64s
    template: Int64s  # −1: none
    severity: Int64s
    many: Int64s


def grouped(source: Int32s, interval: Int64s, template: Int64s, severity: Int8s) -> Groups:
    """Rows counted."""
    columns = np.stack([source, interval, template, severity]).astype(np.int64)
    columns = columns[:, np.lexsort(columns[::-1])]
    starts = _begins(columns)
    return Groups._make([*columns[:, starts], np.diff(np.r_[starts, columns.shape[1]])])


def tallied(groups: Groups) -> Iterator[tuple[int, int, list[tuple[int, int, int]]]]:
    """For each source and interval (template, severity, how many had both)."""
    runs = _begins(np.stack(groups[:2]))
    for begin, end in pairwise([*runs.tolist(), len(groups.many)]):
        told = (column[begin:end].tolist() for column in groups[2:])
        yield int(groups.source[begin]), int(groups.interval[begin]), list(zip(*told, strict=True))


def _begins(ordered: NDArray[np.int64]) -> Int64s:
    """Where a column differs from the one before."""
    if ordered.shape[1] == 0:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.r_[True, (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)])
