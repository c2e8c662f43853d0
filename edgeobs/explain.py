"""What a core knows of a node's series and why it thinks so: read from its snapshot, while it runs or not."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeobs import snapshot
from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.explain import Explanation
from edgeobs.detect.law import WARM
from edgeobs.detect.sample import LAST
from edgeobs.incidents.exhibit import unit_of
from edgeobs.incidents.points import band
from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Identity, Resource

STAGE = "detect.series"
AHEAD_S = (300, 900, 1800, 3600)
"""Seconds after a series' last sample at which it is forecast."""
LISTED, SHOWN = 40, 5
"""Series in the list of a node, and in whole, unless told otherwise."""
_NEAR = 5  # names that an error offers
_SHORT = ("level", "drift", "hour", "shape", "flat")  # views, as heads of columns
_WIDE = 60  # characters of a series in the list


class Unreadable(ValueError):
    """There is no snapshot that can be used; the message says where it was looked for, and why."""


class Unknown(LookupError):
    """No such node, or no such series of it; the message has the nearest names."""


class Ahead(NamedTuple):
    """What is expected of a series ``in_s`` seconds after its last sample; NaN: it is too young."""

    in_s: int
    expected: float
    spread: float


class Told(NamedTuple):
    """One series: its last sample, what that would score were it to come again, and what is to come."""

    identity: Identity
    at_ns: int
    found: Explanation
    ahead: tuple[Ahead, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a snapshot holds of series."""

    path: Path
    identities: list[Identity | None]  # by series id
    bank: SeriesBank


def run(folder: Path, settings: Settings, node: str, metric: str, most: int | None, *, as_json: bool) -> str:
    """What the command prints: a list of a node's series or, of those that ``metric`` fits, everything.

    ``most`` bounds them; None: `LISTED` or `SHOWN`. Raises Unreadable, Unknown.
    """
    learned = read(folder, settings)
    told = of_node(learned, node, metric)
    bound = most or (SHOWN if metric else LISTED)
    if as_json:
        return to_json(learned, node, told, bound)
    return _plain(as_details(learned, told, bound) if metric else as_list(learned, node, told, bound))


def read(folder: Path, settings: Settings) -> Learned:
    """The snapshot in a core's data directory. Raises Unreadable."""
    path = folder / snapshot.NAME
    try:
        table, _, stages = snapshot.read(path)
        bank = SeriesBank(settings, fast=False, home=lambda number: _home(table.identities[number]))
        if STAGE not in stages:
            raise Unreadable(f"{path}: holds nothing of the detector of series ({STAGE})")
        bank.restore(stages[STAGE])
    except FileNotFoundError as error:
        raise Unreadable(
            f"{path}: no snapshot there; a core writes one every engine.snapshot_interval_s and when it ends "
            "(say where with --config or --data-dir)"
        ) from error
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except ValueError as error:
        told = str(error)
        raise Unreadable(told if told.startswith(str(path)) else f"{path}: {told}") from error
    return Learned(path, table.identities, bank)


def _home(identity: Identity | None) -> Resource:
    if identity is None:
        raise KeyError(identity)
    return identity.source.resource


def of_node(learned: Learned, node: str, metric: str = "") -> list[Told]:
    """The series of a node that have shown something, the most surprising first.

    Parameters
    ----------
    node
        Its name, or with its zone before it: ``zone/node``. Raises Unknown for any other.
    metric
        Shell-style pattern of names, or of ``name{label="value"}``; empty: all. Unknown when it fits none.

    """
    mine = {
        number: identity
        for number, identity in enumerate(learned.identities)
        if identity is not None and node in _names(identity)
    }
    if not mine or not node:
        known = {_names(identity)[0] for identity in learned.identities if identity is not None} - {""}
        raise Unknown(f"{node!r}: no such node in {learned.path}; {_nearest(node, known)}")
    chosen = [number for number, identity in mine.items() if not metric or _fits(identity, metric)]
    if not chosen:
        known = {identity.text() for identity in mine.values()} | {each.name for each in mine.values()}
        raise Unknown(f"{metric!r}: no such series of {node}; {_nearest(metric, known)}")
    memory = learned.bank.memory
    heard = [number for number in chosen if number < len(memory) and memory.at_ns[number] > 0]
    told = [_told(learned.bank, number, mine[number]) for number in heard]
    return sorted(told, key=lambda each: (-each.found.score, -each.found.joined, each.identity.text()))


def _names(identity: Identity) -> tuple[str, str]:
    place = identity.source.resource
    return place.node, f"{place.zone}/{place.node}"


def _fits(identity: Identity, metric: str) -> bool:
    text = identity.text()
    return metric in {identity.name, text} or fnmatchcase(identity.name, metric) or fnmatchcase(text, metric)


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=_NEAR, cutoff=0.4)
    if near:
        return _plain(f"nearest: {', '.join(near)}")
    some = ", ".join(sorted(known)[:_NEAR])
    return (
        f"there are {len(known)}: {some}{', …' if len(known) > _NEAR else ''}" if known else "there is none"
    )


def _told(bank: SeriesBank, number: int, identity: Identity) -> Told:
    at_ns, last = int(bank.memory.at_ns[number]), float(bank.memory.reals[number, LAST])
    found = bank.explain(number, at_ns, last)
    found = bank.explain(number, at_ns + int(found.interval_s * SECOND), last)
    times = at_ns + np.array(AHEAD_S, np.int64) * SECOND
    expected, spread = bank.forecast(np.full(len(times), number, np.int32), times)
    ahead = zip(AHEAD_S, expected.tolist(), spread.tolist(), strict=True)
    return Told(identity, at_ns, found, tuple(Ahead(*each) for each in ahead))


