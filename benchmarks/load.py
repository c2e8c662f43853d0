"""Requests with new stamps and values each time, by patching bytes: a sender that costs next to nothing."""

import threading
import time
from collections.abc import Callable, Sequence

import cramjam
import numpy as np
from numpy.typing import NDArray

from benchmarks.otlp_load import bodies
from benchmarks.serving import Connection, Core

MARK_NS = 0x17C8_1C5B_2A3D_4E5F  # in 2024; as eight bytes it occurs nowhere else in a body
OTLP = "/v1/metrics"
_HEADERS = "Content-Type: application/x-protobuf\r\n"


class Body:
    """One request body whose every stamp and value can be set.

    `otlp_load` writes fields in order of number: the value (tag and eight bytes) follows the time.
    """

    def __init__(self, template: bytes) -> None:
        self.data = np.frombuffer(template, np.uint8).copy()
        mark = np.frombuffer(MARK_NS.to_bytes(8, "little"), np.uint8)
        first = np.flatnonzero(self.data[:-7] == mark[0])
        at = first[(self.data[first[:, None] + np.arange(8)] == mark).all(axis=1)]
        self.points = len(at)
        self._times = at[:, None] + np.arange(8)
        self._values = self._times + 9
        self._random = np.random.default_rng(len(template))

    def stamp(self, time_ns: int, step: int) -> NDArray[np.uint8]:
        """The bytes for another moment: levels vary about 50, counters rise by about 50 a step."""
        self.data[self._times] = np.frombuffer(time_ns.to_bytes(8, "little"), np.uint8)
        value = self._random.normal(50.0, 2.0, self.points) + 50.0 * step
        self.data[self._values] = value.view(np.uint8).reshape(-1, 8)
        return self.data


def templates(series: int, points_each: int) -> list[Body]:
    """The bodies of one round over all series."""
    return [Body(template) for template in bodies(series, MARK_NS, points_each)]


class Sending:
    """Several connections that send rounds of bodies, each its own share, as fast as answers come."""

    def __init__(self, core: Core, shares: Sequence[Sequence[Body]], gzip: bool = False) -> None:
        self.core, self.shares, self.gzip = core, shares, gzip
        self.start_ns = time.time_ns() - 15_000_000_000
        self.step = 0

    def rounds(self, count: int, pause_s: Callable[[], float] = lambda: 0.0) -> None:
        """Send so many rounds; raises RuntimeError for any answer but 200."""
        ready = [self._prepare(share, count) for share in self.shares] if self.gzip else None
        failures: list[str] = []

        def send(number: int) -> None:
            connection = Connection(self.core.http_port)
            headers = _HEADERS + ("Content-Encoding: gzip\r\n" if self.gzip else "")
            for k in range(count):
                for j, body in enumerate(self.shares[number]):
                    data = ready[number][k][j] if ready else body.stamp(*self._moment(k)).tobytes()
                    status = connection.post(OTLP, data, headers)
                    if status != 200:
                        failures.append(f"status {status}")
                        return
                    if (wait := pause_s()) > 0:
                        time.sleep(wait)
            connection.close()

        threads = [threading.Thread(target=send, args=(n,)) for n in range(len(self.shares))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.step += count
        if failures:
            raise RuntimeError(failures[0])

    def _moment(self, k: int) -> tuple[int, int]:
        return self.start_ns + (self.step + k) * 1_000_000_000, self.step + k

    def _prepare(self, share: Sequence[Body], count: int) -> list[list[bytes]]:
        return [
            [bytes(cramjam.gzip.compress(body.stamp(*self._moment(k)).tobytes(), 6)) for body in share]
            for k in range(count)
        ]
