"""A real Prometheus scrapes an exporter: exemplars, the overflow series, staleness, workers."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from edgeobs.exporter import Exporter, Reading
from tests.waiting import wait

pytestmark = pytest.mark.real

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: dev
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install prometheus")
    return found


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter("dev")
    yield made
    made.close()


class Prometheus:
    """One that scrapes a port once a second."""

    def __init__(self, folder: Path, port: int) -> None:
        own = free_port()
        (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
        self.url = f"http://127.0.0.1:{own}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                    "--enable-feature=exemplar-storage", f"--web.listen-address=127.0.0.1:{own}",
                ],
                cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip

    def ask(self, path: str, **parameters: Any) -> Any:
        """What its API answers."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters)
        return answer.json()["data"] if answer.status_code == 200 else []

    def value(self, query: str) -> float | None:
        """The value of a query's only series; None: there is none now."""
        data = self.ask("query", query=query)
        found = data["result"] if data else []
        return float(found[0]["value"][1]) if found else None


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Callable[[int], Prometheus]]:
    started: list[Prometheus] = []

    def start(port: int) -> Prometheus:
        started.append(Prometheus(tmp_path, port))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait(30)


def test_exemplars_overflow_and_staleness(
    exporter: Exporter, prometheus: Callable[[int], Prometheus]
) -> None:
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"], cap=2)
    warm = exporter.gauge("dev_warm_celsius", "Warm.", ["room"])
    cold = exporter.gauge("dev_cold_celsius", "Cold.")
    hangs, free = threading.Event(), threading.Event()

    @exporter.collector(warm, deadline_s=0.2, stale_s=1.5)
    def living_room() -> Reading:
        if hangs.is_set():
            free.wait(60)
        return warm.reading(21, room='living "room"\n')

    @exporter.collector(cold, deadline_s=0.2)
    def cellar() -> Reading:
        return cold.reading(8)

    provider = TracerProvider()
    with provider.get_tracer("test").start_as_current_span("ask") as span:
        for who in ("ann", "bob", "carol", "dave"):
            asked.labels(who).inc()
    provider.shutdown()
    port = free_port()
    exporter.serve(port, "127.0.0.1")
    server = prometheus(port)

    wait(lambda: server.value('dev_warm_celsius{room="living \\"room\\""}') == 21, "it was not scraped")
    assert server.value('dev_asks_total{who="_overflow"}') == 2
    assert server.value('edgeobs_exporter_overflow_total{metric="dev_asks"}') == 2
    assert server.value("count(dev_asks_total)") == 3

    now = time.time()
    trace_id = f"{span.get_span_context().trace_id:032x}"
    found = server.ask("query_exemplars", query="dev_asks_total", start=now - 600, end=now + 600)
    assert {each["labels"]["trace_id"] for of in found for each in of["exemplars"]} == {trace_id}

    hangs.set()
    try:
        wait(lambda: server.value("dev_warm_celsius") is None, "what is stale is still there")
        assert server.value("dev_cold_celsius") == 8
        assert server.value('up{job="dev"}') == 1
        assert server.value('edgeobs_exporter_collector_up{collector="living_room"}') == 0
    finally:
        hangs.clear()
        free.set()
    wait(lambda: server.value("dev_warm_celsius") == 21, "it did not come back")


def test_a_worker_that_is_killed_is_no_reset(
    worker: Callable[..., Any], prometheus: Callable[[int], Prometheus]
) -> None:
    port = free_port()
    first, second = worker(str(port)), worker(str(port))
    first.say("inc 5")
    second.say("inc 6")
    server = prometheus(port)
    wait(lambda: server.value("shop_orders_total") == 11, "the sum was not scraped")
    first.kill()
    second.say("inc 1")
    wait(lambda: server.value("shop_orders_total") == 12, "the other one did not take over")
    assert server.value("resets(shop_orders_total[5m])") == 0


def test_promtool_finds_nothing_wrong_with_the_page(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    exporter.collector(warm)(lambda: warm.reading(1))
    exporter.red("dev_read", "Reads.", ["kind"])("all")(lambda: None)()
    page, _ = exporter.render()
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
