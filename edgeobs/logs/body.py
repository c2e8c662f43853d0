"""Bodies → the one line of each that becomes a template."""

import json
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from edgeobs.logs.mask import MORE
from edgeobs.logs.words import severity
from edgeobs.signals import Counts, Int8s, LogBatch

_MESSAGE = ("message", "msg", "log", "body", "event", "MESSAGE", "Message")
_LEVEL = ("level", "severity", "lvl", "log.level", "severity_text", "levelname", "LEVEL")
_KEYS = 32
_DECODE = json.JSONDecoder().decode
NAMED = "<keys>"
"""First word of the template of a JSON object without a message: its keys follow."""

_CUT = "edgeobs_log_bodies_cut_total"


class Lines(NamedTuple):
    """One a record: the line, in bytes as it was sent, and the severity that JSON told (0: none)."""

    text: list[bytes]
    severity: Int8s  # into `SEVERITIES`


def lines(batch: LogBatch, limit: int, counts: Counts) -> Lines:
    """First lines that are not blank, of at most ``limit`` bytes; JSON objects give their message.

    What was cut (a longer line, further lines such as a stack trace) is counted in
    ``edgeobs_log_bodies_cut_total`` by ``what``: ``bytes``, ``lines``.
    """
    text, first = batch.text, batch.first.tolist()
    found = [text[begin:end] for begin, end in pairwise(first)]
    told = np.zeros(len(found), np.int8)
    odd = _objects(batch)
    for row in odd:
        found[row], told[row] = _opened(found[row])
    if b"\n" in text or odd:
        counts[_CUT, "lines"] += _first_lines(found)
    long = [row for row, line in enumerate(found) if len(line) > limit]
    for row in long:
        found[row] = _cut(found[row], limit)
    if long:
        counts[_CUT, "bytes"] += len(long)
    return Lines(found, told)


def _cut(line: bytes, limit: int) -> bytes:
    """What comes before the word at the limit, and a word that says so."""
    whole = line[:limit].rsplit(None, 1)[:-1] if not line[limit : limit + 1].isspace() else [line[:limit]]
    return b" ".join([*whole, MORE.encode()])


def _objects(batch: LogBatch) -> list[int]:
    """Rows whose body may be a JSON object."""
    begins = batch.first[:-1]
    filled = np.flatnonzero(batch.first[1:] > begins)
    marks: list[int] = filled[np.frombuffer(batch.text, np.uint8)[begins[filled]] == ord("{")].tolist()
    return marks


def _first_lines(found: list[bytes]) -> int:
    cut = 0
    for row, line in enumerate(found):
        if b"\n" in line:
            found[row], _, rest = line.lstrip().partition(b"\n")
            cut += bool(rest.strip())
    return cut


def _opened(raw: bytes) -> tuple[bytes, int]:
    """A JSON object's message and level; anything else as it is."""
    try:
        value = _DECODE(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return raw, 0
    if not isinstance(value, dict):
        return raw, 0
    level = 0
    for key in _LEVEL:
        if key in value:
            level = severity(value[key])
            break
    for key in _MESSAGE:
        message = value.get(key)
        if isinstance(message, str):
            return message.encode("utf-8", "replace"), level
    named = " ".join((NAMED, *sorted("_".join(key.split()) for key in value)[:_KEYS]))
    return named.encode("utf-8", "replace"), level
