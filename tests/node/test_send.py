"""The sender, over real sockets."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeobs.node.send import Sender
from edgeobs.node.settings import Sending

Until = Callable[[Callable[[], bool]], None]


@contextmanager
def sending(settings: Sending) -> Iterator[Sender]:
    sender = Sender(settings).start()
    try:
        yield sender
    finally:
        sender.stop()


def test_sends_in_order_over_one_connection(receiver: Any, until: Until) -> None:
    with sending(Sending(url=receiver.url)) as sender:
        for number in range(20):
            sender.put(b"%d" % number)
        until(lambda: sender.counts["sent"] == 20)
    assert receiver.bodies == [b"%d" % n for n in range(20)]
    assert len(receiver.connections) == 1
    assert receiver.headers[0]["Content-Type"] == "application/x-protobuf"


def test_one_that_was_never_started_can_be_stopped() -> None:
    Sender(Sending(url="http://127.0.0.1:1/v1/metrics")).stop()


def test_gzip_and_token(receiver: Any, until: Until, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    with sending(Sending(url=receiver.url, gzip=True, token_file=str(token))) as sender:
        sender.put(b"x" * 1000)
        until(lambda: sender.counts["sent"] == 1)
    assert receiver.bodies == [b"x" * 1000]
    assert receiver.headers[0]["Content-Encoding"] == "gzip"
    assert int(receiver.headers[0]["Content-Length"]) < 100
    assert receiver.headers[0]["Authorization"] == "Bearer s3cret"


def test_repeats_what_may_pass_and_heeds_retry_after(receiver: Any, until: Until) -> None:
    receiver.script.extend([(503, {}), (429, {"Retry-After": "1"})])
    with sending(Sending(url=receiver.url, first_pause_s=0.01)) as sender:
        sender.put(b"a")
        sender.put(b"b")
        until(lambda: sender.counts["sent"] == 2)
    assert receiver.bodies == [b"a", b"a", b"a", b"b"]
    assert sender.counts["repeated"] == 2
    assert receiver.times[2] - receiver.times[1] >= 1.0


def test_drops_what_is_refused_and_goes_on(receiver: Any, until: Until) -> None:
    receiver.script.append((400, {}))
    with sending(Sending(url=receiver.url)) as sender:
        sender.put(b"bad")
        sender.put(b"good")
        until(lambda: sender.counts["sent"] == 1)
    assert receiver.bodies == [b"bad", b"good"]
    assert sender.counts["refused"] == 1
    assert "HTTP 400" in sender.last_error


def test_backlog_is_bounded_and_the_oldest_go(receiver: Any, until: Until) -> None:
    receiver.gate.clear()
    with sending(Sending(url=receiver.url, backlog=5)) as sender:
        sender.put(b"first")
        until(lambda: len(sender) == 0)  # it is on its way, and the receiver does not answer yet
        for number in range(12):
            sender.put(b"%d" % number)
        assert len(sender) == 5
        assert sender.counts["dropped"] == 7
        receiver.gate.set()
        until(lambda: sender.counts["sent"] == 6)
    assert receiver.bodies == [b"first", b"7", b"8", b"9", b"10", b"11"]


def test_survives_a_server_that_is_not_there_yet(until: Until) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with sending(Sending(url=f"http://127.0.0.1:{port}/v1/metrics", first_pause_s=0.01)) as sender:
        sender.put(b"x")
        until(lambda: sender.counts["repeated"] >= 3)
        assert "ConnectionRefusedError" in sender.last_error
    assert sender.counts["sent"] == 0


def test_stops_at_once_in_the_middle_of_a_pause(receiver: Any, until: Until) -> None:
    receiver.script.append((503, {"Retry-After": "30"}))
    sender = Sender(Sending(url=receiver.url)).start()
    sender.put(b"x")
    until(lambda: sender.counts["repeated"] == 1)
    sender.stop(within_s=10)
    assert not sender.alive


def test_reconnects_after_the_server_closed(receiver: Any, until: Until) -> None:
    receiver.script.append((200, {"Connection": "close"}))
    with sending(Sending(url=receiver.url, first_pause_s=0.01)) as sender:
        for body in (b"a", b"b", b"c"):
            sender.put(body)
        until(lambda: sender.counts["sent"] == 3)
    assert receiver.bodies == [b"a", b"b", b"c"]
    assert len(receiver.connections) == 2
