"""What the compiled walk over OTLP spans reads and writes, and how it ends. Needs Numba."""

from typing import NamedTuple

from edgeobs.ingest.hashing import Bytes, Words
from edgeobs.ingest.wire import Schema
from edgeobs.signals import Bools, Int8s, Int32s, Int64s

DONE, ODD, FULL = 0, 1, 2
"""How a walk ends: done; met something for the reference decoder; out of room in the columns."""

BLOCKS, SPANS, NAMES = range(3)
"""Places in `Out.n`: how much is used of the columns."""

# Message types, as places in `Look.types`.
T_REQUEST, T_RESOURCE_SPANS, T_RESOURCE, T_SCOPE_SPANS, T_SPAN, T_KEY_VALUE, T_ANY_VALUE, T_STATUS = range(8)


class Look(NamedTuple):
    """What a walk reads."""

    buffer: Bytes
    keys: Words  # of the hash
    schema: Schema
    types: Int64s
    peers: Bytes  # the keys of `otlp_spans.PEERS`, joined
    peer_first: Int64s  # where each begins, and where the last ends
    peer_size: Bools  # [64]: whether one of them is so long
    stack: Int64s  # scratch of `wire.valid`


class Out(NamedTuple):
    """What a walk writes."""

    block: Int64s  # [r, 4]: start and stop of a ResourceSpans, and of its resource
    source: Int32s
    name: Int32s
    peer: Int32s
    kind: Int8s
    failed: Bools
    start: Words
    end: Words
    ids: Words  # [n, 4], bytes as sent: trace, trace, span, parent
    names: Int64s  # [m, 2]: start and stop of each name, in order of first use
    slots: Words  # [size, 3]: the hash of a name → its number, as `hashing.find` reads it
    n: Int64s
    rejected: Int64s  # by −refusal
