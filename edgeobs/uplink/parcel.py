"""What travels: one OTLP request with a number of its own, so that it is taken once. Pure.

A parcel is a standard OTLP/HTTP request: any OTLP receiver may take it. Two headers more make it idempotent:
``Edgeobs-Parcel: <node>/<queue>/<lane>/<sequence>`` and ``Edgeobs-Kind``. The receiver answers with
``Edgeobs-Last``, the highest sequence of that lane which it has taken and will never need again.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["incident", "window", "summary"]
Lane = Literal["first", "rest"]

LANES: dict[Kind, Lane] = {"incident": "first", "window": "rest", "summary": "rest"}
"""Incidents do not wait behind hours of summaries. Order holds within a lane."""

PATHS: dict[Kind, str] = {"incident": "/v1/logs", "window": "/v1/metrics", "summary": "/v1/metrics"}
"""Below the receiver's base, as OTLP/HTTP has them."""

PARCEL, KIND, LAST = "edgeobs-parcel", "edgeobs-kind", "edgeobs-last"
"""Names of the headers."""

_UNSAFE, _QUOTED = re.compile(rb"[^A-Za-z0-9._-]"), re.compile(rb"%([0-9A-Fa-f]{2})")
_QUEUE = re.compile(r"[0-9a-f]{32}")
_MOST = 1 << 62


class Letter(NamedTuple):
    """What is to be told: a gzipped OTLP request.

    ``key`` is what it is about: a newer letter of the same key takes the place of one that still waits.
    """

    kind: Kind
    made_ns: int
    body: bytes
    key: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One request as it waits; ``body`` is gzip."""

    kind: Kind
    sequence: int
    made_ns: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Label:
    """Which parcel: no two have the same, whatever is killed or lost on either side."""

    node: str
    queue: str  # 32 hexadecimal digits, drawn when the queue's file is made
    lane: Lane
    sequence: int  # ≥ 1, rising within (queue, lane); never used again

    def text(self) -> str:
        """As the header has it."""
        return f"{_quoted(self.node)}/{self.queue}/{self.lane}/{self.sequence}"


def read_label(text: str) -> Label:
    """The inverse; ValueError says what is wrong."""
    parts = text.split("/")
    if len(parts) != 4:
        raise ValueError(f"{PARCEL}: expected node/queue/lane/sequence, found {text!r:.100}")
    node, queue, lane, sequence = _unquoted(parts[0]), *parts[1:]
    if not 0 < len(node) <= 253:
        raise ValueError(f"{PARCEL}: expected a node's name, found {node!r:.100}")
    if not _QUEUE.fullmatch(queue):
        raise ValueError(f"{PARCEL}: expected 32 hexadecimal digits, found {queue!r:.100}")
    number = int(sequence) if sequence.isascii() and sequence.isdigit() and len(sequence) < 20 else 0
    if not 0 < number <= _MOST:
        raise ValueError(f"{PARCEL}: expected a sequence from 1, found {sequence!r:.100}")
    known: dict[str, Lane] = {name: name for name in LANES.values()}
    if lane not in known:
        raise ValueError(f"{PARCEL}: expected the lane first or rest, found {lane!r:.100}")
    return Label(node, queue, known[lane], number)


def read_kind(text: str, lane: Lane) -> Kind:
    """What a parcel carries; ValueError when its lane has no such thing."""
    for kind, own in LANES.items():
        if kind == text and own == lane:
            return kind
    known = [kind for kind, own in LANES.items() if own == lane]
    raise ValueError(f"{KIND}: expected {' or '.join(known)} in lane {lane}, found {text!r:.100}")


def _quoted(text: str) -> str:
    """Percent-encoded as in a URL: the label is a header."""
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], text.encode()).decode("ascii")


def _unquoted(text: str) -> str:
    try:
        return _QUOTED.sub(lambda found: bytes([int(found[1], 16)]), text.encode()).decode()
    except UnicodeError:
        raise ValueError(f"{PARCEL}: expected a node's name in UTF-8, found {text!r:.100}") from None


Standing = Literal["new", "known", "gap"]


def standing(last: int, sequence: int) -> Standing:
    """What a sequence is to who has taken all up to ``last``: ``gap`` is new too, and some are missing.

    Some may: the sender drops the oldest summaries when its queue is full.
    """
    if sequence <= last:
        return "known"
    return "new" if sequence == last + 1 else "gap"
