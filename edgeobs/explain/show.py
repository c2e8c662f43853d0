"""What is known of a node's series, for people and as JSON."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from edgeobs.detect.explain import Explanation
from edgeobs.detect.law import WARM
from edgeobs.explain.read import Learned, Told
from edgeobs.incidents.exhibit import unit_of
from edgeobs.incidents.points import band
from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Identity

_SHORT = ("level", "drift", "hour", "shape", "flat")  # views, as heads of columns
_WIDE = 60  # characters of a series in the list


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
