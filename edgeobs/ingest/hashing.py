"""The keyed hash of raw bytes, and the open-addressed table it is looked up in. Compiled; needs Numba.

A key is a sequence of byte strings (sections). Its hash is two polynomials of the key's words, modulo the
prime 2^61 − 1, each evaluated at its own secret random point (Carter and Wegman 1979). A section is written
as its length and then 7 bytes a word, so that different keys are different polynomials, and two polynomials
of at most L words agree in at most L points. So for ANY two keys, made without knowledge of the secret, the
odds of the same 2 × 61 bits are at most (L / 2^61)²: proven, where 128 bits of a common hash would only be
hoped for. Ten million aliases of one kibibyte each: the chance that any two collide is below 2^-60. Nothing
of the hash leaves the process, so the secret cannot be probed.

State is two uint64 ``a, b``. Write::

    a, b = start(seed)  # seed: Aliases.ready(principal)
    a, b = absorb(keys, a, b, buffer, i, j)  # per section; keep (a, b) to share a prefix
    a, b = absorb_word(keys, a, b, np.uint64(w))  # a number < 2^56; the first names the format
    a, b = finish(a, b)
    number = find(slots, a, b)                    # id, a refusal (< -1), or MISSING (-1)
"""

import numpy as np
from numpy.typing import NDArray

from edgeobs.ingest.machine import dot61, fold, load64, mul61
from edgeobs.jit import compiled

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

MISSING = -1
PRIME = (1 << 61) - 1
_P = np.uint64(PRIME)
_61 = np.uint64(61)
_32 = np.uint64(32)
_MASK56 = np.uint64((1 << 56) - 1)
_BIAS = 8  # so that the number of a taken slot, refusals included, is never 0
_ONE = np.uint64(1)


@compiled
def start(seed: int) -> tuple[np.uint64, np.uint64]:
    """State before the first section; ``seed`` in [0, 2^56) tells senders apart."""
    return np.uint64(seed) + _ONE, np.uint64(seed) + _ONE


@compiled
def word(buffer: Bytes, i: int, n: int) -> np.uint64:
    """``n`` (1 to 7) bytes from index i as a little-endian number; never reads past the buffer."""
    if i + 8 <= buffer.size:
        whole: np.uint64 = load64(buffer, i)
        return whole & ((_ONE << np.uint64(8 * n)) - _ONE)
    value = np.uint64(0)
    for k in range(n):
        value |= np.uint64(buffer[i + k]) << np.uint64(8 * k)
    return value


@compiled
def absorb_word(keys: Words, a: np.uint64, b: np.uint64, value: np.uint64) -> tuple[np.uint64, np.uint64]:
    """State after a number below 2^56."""
    return mul61(a + value, keys[0]), mul61(b + value, keys[2])


@compiled
def absorb(
    keys: Words, a: np.uint64, b: np.uint64, buffer: Bytes, i: int, j: int
) -> tuple[np.uint64, np.uint64]:
    """State after the section ``buffer[i:j]``; 0 ≤ i ≤ j ≤ its size."""
    n = np.uint64(j - i)
    a = mul61(a + n, keys[0])
    b = mul61(b + n, keys[2])
    # Two words a step: (h + u)·k² + v·k is the same polynomial with half the chain of multiplications.
    safe = min(j, buffer.size - 1)
    while i + 14 <= safe:
        u = load64(buffer, i) & _MASK56
        v = load64(buffer, i + 7) & _MASK56
        a = dot61(a + u, keys[1], v, keys[0])
        b = dot61(b + u, keys[3], v, keys[2])
        i += 14
    while i < j:
        u = word(buffer, i, min(7, j - i))
        a = mul61(a + u, keys[0])
        b = mul61(b + u, keys[2])
        i += 7
    return a, b


@compiled
def finish(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The one representative of each half, in [0, 2^61 − 1)."""
    a = (a & _P) + (a >> _61)
    b = (b & _P) + (b >> _61)
    return (a - _P if a >= _P else a), (b - _P if b >= _P else b)


@compiled
def home(slots: Words, a: np.uint64, b: np.uint64) -> int:
    """Where the search for a finished hash begins: the high half of 32 of its bits times the size."""
    size = np.uint64(slots.shape[0])
    return int(np.int64(((fold(a, b) >> _32) * size) >> _32))


@compiled
def find(slots: Words, a: np.uint64, b: np.uint64) -> int:
    """The number remembered for a finished hash, or MISSING. ``slots`` is uint64[below 2^32, 3]."""
    i = home(slots, a, b)
    while True:
        taken = slots[i, 2]
        if slots[i, 0] == a and slots[i, 1] == b and taken != 0:
            return int(np.int64(taken) - _BIAS)
        if taken == 0:
            return MISSING
        i = i + 1 if i + 1 < slots.shape[0] else 0


@compiled
def insert(slots: Words, a: Words, b: Words, numbers: NDArray[np.int32]) -> int:
    """Remember numbers (≥ −7) by their finished hashes; how many were new. There must be room for all."""
    new = 0
    for k in range(a.size):
        i = home(slots, a[k], b[k])
        while slots[i, 2] != 0 and not (slots[i, 0] == a[k] and slots[i, 1] == b[k]):
            i = i + 1 if i + 1 < slots.shape[0] else 0
        new += slots[i, 2] == 0
        slots[i, 0] = a[k]
        slots[i, 1] = b[k]
        slots[i, 2] = np.uint64(np.int64(numbers[k]) + _BIAS)
    return new


def numbers_of(slots: Words) -> NDArray[np.int32]:
    """The numbers of the rows of a table that are taken."""
    return (slots[:, 2].astype(np.int64) - _BIAS).astype(np.int32)
