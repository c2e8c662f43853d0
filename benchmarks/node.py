"""What telling of a node costs: ours beside Debian's node_exporter, both scraped once a second."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

import httpx
import psutil

from benchmarks.measure import Measure
from edgeobs.node.collect import Collector
from edgeobs.node.settings import Settings

SCRAPES, QUICK = 60, 8
STARTS_S = 30.0
THEIRS = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")


def run(quick: bool) -> list[Measure]:
    """Processor time of whole processes and resident memory at the end; then one round of ours by itself."""
    scrapes = QUICK if quick else SCRAPES
    ours = _cost(
        [sys.executable, "-m", "edgeobs.node", "--url=", "--node-exporter-names", "--listen"], scrapes
    )
    with _sink() as url:
        sends = _cost([sys.executable, "-m", "edgeobs.node", f"--url={url}", "--listen"], scrapes)
    theirs = _cost([THEIRS, "--web.listen-address"], scrapes) if THEIRS else {}
    return [
        _beside("node_core_percent", ours["core_percent"], "%", theirs.get("core_percent")),
        _beside("node_rss_mib", ours["rss_mib"], "MiB", theirs.get("rss_mib")),
        _beside("node_scrape_ms", ours["scrape_ms"], "ms", theirs.get("scrape_ms")),
        Measure(
            "node_samples",
            ours["samples"],
            "samples",
            f"node_exporter {theirs['samples']:.0f}" if theirs else "",
        ),
        Measure(
            "node_sending_core_percent",
            sends["core_percent"],
            "%",
            "OTLP each second, and scraped by its own names",
        ),
        Measure("node_sending_rss_mib", sends["rss_mib"], "MiB"),
        Measure("node_round_ms", _round_ms(scrapes), "ms", "processor time of one round, in process"),
    ]


def _beside(name: str, ours: float, unit: str, theirs: float | None) -> Measure:
    if not theirs:
        return Measure(name, ours, unit, "node_exporter is not installed")
    return Measure(name, ours, unit, f"node_exporter {theirs:.3g} {unit}", ours / theirs)


def _cost(command: list[str], scrapes: int) -> dict[str, float]:
    """Percent of a core, MiB, ms a scrape and samples of a process; its last argument is where it listens."""
    with _running(command) as (url, child), httpx.Client() as client:
        took, text = [], ""
        client.get(url)
        began, used = time.monotonic(), _used_s(child)
        for number in range(scrapes):
            time.sleep(max(began + number + 1 - time.monotonic(), 0.0))
            at = time.monotonic()
            text = client.get(url).text
            took.append(time.monotonic() - at)
        passed = time.monotonic() - began
        return {
            "core_percent": 100 * (_used_s(child) - used) / passed,
            "rss_mib": child.memory_info().rss / 2**20,
            "scrape_ms": 1e3 * median(took),
            "samples": sum(bool(line) and not line.startswith("#") for line in text.splitlines()),
        }


@contextmanager
def _running(command: list[str]) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    last = f"{command[-1]}={address}"
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command[:-1], last], stdout=quiet, stderr=quiet) as child:
        try:
            url = f"http://{address}/metrics"
            _await(url)
            yield url, psutil.Process(child.pid)
        finally:
            child.terminate()


class _Taken(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextmanager
def _sink() -> Iterator[str]:
    """Where OTLP can be sent to."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taken) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/metrics"
        server.shutdown()
        thread.join()


def _await(url: str) -> None:
    deadline = time.monotonic() + STARTS_S
    while True:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _round_ms(rounds: int) -> float:
    """The median over rounds, the first left out: it finds what there is."""
    collector = Collector(Settings())
    collector.readings()
    took = []
    for _ in range(rounds):
        began = time.process_time()
        collector.readings()
        took.append(time.process_time() - began)
    return 1e3 * median(took)
