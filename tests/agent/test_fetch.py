"""A target may send anything, for ever, or nothing: a scrape ends in time and says why."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from edgeobs.agent.fetch import FetchError, fetch
from edgeobs.agent.scraper import Scraper
from edgeobs.agent.settings import Target
from tests.waiting import wait

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that does with each connection what it is told; gives its port."""
    stop = threading.Event()
    socks: list[socket.socket] = []

    def start(handle: Callable[[socket.socket], None]) -> int:
        sock = socket.create_server(("127.0.0.1", 0))
        socks.append(sock)

        def run() -> None:
            while not stop.is_set():
                try:
                    connection, _ = sock.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.settimeout(10)
                        connection.recv(65536)
                        handle(connection)
                    except OSError:
                        pass

        threading.Thread(target=run, daemon=True).start()
        return int(sock.getsockname()[1])

    yield start
    stop.set()
    for sock in socks:
        sock.close()


def target(port: int, timeout_s: float = 5.0, max_bytes: int = 10_000) -> Target:
    return Target(url=f"http://127.0.0.1:{port}/metrics?x=1", timeout_s=timeout_s, max_bytes=max_bytes)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def for_ever(part: bytes, head: bytes = b"") -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.sendall(head)
        ended = threading.Event()
        while not ended.wait(0.02):
            connection.sendall(part)

    return handle


def test_a_body_plain_and_compressed(serve: Serve) -> None:
    plain = serve(lambda c: c.sendall(answer(b"a 1\n", "Content-Length: 4")))
    assert fetch(target(plain)) == b"a 1\n"
    packed = gzip.compress(b"a 2\n")
    zipped = serve(
        lambda c: c.sendall(answer(packed, f"Content-Length: {len(packed)}", "Content-Encoding: gzip"))
    )
    assert fetch(target(zipped)) == b"a 2\n"
    chunked = serve(lambda c: c.sendall(answer(b"4\r\na 3\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked")))
    assert fetch(target(chunked)) == b"a 3\n"


def silent(_: socket.socket) -> None:
    threading.Event().wait(3.0)


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n"
ENDLESS: dict[str, Callable[[socket.socket], None]] = {
    "drips its headers": for_ever(b"x"),
    "drips header lines": for_ever(b"X-Y: z\r\n", b"HTTP/1.1 200 OK\r\n"),
    "drips its body": for_ever(b"a 1\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"),
    "drips chunks": for_ever(b"1\r\na\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "drips trailers": for_ever(b"X-Y: z\r\n", b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"0\r\n"),
    "says nothing": silent,
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_target_that_never_ends_is_given_up_in_time(what: str, serve: Serve) -> None:
    port = serve(ENDLESS[what])
    with pytest.raises(FetchError, match=r"timed out|headers|not HTTP|for a body"):
        fetch(target(port, timeout_s=0.3))


TOO_MANY = "more than 10000 bytes"
BOMB = gzip.compress(b"a 1\n" * 1_000_000)
BAD = {
    "too many bytes": (answer(b"x" * 20_000, "Content-Length: 20000"), TOO_MANY),
    "a bomb": (answer(BOMB, f"Content-Length: {len(BOMB)}", "Content-Encoding: gzip"), TOO_MANY),
    "half a body": (answer(b"a 1\n", "Content-Length: 400"), "short"),
    "half a gzip": (answer(BOMB[:40], "Content-Length: 40", "Content-Encoding: gzip"), "no end"),
    "no gzip": (answer(b"a 1\n", "Content-Length: 4", "Content-Encoding: gzip"), "not gzip"),
    "an error": (answer(b"", "Content-Length: 0", status="500 Oh"), "HTTP 500"),
    "not HTTP": (b"\x16\x03\x01garbage\r\n\r\n", "not HTTP"),
    "two of gzip": (answer(2 * gzip.compress(b"a 1\n"), "Content-Encoding: gzip"), "follows the gzip"),
    "trailers": (
        answer(b"4\r\na 1\n\r\n0\r\n" + b"X-Y: z\r\n" * 20_000, "Transfer-Encoding: chunked"),
        "for a body of 4",
    ),
    "a chunk of no size": (answer(b"zz\r\na\r\n", "Transfer-Encoding: chunked"), "."),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_body_is_refused_with_the_reason(what: str, serve: Serve) -> None:
    sent, said = BAD[what]
    port = serve(lambda connection: connection.sendall(sent))
    with pytest.raises(FetchError, match=said):
        fetch(target(port))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(FetchError, match="refused"):
        fetch(target(port))


def test_a_scraper_hands_over_its_newest_scrape_once(serve: Serve) -> None:
    port = serve(lambda c: c.sendall(answer(b"a 1\n", "Content-Length: 4")))
    scraper = Scraper(Target(url=f"http://127.0.0.1:{port}/", interval_s=1))
    scraper.start()
    found = wait(scraper.take, "a scrape")
    assert found is not None
    assert found.body == b"a 1\n"
    assert scraper.take() is None
    scraper.stop()
