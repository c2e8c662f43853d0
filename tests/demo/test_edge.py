"""A node behind a link that is cut: the link, and the story that is told of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edgeobs.demo.edge import Seen, Story, told
from edgeobs.demo.relay import Relay

HOST = "127.0.0.1"


@contextmanager
def echo() -> Iterator[int]:
    """A server that says what it hears until it hears no more."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with echo() as port:
        made = Relay(HOST, port)
        yield made
        made.close()


def connected(relay: Relay) -> socket.socket:
    return socket.create_connection((HOST, relay.port), 10)


def heard(connection: socket.socket) -> bytes:
    """All until the end; nothing where it was hung up on."""
    found = b""
    try:
        while data := connection.recv(1 << 16):
            found += data
    except ConnectionResetError:
        return b""
    return found


def test_what_comes_is_passed_on_both_ways_to_its_end(relay: Relay) -> None:
    body = bytes(range(256)) * 4096
    with connected(relay) as connection:
        sender = threading.Thread(target=_send, args=(connection, body))
        sender.start()
        assert heard(connection) == body
        sender.join()


def _send(connection: socket.socket, body: bytes) -> None:
    connection.sendall(body)
    connection.shutdown(socket.SHUT_WR)


def test_a_cut_ends_what_is_open_and_lets_nobody_through_until_it_is_mended(relay: Relay) -> None:
    with connected(relay) as connection:
        connection.sendall(b"one")
        assert connection.recv(3) == b"one"
        relay.cut()
        assert heard(connection) == b""
    with connected(relay) as connection:
        assert heard(connection) == b""
    relay.mend()
    with connected(relay) as connection:
        _send(connection, b"two")
        assert heard(connection) == b"two"


def test_nobody_at_the_other_end_is_a_hang_up() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    relay = Relay(HOST, port)
    try:
        with connected(relay) as connection:
            assert heard(connection) == b""
    finally:
        relay.close()


def test_what_was_raised_offline_is_to_be_delivered() -> None:
    story = told(Story(), Seen(False, 0, 3, 100.0), 1000)
    assert story == Story(0, 0, 0.0, 90.0)
    assert story.problems == ["no incident was raised while the link was cut"]
    story = told(story, Seen(True, 0, 3, 100.0), 2000)
    story = told(story, Seen(True, 2, 3, 100.0), 4000)
    assert (story.raised, story.delivered, story.kept_percent) == (2, 0, 97.5)
    assert story.problems == ["2 incidents raised offline were not delivered after"]
    story = told(story, Seen(False, 1, 4, 200.0), 5000)
    assert story.problems == ["1 incidents raised offline were not delivered after"]
    story = told(story, Seen(False, 0, 9, 200.0), 5000)  # later ones are no part of it
    assert (story.raised, story.delivered, story.problems) == (2, 2, [])
    assert "2 incidents raised offline, 2 delivered after; 96.0 %" in story.text("edge-09")
