"""The client of Loki, against a stand-in on loopback that misbehaves in every way it must survive."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from edgeobs.logs.loki import Loki, LokiError, LokiSettings

Behave = Callable[[BaseHTTPRequestHandler], None]


class StandIn(ThreadingHTTPServer):
    """Answers as it is told and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, behave: Behave) -> None:
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                stand_in.asked.append((parts.path, parse_qs(parts.query), dict(self.headers.items())))
                behave(self)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def serve() -> Iterator[Callable[[Behave], StandIn]]:
    """Starts stand-ins, and ends them."""
    servers: list[tuple[StandIn, threading.Thread]] = []

    def start(behave: Behave) -> StandIn:
        server = StandIn(behave)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(raw: bytes, status: int = 200) -> Behave:
    def behave(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)

    return behave


def streams(*streams: list[tuple[int, str]]) -> bytes:
    result = [{"stream": {"n": str(n)}, "values": [[str(at), line] for at, line in values]}
              for n, values in enumerate(streams)]  # fmt: skip
    return json.dumps({"status": "success", "data": {"resultType": "streams", "result": result}}).encode()


def test_lines_of_all_streams_come_in_order_of_time_and_the_newest_where_they_are_too_many(
    serve: Callable[[Behave], StandIn], tmp_path: Path
) -> None:
    server = serve(answering(streams([(30, "c"), (10, "a")], [(20, "b" * 50)])))
    (tmp_path / "token").write_text("secret\n")
    settings = LokiSettings(
        url=server.url + "/", tenant="edge", token_file=tmp_path / "token", lines=2, line_characters=16
    )
    assert Loki(settings).lines('{a="b"} |~ "x+"', 5, 40) == [(20, "b" * 16), (30, "c")]
    ((path, asked, headers),) = server.asked
    assert path == "/loki/api/v1/query_range"
    assert asked == {
        "query": ['{a="b"} |~ "x+"'], "start": ["5"], "end": ["40"], "limit": ["2"],
        "direction": ["backward"],
    }  # fmt: skip
    assert headers["X-Scope-OrgID"] == "edge"
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("raw", "status", "told"),
    [
        (b"parse error at line 1", 400, "answered 400: parse error at line 1"),
        (b"busy", 503, "answered 503: busy"),
        (b"<html>", 200, "none of Loki's"),
        (b"[]", 200, "none of Loki's"),
        (b'{"data": {"result": [{"values": [["x", "y"]]}]}}', 200, "none of Loki's"),
        (b'{"data": {"result": [{"values": [["1"]]}]}}', 200, "none of Loki's"),
        (b"[" * 100_000, 200, "none of Loki's"),
        (b"x" * 5000, 200, "longer than 2048 bytes"),
    ],
)
def test_whatever_is_no_answer_is_an_error_with_its_reason(
    serve: Callable[[Behave], StandIn], raw: bytes, status: int, told: str
) -> None:
    server = serve(answering(raw, status))
    most = 2048 if len(raw) == 5000 else 4_000_000
    with pytest.raises(LokiError, match=told):
        Loki(LokiSettings(url=server.url, answer_bytes=most)).lines("{}", 0, 1)


def test_an_answer_that_drips_ends_at_the_deadline(serve: Callable[[Behave], StandIn]) -> None:
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not over.wait(0.01):
            try:
                request.wfile.write(b" ")
            except OSError:
                return

    server = serve(drip)
    try:
        with pytest.raises(LokiError, match=r"no whole answer within 0\.2 s"):
            Loki(LokiSettings(url=server.url, timeout_s=0.2)).lines("{}", 0, 1)
    finally:
        over.set()


def test_silence_is_an_error_in_time(serve: Callable[[Behave], StandIn]) -> None:
    over = threading.Event()

    def nothing(_: BaseHTTPRequestHandler) -> None:
        over.wait(60)

    server = serve(nothing)
    try:
        with pytest.raises(LokiError, match="Timeout"):
            Loki(LokiSettings(url=server.url, timeout_s=0.1)).lines("{}", 0, 1)
    finally:
        over.set()


def test_nobody_there_no_url_and_no_token_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LokiError, match="no url"):
        Loki(LokiSettings()).lines("{}", 0, 1)
    with pytest.raises(LokiError, match=r"127\.0\.0\.1:1"):
        Loki(LokiSettings(url="http://127.0.0.1:1")).lines("{}", 0, 1)
    with pytest.raises(LokiError, match="FileNotFound"):
        Loki(LokiSettings(url="http://127.0.0.1:1", token_file=tmp_path / "none")).lines("{}", 0, 1)
