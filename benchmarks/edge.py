"""An agent on a node: which share of the bytes stays there, and what it costs, everything counted.

The cost is that of the process itself, ``python -m edgeobs.agent``, in real time: it reads this machine,
scrapes two targets over HTTP every second, takes OTLP from a workload, ten thousand series together, detects,
keeps incidents and snapshots, and sends to a core that answers.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.measure import Measure
from edgeobs import ahead
from edgeobs.detect import bank
from edgeobs.node.otlp import encode
from edgeobs.node.readings import Reading

SERIES = 10_000
TARGETS, SCRAPED, PUSHED = 2, 4_825, 200
"""Series of each target and of the workload; with some 150 of the machine itself, ten thousand."""
PROFILE = Path(__file__).parent.parent / "deploy" / "agent.yaml"
_ROOT = Path(__file__).parent.parent
_TICK = os.sysconf("SC_CLK_TCK")


def run(quick: bool) -> list[Measure]:
    """Bytes in simulated time, the process in real time; the machine code of agents is made before."""
    subprocess.run([sys.executable, "-m", "edgeobs.warm"], cwd=_ROOT, stdout=subprocess.DEVNULL, check=True)
    made = ahead.path(Path(bank.__file__).parent, bank.KERNELS).exists()
    cost = _agent(*((17, 8) if quick else (30, 120)))
    hour = _child("benchmarks.edge_hour", *(("2000", "660") if quick else (str(SERIES), "1260")))
    parcels = ", ".join(f"{number} {kind}" for kind, number in sorted(hour["parcels"].items()))
    sent, raw = hour["sent"] / 2**20, hour["raw"] / 2**20
    evidence = f"{hour['whole']} of {hour['incidents']} incidents whole at the core"
    peak = f"at most {cost['peak_mib']:.0f}, at start {cost['start_mib']:.0f}"
    return [
        Measure(
            "edge_bytes_kept_percent", hour["kept_percent"], "%",
            f"{sent:.2f} MiB told ({parcels}), every sample as OTLP {raw:.1f} MiB, both gzip; {evidence}",
        ),
        Measure("agent_rss_mib", cost["rss_mib"], "MiB", f"{peak}; {cost['series']:,.0f} series"),
        Measure(
            "agent_core_percent", cost["core_percent"], "%",
            f"{cost['samples_per_s']:,.0f} samples a second, {cost['requests']:.0f} requests to the core;"
            f" the pipeline alone {hour['core_percent']:.2g} %; {'machine code' if made else 'NumPy alone'}",
        ),
        Measure(
            "agent_start_s", cost["start_s"], "s",
            f"until it answers; CPU {cost['start_cpu_s']:.2f} s",
        ),
    ]  # fmt: skip


def _child(module: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, check=True, timeout=900)
    return json.loads(done.stdout)


def _agent(warm_s: int, seconds: int) -> dict[str, float]:
    """The process, after so many seconds, watched for so many."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        targets = [_served(stack, _Target) for _ in range(TARGETS)]
        core = _served(stack, _Core)
        port = _free_port()
        settings = yaml.safe_load(PROFILE.read_text(encoding="utf-8"))
        settings |= {
            "server": {"http_port": port},
            "engine": settings["engine"] | {"data_dir": str(folder)},
            "agent": {
                "targets": [{"url": f"http://127.0.0.1:{port}/metrics", "interval_s": 1} for port in targets],
                "uplink": {"url": f"http://127.0.0.1:{core}/api/v1/uplink"},
            },
        }
        file = folder / "agent.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeobs.agent", str(file)], cwd=_ROOT, stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        stop = threading.Event()
        threading.Thread(target=_workload, args=(port, stop), daemon=True).start()
        stack.callback(stop.set)
        return _watch(process.pid, port, began, warm_s, seconds)


def _workload(port: int, stop: threading.Event) -> None:
    """A service of the node that pushes its metrics every second."""
    moves = 0
    while not stop.wait(1.0):
        moves += 1
        readings = [Reading(f"shop.load_{n}", "gauge", "", _value(n, moves)) for n in range(PUSHED)]
        body = encode({"service.name": "shop"}, readings, time.time_ns(), 0)
        try:
            httpx.post(
                f"http://127.0.0.1:{port}/v1/metrics", content=body, timeout=10,
                headers={"Content-Type": "application/x-protobuf"},
            )  # fmt: skip
        except httpx.TransportError:
            continue  # it starts, or has ended


def _value(number: int, moves: int) -> float:
    """Some number from 0 to 10, another every time."""
    return (number * 7919 + moves * 104_729) % 1000 / 100


def _watch(pid: int, port: int, began: float, warm_s: int, seconds: int) -> dict[str, float]:
    look = f"http://127.0.0.1:{port}/metrics"
    while True:
        try:
            _metrics(look)
            break
        except httpx.TransportError:
            if time.monotonic() - began > 60:
                raise
            time.sleep(0.01)
    found = {"start_s": time.monotonic() - began, "start_cpu_s": _cpu_s(pid), "start_mib": _mib(pid, "VmHWM")}
    time.sleep(warm_s)
    before, cpu, at = _metrics(look), _cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    after, spent, passed = _metrics(look), _cpu_s(pid) - cpu, time.monotonic() - at
    scored = "edgeobs_samples_scored_total"
    return found | {
        "core_percent": 100.0 * spent / passed,
        "samples_per_s": (after[scored] - before[scored]) / passed,
        "rss_mib": _mib(pid, "VmRSS"),
        "peak_mib": _mib(pid, "VmHWM"),
        "series": after["edgeobs_series"],
        "requests": sum(n for name, n in after.items() if name.startswith("edgeobs_uplink_requests_total")),
    }


def _metrics(url: str) -> dict[str, float]:
    lines = [line for line in httpx.get(url, timeout=30).text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def _cpu_s(pid: int) -> float:
    """User and system time of all its threads, and of its children that have ended (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICK


def _mib(pid: int, name: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split(f"{name}:")[1].split()[0]) / 1024


def _free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Core) as server:
        return int(server.server_address[1])


def _served(stack: ExitStack, handler: type[BaseHTTPRequestHandler]) -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return int(server.server_address[1])


class _Target(BaseHTTPRequestHandler):
    """Half of its series are counters, half gauges; all move at every scrape."""

    keys = tuple(
        f'metric_{number // 10}{("", "_total")[number % 2]}{{item="{number % 10}",device="d{number % 7}"}}'
        for number in range(SCRAPED)
    )
    moves = 0

    def do_GET(self) -> None:
        """One scrape."""
        type(self).moves += 1
        m = self.moves
        values = (m * 50 * (number % 2) + _value(number, m) for number in range(SCRAPED))
        lines = (f"{key} {value}" for key, value in zip(self.keys, values, strict=True))
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Core(BaseHTTPRequestHandler):
    """Takes everything, as the core's receiver answers."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One parcel."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Edgeobs-Last", self.headers["Edgeobs-Parcel"].rpartition("/")[2])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
