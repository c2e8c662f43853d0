"""History from a real Prometheus, and from servers that answer what none would."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs

import cramjam
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks.serving import free_port
from edgeobs.backtest.prometheus import (
    STEPS_A_CHUNK,
    PrometheusError,
    Range,
    asks,
    bearer,
    fetch,
    identity,
    plain,
)
from edgeobs.backtest.read import joined
from edgeobs.cli import app
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.replay import RecordingError
from edgeobs.signals import SECOND, Kind
from tests.waiting import wait

SECONDS = 2500


@given(st.integers(1, 5000), st.sampled_from([1, 100, 1000, 15_000]), st.integers(0, 2_000_000_000_000))
def test_chunks_cover_a_range_once(steps: int, step_ms: int, start_ms: int) -> None:
    end_ms = start_ms + steps * step_ms - 1
    wanted = Range(queries=("up",), start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    found = asks(wanted)
    counts = [(ask.end_ms - ask.start_ms) // step_ms + 1 for ask in found]
    assert sum(counts) == steps
    assert max(counts) <= STEPS_A_CHUNK
    assert found[0].start_ms == start_ms
    assert all(after.start_ms - before.end_ms == step_ms for before, after in pairwise(found))


def test_ranges_that_cannot_be() -> None:
    with pytest.raises(RecordingError, match="--start"):
        asks(Range(queries=("up",), start_ms=2, end_ms=1, step_ms=1))
    with pytest.raises(RecordingError, match="--step"):
        asks(Range(queries=("up",), start_ms=0, end_ms=1_700_000_000_000, step_ms=1))


def test_series_are_named_as_remote_write_names_them() -> None:
    found = identity(
        {"__name__": "disk_errors_total", "instance": "edge-1:9100", "job": "node", "d": "sda"}, "q"
    )
    assert (found.name, found.kind, found.source.resource.node) == (
        "disk_errors_total",
        Kind.COUNTER,
        "edge-1",
    )
    nameless = identity({"instance": "edge-1:9100"}, "rate(x_total[5m])")
    assert (nameless.name, nameless.kind) == ("rate(x_total[5m])", Kind.GAUGE)


def test_an_address_for_people_has_no_password() -> None:
    assert plain("http://me:secret@host:9090/prom") == "http://host:9090/prom"


def test_tokens(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert bearer(file) == "abc"
    for text in ("", "a b", "ä", "a\nb"):
        file.write_text(text)
        with pytest.raises(RecordingError, match="expected one token"):
            bearer(file)


# -- servers that are none


Answer = Callable[[dict[str, list[str]], str], tuple[int, bytes]]


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A server on loopback that answers (form, authorization) → (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = answer(form, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ONCE = Range(queries=("up",), start_ms=1_700_000_000_000, end_ms=1_700_000_000_000, step_ms=1000)


def matrix(*rows: object, **more: object) -> bytes:
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": rows}, **more}
    ).encode()


def test_the_token_is_sent() -> None:
    seen: list[str] = []

    def answer(form: dict[str, list[str]], authorization: str) -> tuple[int, bytes]:
        seen.append(authorization)
        return 200, matrix(
            {"metric": {"__name__": form["query"][0]}, "values": [[1.7e9, "+Inf"], [1.7e9 + 1, "2"]]}
        )

    with answering(answer) as url:
        (history,) = fetch(url, ONCE, "abc")
    assert seen == ["Bearer abc"]
    assert history.recording.value.tolist() == [float("inf"), 2.0]
    assert history.recording.time_ns.tolist() == [1_700_000_000 * SECOND, 1_700_000_001 * SECOND]


def test_warnings_and_native_histograms_are_told() -> None:
    row = {"metric": {"__name__": "h"}, "histograms": [[1.7e9, {"count": "1", "sum": "1"}]]}
    with answering(lambda *_: (200, matrix(row, warnings=["part of it is missing"]))) as url:
        (history,) = fetch(url, ONCE)
    assert history.notes == ["up: part of it is missing", "up: 1 native histograms left out"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b'{"status":"error","errorType":"bad_data","error":"parse error"}', "bad_data: parse error"),
        (401, b"Unauthorized", "HTTP 401: no answer of a Prometheus"), (302, b"", "HTTP 302: no answer"),
        (200, b"[]", "HTTP 200: no answer"), (200, b"[" * 100_000, "no answer"),
        (200, matrix({}), "no answer"),
        (200, matrix({"metric": {"a": ""}, "values": [["x", "1"]]}), "no answer"),
        (200, matrix({"metric": {"a": "b"}, "values": [[1, "x"]]}), "no answer"),
        (200, matrix({"metric": {"a": "b"}, "values": [[1e300, "1"]]}), "no answer"),
        (200, matrix(5), "no answer"),
        (200, b'{"status":"success","data":{"resultType":"scalar"}}', "expected a matrix, found scalar"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_named(status: int, body: bytes, said: str) -> None:
    with answering(lambda *_: (status, body)) as url, pytest.raises(PrometheusError) as caught:
        list(fetch(url, ONCE))
    assert str(caught.value).startswith(f"{url}: query 'up': ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_there_is_exit_1() -> None:
    done = CliRunner().invoke(app, ["backtest", "--data", f"http://127.0.0.1:{free_port()}", "--query", "up"])
    assert done.exit_code == 1
    assert "query 'up': " in done.stderr
    assert done.stderr.count("\n") == 1


# -- a real one


def values(node: int) -> list[float]:
    made = np.random.default_rng(node).normal(10, 0.5, SECONDS)
    if node == 1:
        made[2000:2060] += 20
    return [float(value) for value in made]


def written(start_ms: int) -> bytes:
    """Two nodes of two metrics, a sample a second; node 1 jumps for a minute."""
    request = messages().write_request()
    for name in ("cpu", "memory"):
        for node in (1, 2):
            series = request.timeseries.add()
            for key, word in (("__name__", name), ("instance", f"n{node}:9100"), ("job", "node")):
                series.labels.add(name=key, value=word)
            for second, value in enumerate(values(node)):
                series.samples.add(timestamp=start_ms + 1000 * second, value=value)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of a Prometheus that holds `written`, and when that begins, Unix seconds."""
    if shutil.which("prometheus") is None:
        pytest.skip("needs prometheus (apt-get install prometheus)")
    folder, port, start_s = (
        tmp_path_factory.mktemp("prometheus"),
        free_port(),
        int(time.time()) - SECONDS - 60,
    )
    (folder / "prometheus.yml").write_text("{}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                "--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: httpx.get(f"{url}/-/ready").status_code == 200, "it never became ready")
        headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        sent = httpx.post(f"{url}/api/v1/write", content=written(start_s * 1000), headers=headers)
        assert sent.status_code in {200, 204}, sent.text
        yield url, start_s
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.real
def test_every_sample_arrives_once_across_chunks(prometheus: tuple[str, int]) -> None:
    url, start_s = prometheus
    wanted = Range(
        queries=('cpu{job="node"}', "memory"),
        start_ms=start_s * 1000,
        end_ms=(start_s + SECONDS) * 1000 - 1,
        step_ms=1000,
    )
    found = joined(list(fetch(url, wanted))).recording
    assert [(each.name, each.source.resource.node) for each in found.identities] == [
        ("cpu", "n1"), ("cpu", "n2"), ("memory", "n1"), ("memory", "n2"),
    ]  # fmt: skip
    assert (np.diff(found.time_ns) >= 0).all()
    for number, each in enumerate(found.identities):
        rows = found.series == number
        assert found.time_ns[rows].tolist() == [(start_s + second) * SECOND for second in range(SECONDS)]
        assert found.value[rows].tolist() == values(int(each.source.resource.node[1:]))


@pytest.mark.real
def test_a_fault_in_prometheus_is_found(prometheus: tuple[str, int], tmp_path: Path) -> None:
    url, start_s = prometheus
    labels = tmp_path / "labels.csv"
    labels.write_text(f'series,start,end\n"{{node=""n1""}}",{start_s + 2000},{start_s + 2059}\n')
    done = CliRunner().invoke(
        app,
        [
            "backtest", "--data", url, "--query", '{job="node"}', "--start", str(start_s), "--end", "now",
            "--step", "1s", "--labels", str(labels), "--json",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["alarms"]["recall"], found["incidents"]["recall"]) == (1, 1)
    assert {each["place"]["node"] for each in found["by_series"] if each["alarms"]} == {"n1"}


@pytest.mark.real
def test_what_prometheus_refuses_is_said_with_its_words(prometheus: tuple[str, int]) -> None:
    url, _ = prometheus
    done = CliRunner().invoke(app, ["backtest", "--data", url, "--query", "up{"])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{url}: query 'up{{': bad_data: ")
    none = CliRunner().invoke(app, ["backtest", "--data", url, "--query", "nothing"])
    assert (none.exit_code, none.stderr) == (2, f"{url}: no samples\n")
