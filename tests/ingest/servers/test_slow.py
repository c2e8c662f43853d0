"""Senders that stall, flood, lie or hang, and a server that stops in time all the same."""

import socket
import threading
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HEAD = b"POST /v1/metrics HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"


def connect(edge: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", edge.http_port), timeout=10)


def read_all(sock: socket.socket) -> bytes:
    """Until the server closes."""
    found = b""
    try:
        while more := sock.recv(65_536):
            found += more
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize("sent", [b"", b"P", b"POST /v1/metrics HTTP/1.1\r\nHost:", b"\r\n"])
def test_headers_that_do_not_come(start: Any, sent: bytes) -> None:
    edge = start(header_timeout_s=0.2)
    with connect(edge) as sock:
        sock.sendall(sent)
        assert read_all(sock).startswith(b"HTTP/1.1 408 ")
    assert edge.requests("http") == {"408": 1}


def test_headers_that_drip(start: Any) -> None:
    edge = start(header_timeout_s=0.3)
    with connect(edge) as sock:
        sock.settimeout(0.02)
        sock.sendall(HEAD)
        deadline = time.monotonic() + 10
        answer = b""
        while not answer and time.monotonic() < deadline:
            sock.sendall(b"X-More: 1\r\n")
            with suppress(TimeoutError):
                answer = sock.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_headers_without_end(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(HEAD)
        try:
            for _ in range(100):
                sock.sendall(b"X-Filler: " + b"a" * 2000 + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        read_all(sock)
    assert edge.requests("http") == {"431": 1}


def test_a_body_that_stalls(start: Any) -> None:
    edge = start(body_timeout_s=0.2)
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/x-protobuf" in answer
    assert edge.requests("otlp_http") == {"408": 1}
    assert edge.deliveries == []


def test_a_refused_sender_that_stalls_is_cut_off(start: Any) -> None:
    edge = start(body_timeout_s=30.0)
    with connect(edge) as sock:
        sock.sendall(HEAD.replace(b"x-protobuf", b"x-unknown") + b"Content-Length: 1000\r\n\r\nabc")
        assert read_all(sock).startswith(b"HTTP/1.1 415 ")


def test_an_idle_connection_is_closed(start: Any) -> None:
    edge = start(idle_timeout_s=1.0)
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_many_requests_on_one_connection(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        for n in range(5):
            body = b"%d" % n * 100_000
            sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert [d.body[:1] for d in edge.deliveries] == [b"0", b"1", b"2", b"3", b"4"]


def test_pipelined_requests_are_answered_in_order(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(b"".join(HEAD + b"Content-Length: 1\r\n\r\n%d" % n for n in range(5)))
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 5:
            more = sock.recv(65_536)
            assert more
            answers += more
    assert [d.body for d in edge.deliveries] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_flood_of_connections_above_the_cap(start: Any) -> None:
    edge = start(max_connections=5)
    kept = [connect(edge) for _ in range(5)]
    for sock in kept:  # answered, so surely accepted
        sock.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
    for _ in range(20):
        with connect(edge) as sock:
            assert read_all(sock).startswith(b"HTTP/1.1 503 ")
    assert edge.requests("http") == {"503": 20}
    kept[0].sendall(HEAD + b"Content-Length: 0\r\n\r\n")
    assert kept[0].recv(65_536).startswith(b"HTTP/1.1 200 ")
    for sock in kept:
        sock.close()


@pytest.mark.parametrize(
    "lie",
    [
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 5x\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 99999999999999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
    ],
)
def test_lengths_that_lie(start: Any, lie: bytes) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(HEAD + lie)
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")
    assert edge.deliveries == []


def test_more_than_content_length_says_is_the_next_request(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n")
        answer = read_all(sock)
    assert b" 400 " in answer
    assert [d.body for d in edge.deliveries] in ([b"abc"], [])


def test_a_sender_that_hangs_up_half_way(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
    deadline = time.monotonic() + 10
    while not edge.requests("otlp_http") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert edge.requests("otlp_http") == {"499": 1}
    assert edge.deliveries == []


def test_stops_while_requests_hang(start: Any) -> None:
    edge = start(stop_timeout_s=0.3)
    edge.delay_s = 60.0
    answers: list[bytes] = []
    with connect(edge) as slow, connect(edge) as stalled, connect(edge) as idle:
        slow.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")
        stalled.sendall(HEAD + b"Content-Length: 1000\r\n\r\nabc")
        idle.sendall(b"POST")
        deadline = time.monotonic() + 10
        while not edge.deliveries and time.monotonic() < deadline:
            time.sleep(0.01)
        reader = threading.Thread(target=lambda: answers.append(read_all(slow)))
        reader.start()
        edge.stop()
        reader.join(5)
        assert read_all(idle) == b""
        read_all(stalled)
    assert answers[0].startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in answers[0]
    with pytest.raises(ConnectionRefusedError):
        connect(edge)


def test_a_request_in_progress_ends_well_before_the_stop(start: Any) -> None:
    edge = start(stop_timeout_s=5.0)
    edge.delay_s = 0.2
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")
        deadline = time.monotonic() + 10
        while not edge.deliveries and time.monotonic() < deadline:
            time.sleep(0.01)
        edge.stop()
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")


def test_expect_continue_is_answered_before_the_body(start: Any) -> None:
    edge = start()
    with connect(edge) as sock:
        sock.sendall(HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
    with connect(edge) as sock:
        sock.sendall(HEAD.replace(b"x-proto", b"y-") + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 415 ")


WHOLE = HEAD + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sent=st.binary(max_size=100)
    | st.builds(
        lambda at, to: WHOLE[:at] + bytes([to]) + WHOLE[at + 1 :],
        st.integers(0, len(WHOLE) - 1),
        st.integers(0, 255),
    )
)
def test_whatever_is_sent_the_server_answers_the_next(impatient: Any, sent: bytes) -> None:
    with connect(impatient) as sock:
        sock.sendall(sent)
        answer = read_all(sock)
    assert not answer or answer[9:10] in (b"2", b"4")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with connect(impatient) as sock:
            sock.sendall(WHOLE)
            if read_all(sock).startswith(b"HTTP/1.1 200 "):  # 408 when this machine is too busy to send
                return
    raise AssertionError("the server serves no more")


@pytest.fixture
def impatient(start: Any) -> Any:
    return start(header_timeout_s=0.05, body_timeout_s=0.05, idle_timeout_s=1.0)
