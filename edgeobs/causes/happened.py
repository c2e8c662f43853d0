"""What happened around an incident, as logs and traces count it (`edgeobs.past`) → clues of what changed."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.causes.changes import changes, usual
from edgeobs.causes.contrast import due, slow
from edgeobs.causes.model import Clue
from edgeobs.causes.settings import Settings
from edgeobs.past import BINS, INTERVAL_NS, PER_OCTAVE, Counted, Tallies, What
from edgeobs.signals import SECOND, Bools, Floats, Int64s, Resource

Span = tuple[int, int]
"""From when until when, in nanoseconds."""

_MOST_PARTS = 200  # operations and callees of a place


class _Window(NamedTuple):
    """The B intervals that are compared."""

    number: Int64s  # ascending
    before: Bools
    during: Bools


class _Grid(NamedTuple):
    """S series, and how often in each interval: [S, B]."""

    series: tuple[Counted, ...]
    many: Floats


def happened(
    lines: Tallies,
    spans: Tallies,
    begin_ns: int,
    end_ns: int,
    troubles: Iterable[Span],
    settings: Settings | None = None,
) -> list[Clue]:
    """Clues of all that is unlike what was due between two times.

    Parameters
    ----------
    lines, spans
        What is counted of logs and of traces. Where no request is known of a place, nothing is due there.
    begin_ns, end_ns
        When it is thought to have begun, and up to when all is known: ``settings.changes_s`` of that count.
    troubles
        When something else was wrong: that tells nothing of what is usual, unless nothing else is there.

    """
    settings = settings or Settings()
    whole = spans.intervals[spans.intervals >= max(lines.since, spans.since)]
    window = _window(whole, begin_ns, end_ns, troubles, settings)
    if window is None:
        return []
    requests, calls = _grid(spans, window, "requests"), _grid(spans, window, "calls")
    rest = [_grid(lines, window, "lines"), calls, _grid(spans, window, "failed")]
    exposed = [(grid, _due(grid, requests, calls, window)) for grid in rest]
    exposed += [_slow(spans, window, what, settings) for what in ("spans", "ways")]
    begins = window.number * INTERVAL_NS
    return [
        clue
        for grid, exposure in exposed
        for clue in changes(grid.series, grid.many, exposure, begins, window.before, window.during)
    ]


def calm(begins_ns: Int64s, troubles: Iterable[Span]) -> Bools:
    """Which intervals are in none of these times."""
    found = np.ones(len(begins_ns), np.bool_)
    for begin, end in troubles:
        found &= (begins_ns + INTERVAL_NS <= begin) | (begins_ns >= end)
    return found


def _window(
    intervals: Int64s, begin_ns: int, end_ns: int, troubles: Iterable[Span], settings: Settings
) -> _Window | None:
    begins, ends = intervals * INTERVAL_NS, (intervals + 1) * INTERVAL_NS
    last = min(end_ns, begin_ns + int(settings.changes_s * SECOND))
    during = (begins >= begin_ns) & (ends <= last)
    before = usual(ends, calm(begins, troubles), begin_ns, settings)
    if not before.any():  # it was never calm: what lasts is usual
        before = usual(ends, np.ones(len(ends), np.bool_), begin_ns, settings)
    if not during.any() or not before.any():
        return None
    near = before | during
    return _Window(intervals[near], before[near], during[near])


def _grid(tallies: Tallies, window: _Window, what: What) -> _Grid:
    rows, series, row, column, entry = _within(tallies, window, what)
    wide = len(window.number)
    flat = np.bincount(row * wide + column, tallies.many[entry], rows * wide)
    return _Grid(series, flat.reshape(rows, wide).astype(np.float64))


def _within(
    tallies: Tallies, window: _Window, what: What
) -> tuple[int, tuple[Counted, ...], Int64s, Int64s, Int64s]:
    """Of one thing: how many series, which, and of each entry in the window its row, column and place."""
    chosen = [row for row, each in enumerate(tallies.series) if each.what == what]
    new = np.full(len(tallies.series) + 1, -1, np.int64)
    new[chosen] = np.arange(len(chosen))
    column = np.minimum(np.searchsorted(window.number, tallies.interval), len(window.number) - 1)
    inside = (window.number[column] == tallies.interval) & (new[tallies.row] >= 0)
    entry = np.flatnonzero(inside)
    series = tuple(tallies.series[row] for row in chosen)
    return len(chosen), series, new[tallies.row[entry]], column[entry], entry


def _due(grid: _Grid, requests: _Grid, calls: _Grid, window: _Window) -> Floats:
    """How often each was due, by the requests of its place; of lines by its calls too."""
    exposure = np.zeros(grid.many.shape)
    asked, made = _by_place(requests.series), _by_place(calls.series)
    for place, rows in _by_place(grid.series).items():
        if place in asked:
            parts = [requests.many[asked[place]]]
            if grid.series[rows[0]].what == "lines" and place in made:
                parts.append(calls.many[made[place]])
            exposure[rows] = due(grid.many[rows], _few(np.concatenate(parts)), window.before)
    return exposure


def _few(parts: Floats) -> Floats:
    """What is asked for most, and the sum of the rest: what is due of many is not told apart anyway."""
    if len(parts) <= _MOST_PARTS:
        return parts
    order = np.argsort(-parts.sum(axis=1), kind="stable")
    rest = parts[order[_MOST_PARTS - 1 :]].sum(axis=0, keepdims=True)
    return np.concatenate([parts[order[: _MOST_PARTS - 1]], rest])


def _by_place(series: Sequence[Counted]) -> dict[Resource, list[int]]:
    found: dict[Resource, list[int]] = {}
    for row, each in enumerate(series):
        found.setdefault(each.place, []).append(row)
    return found


def _slow(tallies: Tallies, window: _Window, what: What, settings: Settings) -> tuple[_Grid, Floats]:
    """How many of each interval were slow, and out of how many: [S, B] twice."""
    rows, series, row, column, entry = _within(tallies, window, what)
    wide, bins, count = len(window.number), tallies.bin[entry], tallies.many[entry]
    then = window.before[column]
    then_took = np.bincount(row[then] * BINS + bins[then], count[then], rows * BINS)
    usually: Floats = then_took.reshape(rows, BINS).astype(np.float64)
    first = slow(usually, settings.slow_share, round(np.log2(settings.slow_factor) * PER_OCTAVE))
    flat, is_slow = row * wide + column, bins >= first[row]
    every: Floats = np.bincount(flat, count, rows * wide).astype(np.float64)
    late: Floats = np.bincount(flat[is_slow], count[is_slow], rows * wide).astype(np.float64)
    return _Grid(series, late.reshape(rows, wide)), every.reshape(rows, wide)