def to_json(learned: Learned, node: str, told: Sequence[Told], most: int) -> str:
    """All of it in one object; what is not known is null. Times are Unix nanoseconds."""
    rows = [_object(each) for each in told[:most]]
    whole = {
        "snapshot": str(learned.path), "node": node, "series": rows, "left_out": len(told) - len(rows)
    }  # fmt: skip
    return json.dumps(whole, indent=2) + "\n"


def _object(each: Told) -> dict[str, Any]:
    found, place = each.found, each.identity.source.resource
    views = [
        view._asdict() | {"share": share} for view, share in zip(found.views, found.shares(), strict=True)
    ]
    whole: dict[str, Any] = {
        "series": each.identity.text(), "unit": unit_of(each.identity), "place": place._asdict(),
        "at_ns": each.at_ns, **found._asdict(), "views": views,
        "forecast": [ahead._asdict() for ahead in each.ahead],
    }  # fmt: skip
    finite: dict[str, Any] = _finite(whole)
    return finite


def _finite(what: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(what, dict):
        return {key: _finite(value) for key, value in what.items()}
    if isinstance(what, list):
        return [_finite(value) for value in what]
    return None if isinstance(what, float) and not isfinite(what) else what


def as_list(learned: Learned, node: str, told: Sequence[Told], most: int) -> str:
    """A line a series, the most surprising first."""
    head = ("score", "series", "last", "expected", *_SHORT, "learned", "in 1 h")
    lines = [_line(each) for each in told[:most]]
    newest = _time(max((each.at_ns for each in told), default=0)) if told else "never"
    return (
        f"{node}: {len(told)} series, last heard {newest}, from {learned.path}\n\n"
        f"{_table([head, *lines])}\n{_left_out(told, most)}\n"
        "Decades by view, and what they score together, were the last value to come again; 6 is one in a\n"
        "million samples. Expected: within 3 spreads. View by view: edgeobs explain NODE METRIC\n"
    )


def as_details(learned: Learned, told: Sequence[Told], most: int) -> str:
    """Everything that is known of each series."""
    parts = [_details(each) for each in told[:most]]
    return f"From {learned.path}\n\n" + "\n".join(parts) + _left_out(told, most)


def _line(each: Told) -> tuple[str, ...]:
    found, unit = each.found, unit_of(each.identity)
    decades = [f"{view.decades:.1f}" for view in found.views]
    hour = each.ahead[-1]
    return (
        f"{found.score:.1f}", _who(each.identity)[:_WIDE], quantity(found.value, unit),
        _range(found.expected, found.spread, unit), *decades, _learned(found),
        _range(hour.expected, hour.spread, unit),
    )  # fmt: skip


def _details(each: Told) -> str:
    found, unit, place = each.found, unit_of(each.identity), each.identity.source.resource
    by = f", by {found.view}" if found.view else ""
    young = f" of {WARM:.0f} before the first score" if found.n < WARM else ""
    days = f"; time of day over {found.days} days" if found.days else ""
    views = [
        (view.name, *_expected(view.expected, view.spread, unit), f"{view.decades:.2f}", f"{share:.0%}")
        for view, share in zip(found.views, found.shares(), strict=True)
    ]
    ahead = [
        (f"in {_long(a.in_s)}", *_expected(a.expected, a.spread, unit), _range(a.expected, a.spread, unit))
        for a in each.ahead
    ]
    facts = [
        ("place", "/".join(part for part in place if part)),
        ("last", f"{quantity(found.value, unit)}, {_time(each.at_ns)}, every {_long(found.interval_s)}"),
        ("expected", _range(found.expected, found.spread, unit)),
        ("score", f"{found.score:.2f} decades{by}, if it came again"),
        ("joined", f"{found.joined:.2f} decades, √ of the views' squares; lately {found.smoothed:.2f}"),
        ("learned", f"{found.n} samples{young}, {_learned(found)}{days}"),
    ]
    parts = (
        each.identity.text(),
        _table(facts),
        _table([("view", "expected", "spread", "decades", "share"), *views]),
        _table([("forecast", "expected", "spread", "range"), *ahead]),
    )
    return "\n\n".join(parts) + "\n"


def _who(identity: Identity) -> str:
    """A series, with what it is of beside the node."""
    of = identity.source.resource.pod or identity.source.resource.workload
    return f"{of}: {identity.text()}" if of else identity.text()


def _expected(expected: float, spread: float, unit: str) -> tuple[str, str]:
    return (quantity(expected, unit), quantity(spread, unit)) if isfinite(expected) else ("–", "–")


def _range(expected: float, spread: float, unit: str) -> str:
    low, high = band(expected, spread)
    return f"{quantity(low, unit)} to {quantity(high, unit)}" if isfinite(low) else "–"


def _learned(found: Explanation) -> str:
    return _long(found.n * found.interval_s)


def _long(seconds: float) -> str:
    """A time as people say it: ``45 s``, ``3.2 h``."""
    units = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))
    size, name = next(((s, n) for s, n in units if seconds >= s), (1.0, "s"))
    return f"{seconds / size:.3g} {name}"


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _left_out(told: Sequence[Told], most: int) -> str:
    return f"{len(told) - most} calmer series left out; --most shows more\n" if len(told) > most else ""


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _plain(text: str) -> str:
    """What senders call things may not command a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
