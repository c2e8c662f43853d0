"""Prometheus's text format, version 0.0.4: parsed whole once, and by its layout from then on. Pure.

A target says the same series in the same order at every scrape, with other values. So the whole parser
(`parse`) is asked once, and `Layout.values` reads the next body by comparing it with the first: a third of a
microsecond a line, a sixth of that where it is compiled; ``prometheus_client``'s parser takes some 30. Tests
hold all of them equal to that one.

Source: the Prometheus documentation, *Exposition formats*, *Text-based format*.
"""

import re
from collections.abc import Callable, Sequence
from operator import getitem, itemgetter
from typing import Any, NamedTuple

import numpy as np

from edgeobs.signals import Floats, Labels

_LINE = re.compile(
    rb"(?P<key>(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]*\{(?P<labels>.*)\})?)[ \t]+"
    rb"(?P<value>[^ \t]+)(?:[ \t]+(?P<time>-?[0-9]{1,18}))?[ \t]*\r?"
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
_float: Callable[[Any], float] = float  # of bytes as of text
_COMMENT = ord("#")
_LONGEST = 32_768  # bytes of a line
_LATEST_MS = ((1 << 63) - 1) // 1_000_000
_COMMENTS = 8  # lines a sample may have with it, and some more

Walk = Callable[..., int]
"""`ingest.exposition_walk.run`."""

TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


class Sample(NamedTuple):
    """One line: a value of a series."""

    name: str
    labels: Labels  # in the order written
    value: float
    time_ms: int | None  # Unix milliseconds; None: when it is scraped


class Exposition(NamedTuple):
    """One body: what families are, and its samples in order."""

    types: dict[str, str]  # family → one of `TYPES`
    samples: list[Sample]
    layout: "Layout | CompiledLayout | None"  # None where samples bring their own time


class Layout:
    """Where in a body its values are: all else must be the same for another body to have it."""

    def __init__(self, lines: Sequence[bytes], rows: Sequence[int], keys: Sequence[bytes]) -> None:
        self._lines = len(lines)
        own = set(rows)
        self._others = [(at, line) for at, line in enumerate(lines) if at not in own]
        self._get = itemgetter(*rows) if len(rows) > 1 else None
        self._keys = tuple(key + b" " for key in keys)
        slices = {len(key): slice(len(key), None) for key in self._keys}
        self._values = tuple(slices[len(key)] for key in self._keys)

    def values(self, body: bytes) -> Floats | None:
        """The values of a body of this layout, in order; None where it has another, or a value is none."""
        lines = body.split(b"\n")
        if len(lines) != self._lines or self._get is None:
            return None
        if any(lines[at] != line for at, line in self._others):
            return None
        found = self._get(lines)
        if not all(map(bytes.startswith, found, self._keys)):
            return None
        try:
            return np.fromiter(map(_float, map(getitem, found, self._values)), np.float64, len(found))
        except ValueError:  # a timestamp, or garbage: whoever reads it whole will say
            return None


class CompiledLayout:
    """The same by the compiled walk: what stands between the values, one piece after the other."""

    def __init__(
        self, lines: Sequence[bytes], rows: Sequence[int], keys: Sequence[bytes], walk: Walk
    ) -> None:
        self._walk, self._n = walk, len(rows)
        with_values = dict(zip(rows, keys, strict=True))
        pieces = [b""]
        for at, line in enumerate(lines):
            key = with_values.get(at)
            pieces[-1] += (b"\n" if at else b"") + (line if key is None else key + b" ")
            if key is not None:
                pieces.append(b"")
        self._literal = _bytes(b"".join(pieces))
        self._ends = np.cumsum([len(piece) for piece in pieces])

    def values(self, body: bytes) -> Floats | None:
        """As `Layout.values`."""
        values, odd = np.empty(self._n), np.empty((self._n, 3), np.int64)
        many = self._walk(_bytes(body), self._literal, self._ends, values, odd)
        if many < 0:
            return None
        try:
            for row, begin, end in odd[:many].tolist():
                values[row] = _float(body[begin:end])
        except ValueError:
            return None
        return values


def _bytes(given: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(given, np.uint8)


def parse(body: bytes, limit: int, walk: Walk | None = None) -> Exposition:
    """Read a body whole; ``walk`` is the compiled loop that reads the next ones, where there is one.

    Raises
    ------
    ValueError
        It is no such text, or has more than ``limit`` samples; names the line. Nothing of it counts.

    """
    lines = body.split(b"\n")
    if len(lines) > _COMMENTS * limit + 1000:
        raise ValueError(f"{len(lines)} lines for at most {limit} samples")
    types: dict[str, str] = {}
    samples: list[Sample] = []
    rows: list[int] = []
    keys: list[bytes] = []
    for at, line in enumerate(lines):
        if len(line) > _LONGEST:
            raise ValueError(f"line {at + 1}: more than {_LONGEST} bytes")
        if not line.strip():
            continue
        if line.lstrip()[0] == _COMMENT:
            _comment(line, at, types)
            continue
        if len(samples) == limit:
            raise ValueError(f"line {at + 1}: more than {limit} samples")
        key, sample = _sample(line, at)
        samples.append(sample)
        rows.append(at)
        keys.append(key)
    timed = any(sample.time_ms is not None for sample in samples)
    if timed:
        return Exposition(types, samples, None)
    layout = Layout(lines, rows, keys) if walk is None else CompiledLayout(lines, rows, keys, walk)
    return Exposition(types, samples, layout)


def _comment(line: bytes, at: int, types: dict[str, str]) -> None:
    parts = line.split(maxsplit=3)
    if len(parts) < 3 or parts[0] != b"#" or parts[1] != b"TYPE":
        return
    name, type_ = _text(parts[2], at), _text(parts[3].strip(), at) if len(parts) > 3 else ""
    if type_ not in TYPES:
        raise ValueError(f"line {at + 1}: expected one of {', '.join(sorted(TYPES))}, found {type_!r:.60}")
    types[name] = type_


def _sample(line: bytes, at: int) -> tuple[bytes, Sample]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"line {at + 1}: expected a sample, found {line!r:.100}")
    try:
        value = float(match["value"])
    except ValueError:
        raise ValueError(f"line {at + 1}: expected a number, found {match['value']!r:.60}") from None
    time = None if match["time"] is None else int(match["time"])
    if time is not None and abs(time) > _LATEST_MS:
        raise ValueError(f"line {at + 1}: a time of more than 64 bits of nanoseconds: {time} ms")
    labels = () if match["labels"] is None else _labels(_text(match["labels"], at), at)
    return match["key"], Sample(match["name"].decode(), labels, value, time)


def _labels(text: str, at: int) -> Labels:
    found: list[tuple[str, str]] = []
    end = 0
    while end < len(text) and text[end:].strip(" \t"):
        match = _LABEL.match(text, end)
        if match is None:
            raise ValueError(f"line {at + 1}: expected a label, found {text[end : end + 60]!r}")
        found.append((match[1], _ESCAPE.sub(_unescape, match[2])))
        end = match.end()
    if len({name for name, _ in found}) < len(found):
        raise ValueError(f"line {at + 1}: a label twice")
    return tuple(found)


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[0])


def _text(raw: bytes, at: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ValueError(f"line {at + 1}: expected UTF-8, found {raw!r:.60}") from None
