"""Operators' words as lines of JSON. Pure."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from edgeobs.detect.feedback import Entry, Target
from edgeobs.signals import SECOND, Identity, Kind, Labels, Resource, Source

AHEAD_NS = 3600 * SECOND
"""How far a word's time may be ahead of our clock: one of next year would make all others fade."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS = {"at", "by", "verdict", "metric", "labels", "node", "zone"}
_PAIR = re.compile(r'([^=,{}"]+)="(.*?)"(?:,(?=[^=,{}"]+=")|$)', re.DOTALL)


class Word(NamedTuple):
    """What an operator said, and who it was."""

    entry: Entry
    by: str = ""

    def text(self) -> str:
        """``series on zone/node, by NAME``."""
        (name, labels, place), by = self.entry.target, f", by {self.by}" if self.by else ""
        series = name if labels is None else Identity(Source((), place), name, labels, Kind.GAUGE).text()
        where = f"{place.zone}/{place.node or '*'}" if place.zone else place.node or "*"
        return f"{series} on {where}{by}"


class Bad(NamedTuple):
    """A line that is no word."""

    number: int
    reason: str


def said(node: str, metric: str, verdict: str, by: str, now_ns: int) -> Word:
    """A word said now. ValueError for what is none.

    Parameters
    ----------
    node
        ``node``, ``zone/node``, ``zone/*`` or ``*``.
    metric
        ``name`` is every series of it, ``name{label="value"}`` the one so written, ``name{}`` the bare one.
    verdict
        ``fine`` or ``real``.

    """
    zone, _, node_name = node.rpartition("/")
    name, brace, inside = metric.partition("{")
    if not (node and name and verdict in {"fine", "real"}):
        raise ValueError("expected NODE METRIC fine, or NODE METRIC real")
    labels = _labels(inside) if brace else None
    target = Target(name, labels, Resource(zone=zone, node="" if node_name == "*" else node_name))
    return Word(Entry(target, "fine" if verdict == "fine" else "real", now_ns), by)


def encode(word: Word) -> bytes:
    """A line, its end included. ValueError for text that is not Unicode."""
    (name, labels, place), verdict, at_ns = word.entry
    line: dict[str, Any] = {"at": utc(at_ns).isoformat(), "by": word.by, "verdict": verdict, "metric": name}
    if labels is not None:
        line["labels"] = dict(labels)
    line |= {key: value for key, value in (("node", place.node), ("zone", place.zone)) if value}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def parse(body: bytes, now_ns: int) -> tuple[list[Word], list[Bad]]:
    """The words of a log, in order, and the lines that are none; blank lines are nothing."""
    words, bad = list[Word](), list[Bad]()
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            words.append(_word(json.loads(line.decode()), now_ns))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            bad.append(Bad(number, str(error)))
    return words, bad


def utc(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _labels(inside: str) -> Labels:
    """Of ``label="value",…}``."""
    found, at, end = dict[str, str](), 0, len(inside) - 1
    while inside.endswith("}") and at < end:
        pair = _PAIR.match(inside, at, end)
        if pair is None:
            break
        found[pair[1]], at = pair[2], pair.end()
    if at != end:
        raise ValueError(f'labels: expected label="value",…}}, found {inside[at:]!r}')
    return tuple(sorted(found.items()))


def _word(line: Any, now_ns: int) -> Word:
    if not isinstance(line, dict):
        raise TypeError("expected an object")
    if unknown := line.keys() - _KEYS:  # a misspelt node would be every node
        raise ValueError(f"expected {', '.join(sorted(_KEYS))}; found {min(unknown)!r}")
    name, verdict, labels = line.get("metric"), line.get("verdict"), line.get("labels")
    if verdict not in {"fine", "real"}:
        raise ValueError(f"verdict: expected fine or real, found {verdict!r}")
    if not (labels is None or isinstance(labels, dict)):
        raise TypeError(f"labels: expected an object, found {labels!r}")
    by, node, zone = (line.get(key, "") for key in ("by", "node", "zone"))
    texts = (name, by, node, zone, *(labels or {}).values())
    if not name or not all(isinstance(text, str) for text in texts):
        raise TypeError("expected a metric, and texts")
    pairs = None if labels is None else tuple(sorted(labels.items()))
    target = Target(name, pairs, Resource(zone=zone, node=node))
    return Word(Entry(target, verdict, _time(line.get("at"), now_ns)), by)


def _time(text: Any, now_ns: int) -> int:
    at = datetime.fromisoformat(text) if isinstance(text, str) else None
    if at is None or at.tzinfo is None:
        raise ValueError(f"at: expected RFC 3339 with an offset, found {text!r}")
    at_ns = (at - _EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 <= at_ns <= now_ns + AHEAD_NS:
        raise ValueError(f"at: {text} is ahead of the clock, or before 1970")
    return at_ns
