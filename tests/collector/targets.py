"""Scrape targets, good and bad: what a device's exporter may do to whoever scrapes it."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = b"# TYPE device_volts gauge\ndevice_volts 230\n"
Target = Callable[[], Iterator[bytes]]
"""What it says, bit by bit; nothing is a pause."""


def good() -> Iterator[bytes]:
    """One gauge."""
    yield GOOD


def garbage() -> Iterator[bytes]:
    """No text at all (but no zero byte first, which Prometheus reads as the end)."""
    yield bytes(range(1, 256)) * 64


def half() -> Iterator[bytes]:
    """Good at first, then something else."""
    yield GOOD + b'device_volts{phase="2" 23\xff\xfe\n'


def endless() -> Iterator[bytes]:
    """Sends for as long as somebody reads."""
    for first in itertools.count(step=1000):
        yield b"".join(b'device_endless{n="%d"} 1\n' % n for n in range(first, first + 1000))


def many() -> Iterator[bytes]:
    """More series than an exporter has business to have: 30,000, in half a megabyte."""
    yield b"".join(b'd{n="%d"} 1\n' % n for n in range(30_000))


def silent() -> Iterator[bytes]:
    """Accepts, and says nothing more."""
    yield from itertools.repeat(b"")


@contextmanager
def served(target: Target) -> Iterator[str]:
    """Its address on loopback."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            with suppress(OSError):  # whoever scraped has hung up
                for said in itertools.takewhile(lambda _: not over.is_set(), target()):
                    self.wfile.write(said)
                    over.wait(0.0 if said else 0.05)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()
