"""What Debian's Prometheus really sends is understood, and by both decoders alike."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgeobs import jit
from edgeobs.ingest.body import decompress
from edgeobs.ingest.decoders import Decoders
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Kind, Points, Principal

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is missing: apt-get install prometheus"
    ),
]

WHO = Principal(0, "prometheus", None, 100_000)

CONFIG = """
global: {{scrape_interval: 1s, external_labels: {{cluster: lab, zone: a}}}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{own}"]}}]
remote_write:
  - url: http://127.0.0.1:{to}/api/v1/write
    send_native_histograms: true
    metadata_config: {{send_interval: 1s}}
    queue_config: {{batch_send_deadline: 1s}}
"""


class Inbox(ThreadingHTTPServer):
    """Keeps the bodies that are posted to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.bodies: list[bytes] = []
        self.came = threading.Condition()

    def wait(self, count: int, deadline: float) -> list[bytes]:
        """What came, once there are ``count`` bodies or the (monotonic) deadline has passed."""
        with self.came:
            self.came.wait_for(lambda: len(self.bodies) >= count, deadline - time.monotonic())
            return list(self.bodies)


class _Receiver(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        with self.server.came:
            self.server.bodies.append(body)
            self.server.came.notify_all()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    """Listens on loopback."""
    with Inbox() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def prometheus(inbox: Inbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scrapes itself once a second and writes to the inbox."""
    folder, own = tmp_path_factory.mktemp("prometheus"), free_port()
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(own=own, to=inbox.server_port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{own}",
                "--enable-feature=native-histograms",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


class World:
    """A decoder with a table of its own."""

    def __init__(self, fast: bool) -> None:
        self.table = SeriesTable(20_000)
        self._decoders = Decoders(Interner(self.table), fast)

    def decode(self, body: bytes) -> Points:
        plain = bytes(decompress(body, "snappy", 1 << 24))
        return self._decoders.decode("remote_write_1", plain, WHO, 1)


def latest(world: World, name: str, points: list[Points]) -> tuple[Identity, float] | None:
    """The series of that name, and its last value."""
    found = None
    for batch in points:
        for number, value in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
            if world.table[number].name == name:
                found = world.table[number], value
    return found


def test_what_prometheus_sends_is_understood(prometheus: None, inbox: Inbox) -> None:
    del prometheus
    world, points, deadline = World(fast=False), list[Points](), time.monotonic() + 60
    up = head = None
    while (not up or not head or head[1] < 1) and time.monotonic() < deadline:
        bodies = inbox.wait(len(points) + 1, deadline)
        points += [world.decode(body) for body in bodies[len(points) :]]
        up, head = latest(world, "up", points), latest(world, "prometheus_tsdb_head_series", points)
    assert up is not None
    assert head is not None
    assert up[1] == 1.0
    assert head[1] > 100
    identity = up[0]
    assert identity.source.resource[:3] == ("lab", "a", "127.0.0.1")
    assert ("job", "self") in identity.source.attributes
    assert identity.kind == Kind.GAUGE
    requests = latest(world, "prometheus_http_requests_total", points)
    assert requests is None or requests[0].kind == Kind.COUNTER
    assert not any(batch.rejected for batch in points)
    now_ns = time.time_ns()
    assert all(abs(int(t) - now_ns) < 120e9 for batch in points for t in batch.time_ns)


@pytest.mark.skipif(not jit.available(), reason="Numba is not installed: pip install edgeobs[accel]")
def test_both_decoders_read_the_same(prometheus: None, inbox: Inbox) -> None:
    del prometheus
    bodies = inbox.wait(8, time.monotonic() + 60)
    assert len(bodies) >= 8
    slow, fast = World(fast=False), World(fast=True)
    taken = 0
    for body in bodies:
        a, b = slow.decode(body), fast.decode(body)
        taken += a.value.size
        for name in ("series", "time_ns", "start_ns", "value"):
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
        for name in a.distributions.__dataclass_fields__:
            assert getattr(a.distributions, name).tobytes() == getattr(b.distributions, name).tobytes()
        assert (a.rejected, a.exemplars) == (b.rejected, b.exemplars)
    assert taken > 100
    assert fast.table.identities == slow.table.identities
