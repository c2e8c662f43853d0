"""Requests of late, known again when they are sent twice.

A Collector that got no answer in time sends the same request once more, though it was taken in. It is known
by what is in it and by its sender, as one: a request costs one digest, however many lines or spans it has.
What a Collector in between has packed anew is not known again.
"""

from hashlib import blake2b

from edgeobs.signals import SECOND, LogBatch, SpanBatch

MOST = 16_384
"""Requests remembered, of some 100 bytes each; the oldest make room."""

FOR_NS = 600 * SECOND
"""For how long: retries of a Collector begin after 5 s and are half a minute apart at most."""


class Again:
    """Digests by when they came."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._came_ns: dict[bytes, int] = {}  # the oldest first

    def is_new(self, digest: bytes, now_ns: int) -> bool:
        """Whether a request was not taken in of late. An empty digest is that of none."""
        return not 0 <= now_ns - self._came_ns.get(digest, now_ns + 1) < FOR_NS

    def remember(self, digest: bytes, now_ns: int) -> None:
        """It was taken in."""
        if digest:
            self._came_ns.pop(digest, None)
            self._came_ns[digest] = now_ns
            while len(self._came_ns) > self.most:
                del self._came_ns[next(iter(self._came_ns))]


def digest(batch: LogBatch | SpanBatch) -> bytes:
    """What a request is known by; empty where two may be alike by chance.

    Lines are, whose times are all whole seconds or not told: somebody who stamps them so may well say the
    same twice. Spans have ids of their own, but for those that have none.
    """
    if isinstance(batch, LogBatch):
        if not (batch.time_ns % SECOND).any():
            return b""
        made = blake2b(batch.text, digest_size=16)
        for column in (batch.time_ns, batch.severity, batch.source, batch.first, batch.trace):
            made.update(column.tobytes())
    else:
        if not batch.span.all():
            return b""
        made = blake2b(batch.span.tobytes(), digest_size=16)
        made.update(batch.trace.tobytes())
    made.update(repr((batch.principal.id, batch.sources)).encode())
    return made.digest()
