"""What counts as being cut off: that nothing comes back, and that it is no fault of our own."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.uplink.pace import Link, after, silence
from edgeobs.uplink.send import Wire
from edgeobs.uplink.settings import Settings


class Busy(BaseHTTPRequestHandler):
    """A core that takes nothing now."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def busy() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_port_that_nobody_listens_on_and_one_that_never_answers_are_cuts() -> None:
    assert Wire(Settings(url="http://127.0.0.1:1")).post("/x", {}, b"x").cut
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        found = Wire(Settings(url=url, timeout_s=0.1)).post("/x", {}, b"x")
    assert (found.status, found.cut) == (0, True)


def test_who_refuses_is_there(busy: int) -> None:
    found = Wire(Settings(url=f"http://127.0.0.1:{busy}")).post("/x", {}, b"x")
    assert (found.status, found.cut) == (503, False)


def answering(sent: bytes, times: int) -> Iterator[int]:
    """A server that says this to each connection at once, reads nothing, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            for _ in range(times):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(sent)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(1 << 20):
                        pass

        thread = threading.Thread(target=run)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


def test_an_answer_that_breaks_off_is_one_and_so_is_a_kept_connection_that_was_closed() -> None:
    half = b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nno"
    for port in answering(half, 1):
        assert not Wire(Settings(url=f"http://127.0.0.1:{port}")).post("/x", {}, b"x").cut
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    for port in answering(whole, 1):
        wire = Wire(Settings(url=f"http://127.0.0.1:{port}", timeout_s=5))
        assert wire.post("/x", {}, b"x").status == 200
        found = wire.post("/x", {}, b"x")
        assert (found.status, found.cut) == (0, False), "nobody knows yet"
    assert wire.post("/x", {}, b"x").cut, "a new one is not taken"


def test_what_is_wrong_with_our_own_files_is_no_cut(busy: int, tmp_path: Path) -> None:
    token = Settings(url="http://127.0.0.1:1", token_file=str(tmp_path / "none"))
    authorities = Settings(url="https://127.0.0.1:1", ca_file=str(tmp_path / "none"))
    untrusted = Settings(url=f"https://127.0.0.1:{busy}")
    for settings in (token, authorities, untrusted):
        found = Wire(settings).post("/x", {}, b"x")
        assert (found.status, found.cut) == (0, False)
        assert found.error


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from([0, 200, 400, 503]), st.booleans()), max_size=12)
)
def test_silence_is_counted_from_the_end_of_the_first_attempt_that_was_cut(
    attempts: list[tuple[float, int, bool]],
) -> None:
    link, now_s, since_s, last_s = Link(), 0.0, None, None
    assert not silence(link, 5.0).answers
    for pause_s, status, nothing in attempts:
        now_s += pause_s
        cut = nothing and not status
        link = after(link, "first", 1, status, None, now_s, 0.5, Settings(), cut=cut)
        since_s, last_s = (since_s if since_s is not None else now_s) if cut else None, now_s
    found = silence(link, now_s + 7.0)
    assert found.asked == bool(attempts)
    assert found.silent == (since_s is not None)
    assert found.for_s == (0.0 if since_s is None else pytest.approx(now_s + 7.0 - since_s))
    assert last_s is None or found.asked_s == pytest.approx(7.0)
