"""Every query of every dashboard is asked of a real Prometheus that scraped the real metrics page."""

import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgeobs.catalogue import METRICS
from edgeobs.signals import Counts
from edgeobs.telemetry import Histogram, exposition

DASHBOARDS = sorted((Path(__file__).parents[2] / "dashboards").glob("*.json"))
STEP = "edgeobs_step_duration_seconds"
LABEL_VALUES = {"state": "silent", "verdict": "held", "result": "error"}
"""What queries select by value; any other label gets a made-up value."""

VARIABLES = {"$instance": ".*", "$__rate_interval": "30s", "$__range": "5m"}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """All panels, those inside collapsed rows too."""
    return [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", ()))]


def queries(file: Path) -> list[str]:
    board = json.loads(file.read_text())
    return [target["expr"] for panel in panels(board) for target in panel.get("targets", ())]


class Page(BaseHTTPRequestHandler):
    """A metrics page on which every counter has risen a little at each scrape."""

    counts: Counts
    gauges: dict[tuple[str, ...], float]
    histogram: Histogram
    accepted: set[str]

    def do_GET(self) -> None:
        for key in self.counts:
            self.counts[key] += 5
        self.histogram.observe(0.004)
        accept = self.headers["Accept"]
        body, content_type = exposition(self.counts, self.gauges, {(STEP,): self.histogram}, accept)
        self.accepted.add(content_type.split(";")[0])
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Stay quiet."""


@pytest.fixture(scope="module")
def page() -> Iterator[int]:
    """The port of a page that shows every metric of the catalogue."""
    keys = {n: (n, *(LABEL_VALUES.get(label, "some") for label in m.labels)) for n, m in METRICS.items()}
    Page.counts = Counter({keys[n]: 0 for n, m in METRICS.items() if m.kind == "counter"})
    Page.gauges = {keys[n]: 1.0 for n, m in METRICS.items() if m.kind == "gauge"}
    Page.histogram = Histogram(METRICS[STEP].buckets)
    Page.accepted = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def prometheus(
    page: int, program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Any]]:
    """Asks a running Prometheus: ``ask("query", query="up")`` → its ``data``."""
    binary = program("prometheus", "prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
        f"scrape_configs: [{{job_name: edgeobs, static_configs: [{{targets: ['127.0.0.1:{page}']}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = (folder / "log").open("w")
    command = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
    running = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT
    )

    def ask(what: str, **arguments: str) -> Any:
        url = f"http://127.0.0.1:{port}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)["data"]

    try:
        deadline = time.monotonic() + 30
        while not _scraped(ask):
            assert running.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Prometheus scraped nothing within 30 s"
            time.sleep(0.2)
        yield ask
    finally:
        running.terminate()
        running.wait(10)
        log.close()


def _scraped(ask: Callable[..., Any]) -> bool:
    """Whether there are enough scrapes for a rate."""
    try:
        found = ask("query", query="min(count_over_time(edgeobs_samples_scored_total[1m]))")["result"]
    except OSError:
        return False
    return bool(found) and float(found[0]["value"][1]) >= 4


@pytest.mark.real
def test_prometheus_reads_openmetrics_whole(prometheus: Callable[..., Any]) -> None:
    names = set(prometheus("label/__name__/values"))
    expected = {name for name, metric in METRICS.items() if metric.kind != "histogram"}
    assert expected | {f"{STEP}_bucket", f"{STEP}_sum", f"{STEP}_count"} <= names
    assert Page.accepted == {"application/openmetrics-text"}
    kinds = {name: rows[0] for name, rows in prometheus("metadata").items()}
    for name, metric in METRICS.items():
        row = kinds[name.removesuffix("_total")]
        assert (row["type"], row["help"], row["unit"]) == (metric.kind, metric.help, metric.unit)


@pytest.mark.real
@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_every_query_finds_something(file: Path, prometheus: Callable[..., Any]) -> None:
    for query in queries(file):
        asked = query
        for variable, value in VARIABLES.items():
            asked = asked.replace(variable, value)
        assert "$" not in asked, query
        assert prometheus("query", query=asked)["result"], query


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_every_metric_in_a_query_is_declared(file: Path) -> None:
    for query in queries(file):
        for name in re.findall(r"\bedgeobs_\w+", query):
            assert re.sub(r"_(bucket|count|sum)$", "", name) in METRICS, query
        assert '="$instance"' not in query, "$instance may be several: match it with =~"


def test_every_metric_is_on_some_dashboard() -> None:
    asked = " ".join(query for file in DASHBOARDS for query in queries(file))
    assert [name for name in METRICS if name not in asked] == []


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_a_dashboard_is_what_grafana_imports(file: Path) -> None:
    board = json.loads(file.read_text())
    assert board["schemaVersion"] >= 39  # Grafana 11; older ones are migrated, newer ones read it
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert {v["name"]: v["type"] for v in board["templating"]["list"]}["datasource"] == "datasource"
    shown = panels(board)
    assert len({panel["id"] for panel in shown}) == len(shown)
    cells: set[tuple[int, int]] = set()
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, f"{panel['title']} covers another panel"
        cells |= own
        if panel["type"] != "row":
            _explains_itself(panel)


def _explains_itself(panel: dict[str, Any]) -> None:
    title = panel["title"]
    assert panel["type"] in {"stat", "timeseries", "heatmap", "bargauge", "table"}, title
    assert title, panel
    assert panel["description"].endswith("."), title
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"], title
    assert defaults["thresholds"]["steps"][0]["value"] is None, title
    assert panel["datasource"]["uid"] == "${datasource}", title
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), title
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}", title
        several = len(panel["targets"]) > 1 or " by (" in target["expr"]
        assert target["legendFormat"] or not several or panel["type"] == "table", title
