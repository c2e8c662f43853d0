"""One series as inline SVG: value, expected range, labels and alarms, and beneath them the score. Pure.

However long the series, a plot is of at most `BUCKETS` columns: of each the lowest and highest value, the
mean expected range and the highest score.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

import numpy as np

from edgeobs.backtest.judge import Alarm
from edgeobs.backtest.track import Track
from edgeobs.incidents.points import BAND
from edgeobs.signals import SECOND, Bools, Floats, Int64s

BUCKETS = 360
MARKS = 200  # alarms or labels drawn
WIDTH, LEFT, RIGHT, TOP, MAIN, GAP, STRIP, AXIS = 960, 76, 10, 16, 130, 10, 40, 18
HEIGHT = TOP + MAIN + GAP + STRIP + AXIS
_INNER = WIDTH - LEFT - RIGHT
_BASE = TOP + MAIN + GAP + STRIP
_ROOM = 1.0  # of the range of values: so far off a band is followed
_LARGEST = 1e300  # arithmetic on what is larger would overflow


class Columns(NamedTuple):
    """A series thinned: everything by column; NaN where there was nothing."""

    time_ns: Int64s
    bottom: Floats
    top: Floats
    low: Floats
    high: Floats
    score: Floats


class _Frame(NamedTuple):
    from_ns: int
    to_ns: int
    low: float
    high: float

    def x(self, time_ns: int) -> float:
        inside = min(max(time_ns, self.from_ns), self.to_ns)
        return LEFT + (inside - self.from_ns) / max(self.to_ns - self.from_ns, 1) * _INNER

    def y(self, value: float) -> float:
        return TOP + MAIN * (1 - (value - self.low) / (self.high - self.low))


def plot(
    track: Track, spans: Sequence[tuple[int, int]], alarms: Sequence[Alarm], threshold: float, what: str
) -> str:
    """An ``<svg>``; ``spans`` are the labels in nanoseconds, ``what`` describes it in words."""
    columns = thinned(track)
    frame = _frame(columns)
    score_top = max(1.5 * threshold, float(columns.score.max(initial=0.0)), 1.0)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(what)}">',
        *(_span(frame, a, b) for a, b in spans[:MARKS]),
        *_grid(frame),
        _band(frame, columns),
        _line(frame, columns),
        _bars(frame, columns, score_top, threshold),
        *(_alarm(frame, alarm) for alarm in alarms[:MARKS]),
        "</svg>",
    ]
    return "".join(parts)


def window(track: Track, from_ns: int, to_ns: int) -> Track:
    """The part of a series between two times."""
    rows = (track.time_ns >= from_ns) & (track.time_ns <= to_ns)
    return Track(track.identity, *(column[rows] for column in track[1:]))  # type: ignore[arg-type]  # same order


def thinned(track: Track) -> Columns:
    """At most `BUCKETS` columns of equal numbers of samples, in order of time."""
    order = np.argsort(track.time_ns, kind="stable")
    starts = np.unique(np.linspace(0, len(order), BUCKETS, endpoint=False).astype(np.int64))
    if not len(order):
        none = np.zeros(0)
        return Columns(np.zeros(0, np.int64), none, none, none, none, none)
    value = np.clip(track.value[order], -_LARGEST, _LARGEST)
    expected = np.clip(track.expected[order], -_LARGEST, _LARGEST)
    spread = np.minimum(track.spread[order].astype(np.float64) * BAND, _LARGEST)
    count = np.diff(np.append(starts, len(order)))
    return Columns(
        track.time_ns[order][starts],
        np.minimum.reduceat(value, starts),
        np.maximum.reduceat(value, starts),
        np.add.reduceat((expected - spread) / np.repeat(count, count), starts),
        np.add.reduceat((expected + spread) / np.repeat(count, count), starts),
        np.maximum.reduceat(track.score[order].astype(np.float64), starts),
    )


def _frame(columns: Columns) -> _Frame:
    low, high = float(columns.bottom.min(initial=_LARGEST)), float(columns.top.max(initial=-_LARGEST))
    if not len(columns.time_ns):
        return _Frame(0, 1, 0.0, 1.0)
    room = _ROOM * max(high - low, 0.05 * max(abs(low), abs(high)), 1e-9)
    lows = columns.low[np.isfinite(columns.low)]
    highs = columns.high[np.isfinite(columns.high)]
    bottom = max(low - room, min(low, float(lows.min(initial=low))))
    top = min(high + room, max(high, float(highs.max(initial=high))))
    pad = 0.05 * (top - bottom) or 1.0
    return _Frame(int(columns.time_ns[0]), int(columns.time_ns[-1]), bottom - pad, top + pad)


def _runs(known: Bools) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(np.int8), [0]])))
    return [(a, b) for a, b in edges.reshape(-1, 2).tolist()]


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _clipped(frame: _Frame, value: float) -> float:
    return frame.y(min(max(value, frame.low), frame.high))


def _band(frame: _Frame, columns: Columns) -> str:
    parts = []
    for a, b in _runs(np.isfinite(columns.low) & np.isfinite(columns.high)):
        xs = [frame.x(t) for t in columns.time_ns[a:b].tolist()]
        upper = [(x, _clipped(frame, v)) for x, v in zip(xs, columns.high[a:b].tolist(), strict=True)]
        lower = [(x, _clipped(frame, v)) for x, v in zip(xs, columns.low[a:b].tolist(), strict=True)]
        parts.append(f"{_path([*upper, *reversed(lower)])}Z")
    return f'<path class="band" d="{"".join(parts)}"/>' if parts else ""


def _line(frame: _Frame, columns: Columns) -> str:
    points = []
    for time_ns, bottom, top in zip(*(c.tolist() for c in columns[:3]), strict=True):
        points.append((frame.x(time_ns), frame.y(bottom)))
        if top > bottom:
            points.append((frame.x(time_ns), frame.y(top)))
    return f'<path class="value" d="{_path(points)}"/>' if points else ""


def _bars(frame: _Frame, columns: Columns, top: float, threshold: float) -> str:
    def tall(score: float) -> float:
        return min(score, top) / top * STRIP

    usual: list[str] = []
    over: list[str] = []
    for time_ns, score in zip(columns.time_ns.tolist(), columns.score.tolist(), strict=True):
        if score >= 0.5:
            bar = f"M{frame.x(time_ns):.1f} {_BASE}v{-tall(score):.1f}"
            (over if score >= threshold else usual).append(bar)
    y = _BASE - tall(threshold)
    return (
        f'<path class="score" d="{"".join(usual)}"/><path class="score over" d="{"".join(over)}"/>'
        f'<path class="threshold" d="M{LEFT} {y:.1f}h{_INNER}"/>'
        f'<path class="grid" d="M{LEFT} {_BASE}h{_INNER}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">opens {threshold:.3g}</text>'
    )


def _grid(frame: _Frame) -> list[str]:
    found = []
    step = _round((frame.high - frame.low) / 3)
    for value in (np.arange(np.ceil(frame.low / step), np.floor(frame.high / step) + 1) * step).tolist():
        y = frame.y(value)
        found.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{_INNER}"/>')
        text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
        found.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    form = "%m-%d %H:%M" if frame.to_ns - frame.from_ns > 600 * SECOND else "%H:%M:%S"
    for share, anchor in ((0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end")):
        time_ns = frame.from_ns + int(share * (frame.to_ns - frame.from_ns))
        text = datetime.fromtimestamp(time_ns / SECOND, UTC).strftime(form)
        x = frame.x(time_ns)
        found.append(f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{text}</text>')
    return found


def _round(step: float) -> float:
    """The next of 1, 2, 5, 10 … at or above."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next((power * digit for digit in (1, 2, 5) if power * digit >= step), power * 10))


def _span(frame: _Frame, start_ns: int, end_ns: int) -> str:
    if end_ns < frame.from_ns or start_ns > frame.to_ns:
        return ""
    x = frame.x(start_ns)
    wide = max(frame.x(end_ns) - x, 2.0)
    return f'<rect class="label" x="{x:.1f}" y="{TOP}" width="{wide:.1f}" height="{_BASE - TOP}"/>'


def _alarm(frame: _Frame, alarm: Alarm) -> str:
    if not frame.from_ns <= alarm.raised_ns <= frame.to_ns:
        return ""
    x = frame.x(alarm.raised_ns)
    kind = "true" if alarm.labels else "false"
    return (
        f'<g class="alarm {kind}"><path d="M{x:.1f} {TOP}V{_BASE}"/>'
        f'<path class="mark" d="M{x - 5:.1f} {TOP - 10}h10l-5 9z"/></g>'
    )
