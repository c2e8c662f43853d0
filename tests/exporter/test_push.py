"""Pushing: what arrives, what waits while the server is away, and what is given up."""

import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from prometheus_client.metrics_core import Metric

from edgeobs.exporter import Exporter
from edgeobs.exporter.push import configured, resource
from tests.waiting import wait


class Server:
    """An OTLP/HTTP server that answers as it is told; ``taken`` are the bodies that it said 200 to."""

    def __init__(self) -> None:
        self.status, self.headers, self.answer = 200, {}, b""  # type: int, dict[str, str], bytes
        self.taken: list[ExportMetricsServiceRequest] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.gate = threading.Event()
        self.gate.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                server.gate.wait(30)
                server.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                status = server.status
                if status == 200:
                    server.taken.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(status)
                for name, value in {**server.headers, "Content-Length": str(len(server.answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(server.answer)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()

    def values(self, name: str) -> list[float]:
        """Of a counter without labels, in the order of arrival."""
        return [
            point.as_double
            for body in self.taken
            for scope in body.resource_metrics[0].scope_metrics
            for metric in scope.metrics if metric.name == name
            for point in metric.sum.data_points
        ]  # fmt: skip


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def exporter() -> Iterator[Callable[[], tuple[Exporter, Any]]]:
    """Makes exporters with a counter ``dev_beats_total``; closes them after the test."""
    made: list[Exporter] = []

    def make() -> tuple[Exporter, Any]:
        made.append(Exporter("dev", process=False))
        return made[-1], made[-1].counter("dev_beats_total", "Beats.")

    yield make
    for each in made:
        each.close(0.1)


Make = Callable[[], tuple[Exporter, Any]]


def own(exporter: Exporter, name: str, **labels: str) -> float:
    found = exporter.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def waits_beyond(exporter: Exporter, size: float) -> bool:
    return own(exporter, "edgeobs_exporter_push_waiting_bytes") > size


def test_the_last_value_is_pushed_when_it_ends(server: Server, exporter: Make) -> None:
    dev, beats = exporter()
    dev.push(server.url, every_s=3600)
    wait(lambda: server.taken, "nothing came")
    beats.inc(5)
    dev.close()
    assert server.values("dev_beats")[-1] == 5
    [path, headers] = server.asked[0]
    assert (path, headers["content-type"], headers["content-encoding"]) == (
        "/v1/metrics", "application/x-protobuf", "gzip",
    )  # fmt: skip
    [first] = server.taken[0].resource_metrics
    told = {each.key: each.value.string_value for each in first.resource.attributes}
    assert told["service.name"] == "dev"


@pytest.mark.parametrize("on_disk", [True, False])
def test_what_cannot_be_sent_waits_and_comes_in_order(
    on_disk: bool, server: Server, exporter: Make, tmp_path: Path
) -> None:
    server.status, server.headers = 503, {"Retry-After": "0"}
    dev, beats = exporter()
    dev.push(server.url, every_s=0.02, buffer=str(tmp_path / "buffer") if on_disk else None)
    for _ in range(3):
        beats.inc()
        seen = own(dev, "edgeobs_exporter_push_waiting_bytes")
        wait(partial(waits_beyond, dev, seen), "nothing waits")
    server.status = 200
    wait(lambda: len(server.taken) > 2, "what waited did not come")
    dev.close()
    values = server.values("dev_beats")
    assert values == sorted(values)
    assert values[-1] == 3
    assert own(dev, "edgeobs_exporter_push_waiting_bytes") == 0
    times = [
        body.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].time_unix_nano
        for body in server.taken if body.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    ]  # fmt: skip
    assert times == sorted(set(times)), "something came twice, or out of order"


def test_what_waits_on_disk_survives_the_process(server: Server, exporter: Make, tmp_path: Path) -> None:
    server.status = 503
    dev, beats = exporter()
    beats.inc(41)
    dev.push(server.url, every_s=3600, buffer=tmp_path)
    wait(lambda: own(dev, "edgeobs_exporter_push_waiting_bytes") > 0, "nothing waits")
    dev.close(0.2)
    assert list(tmp_path.glob("*.otlp"))
    server.status = 200
    after, _ = exporter()
    after.push(server.url, every_s=3600, buffer=tmp_path)
    wait(lambda: 41 in server.values("dev_beats"), "the first one's did not come")
    wait(lambda: not list(tmp_path.glob("*.otlp")), "it is still there")
    assert server.values("dev_beats")[0] == 41


def test_a_server_that_hangs_does_not_hold_up_the_end(server: Server, exporter: Make, tmp_path: Path) -> None:
    server.gate.clear()
    dev, beats = exporter()
    dev.push(server.url, every_s=3600, buffer=tmp_path, timeout_s=30)
    beats.inc(6)
    dev.close(0.5)
    assert server.asked == []  # the request, which takes 30 s, has not ended
    assert list(tmp_path.glob("*.otlp")), "the last values are not on disk"


def test_what_is_refused_is_not_sent_again(server: Server, exporter: Make) -> None:
    server.status = 400
    dev, _ = exporter()
    dev.push(server.url, every_s=3600)
    wait(lambda: own(dev, "edgeobs_exporter_pushes_total", outcome="refused") == 1, "it was not counted")
    assert own(dev, "edgeobs_exporter_push_waiting_bytes") == 0
    assert len(server.asked) == 1


def test_a_redirect_is_refused(server: Server, exporter: Make) -> None:
    """Followed it would become a GET, whose 200 would pass for success."""
    server.status, server.headers = 302, {"Location": f"{server.url}/elsewhere"}
    dev, _ = exporter()
    dev.push(server.url, every_s=3600)
    wait(lambda: own(dev, "edgeobs_exporter_pushes_total", outcome="refused") == 1, "it was taken for sent")


def test_points_that_a_server_left_out_are_counted(server: Server, exporter: Make) -> None:
    left_out = ExportMetricsServiceResponse()
    left_out.partial_success.rejected_data_points = 4
    left_out.partial_success.error_message = "too old"
    server.answer = left_out.SerializeToString()
    dev, _ = exporter()
    dev.push(server.url, every_s=3600)
    wait(lambda: own(dev, "edgeobs_exporter_push_rejected_points_total") == 4, "they were not counted")
    assert own(dev, "edgeobs_exporter_pushes_total", outcome="sent") == 1


def test_a_token_is_read_for_every_request(server: Server, exporter: Make, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    dev, _ = exporter()
    dev.push(server.url, every_s=0.02, token_file=token)
    wait(lambda: any(h.get("authorization") == "Bearer one" for _, h in server.asked), "no token")
    token.write_text("two\n")
    wait(lambda: any(h.get("authorization") == "Bearer two" for _, h in server.asked), "the old token")


def test_a_token_that_cannot_be_read_is_told_and_waited_for(
    server: Server, exporter: Make, tmp_path: Path
) -> None:
    dev, _ = exporter()
    dev.push(server.url, every_s=3600, token_file=tmp_path / "none")
    wait(lambda: own(dev, "edgeobs_exporter_pushes_total", outcome="again") >= 1, "it was not counted")
    (tmp_path / "none").write_text("two\nlines")  # what no header can be
    wait(lambda: own(dev, "edgeobs_exporter_pushes_total", outcome="again") >= 2, "it was not counted")
    (tmp_path / "none").write_text("late")
    wait(lambda: server.taken, "it never recovered")


def test_a_collector_that_raises_does_not_end_the_pushing(server: Server, exporter: Make) -> None:
    class Odd:
        """Registered past us, in prometheus_client's own way."""

        broken, asked = True, 0

        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            self.asked += 1
            if self.broken:
                raise RuntimeError("broken")
            return []

    dev, beats = exporter()
    odd = Odd()
    dev.registry.register(odd)
    beats.inc(2)
    dev.push(server.url, every_s=0.02)
    wait(lambda: odd.asked > 1, "it was not asked again")
    assert server.taken == []
    odd.broken = False
    wait(lambda: server.values("dev_beats")[-1:] == [2], "it never recovered")


def test_scraped_and_pushed_are_the_same(server: Server, exporter: Make) -> None:
    dev, beats = exporter()
    beats.inc(8)
    dev.push(server.url, every_s=3600)
    wait(lambda: server.values("dev_beats") == [8], "nothing came")
    assert "dev_beats_total 8.0" in dev.render()[0].decode()


@pytest.mark.parametrize(
    ("endpoint", "env", "url"),
    [
        ("http://c:4318", {}, "http://c:4318/v1/metrics"),
        ("http://c:4318/", {}, "http://c:4318/v1/metrics"),
        ("https://c/otlp/v1/metrics", {}, "https://c/otlp/v1/metrics"),
        ("", {}, "http://localhost:4318/v1/metrics"),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:1/base"}, "http://e:1/base/v1/metrics"),
        ("", {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m:1/x"}, "http://m:1/x"),
    ],
)
def test_addresses(endpoint: str, env: dict[str, str], url: str) -> None:
    assert configured(endpoint, {}, env).url == url


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://c", "http://"])
def test_what_is_no_address(endpoint: str) -> None:
    with pytest.raises(ValueError, match="push: expected http"):
        configured(endpoint, {}, {})


def test_what_is_no_setting() -> None:
    with pytest.raises(ValueError, match=r"unknown settings \['evry_s'\]"):
        configured("http://c", {"evry_s": 1}, {})
    with pytest.raises(ValueError, match="every_s"):
        configured("http://c", {"every_s": 0}, {})


def test_headers_of_the_environment() -> None:
    env = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b,x=1"}
    assert configured("http://c", {}, env).headers == {"api-key": "a b", "x": "1"}
    assert configured("http://c", {"headers": {"y": "2"}}, env).headers == {"y": "2"}


def test_the_environment_names_the_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.node.name=edge-7,host.name=h")
    told = resource("dev").attributes
    assert (told["service.name"], told["k8s.node.name"], told["host.name"]) == ("dev", "edge-7", "h")


def test_of_several_workers_one_pushes_for_all(server: Server, tmp_path: Path) -> None:
    workers = [Exporter("dev", process=False, share=tmp_path / "share") for _ in range(2)]
    for each in workers:
        each.counter("dev_beats_total", "Beats.").inc(4)
        each.push(server.url, every_s=0.05)
    wait(lambda: server.values("dev_beats")[-1:] == [8], "the sum was not pushed")
    assert len(server.asked) == len(server.values("dev_beats"))
    workers[0].close()
    before = len(server.taken)
    wait(lambda: len(server.taken) > before, "the other one did not take over")
    workers[1].close()
    assert set(server.values("dev_beats")[1:]) == {8}


def test_a_port_that_cannot_be_had_does_not_keep_workers_from_pushing(server: Server, tmp_path: Path) -> None:
    exporter = Exporter("dev", process=False, share=tmp_path / "share")
    exporter.counter("dev_beats_total", "Beats.").inc(4)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        exporter.serve(port, "127.0.0.1")
        exporter.push(server.url, every_s=3600)
        wait(lambda: server.values("dev_beats") == [4], "nothing was pushed")
    wait(lambda: httpx.get(f"http://127.0.0.1:{port}").status_code == 200, "it did not try again")
    exporter.close()


PROGRAM = """
import signal, sys, threading, time
from edgeobs.exporter import Exporter

def tell():
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.01)
    print("runs", flush=True)

exporter = Exporter("dev", process=False)
beats = exporter.counter("dev_beats_total", "Beats.")
exporter.push(sys.argv[1], every_s=3600)
beats.inc(3)
if sys.argv[2] == "run":
    threading.Thread(target=tell, daemon=True).start()
    exporter.run()
"""


@pytest.mark.parametrize("how", ["end", "run"])
def test_the_end_of_the_process_pushes_the_last_values(how: str, server: Server) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, server.url, how], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        if how == "run":
            assert process.stdout.readline() == b"runs\n"
            process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
    assert server.values("dev_beats")[-1] == 3
