"""Stands in for the core: hears its senders, and answers the API with what it takes for faults.

``stub_core.py MODE -c FILE``: ``right`` notices every fault and decides right, ``blind`` sees nothing,
``dies`` ends after the first request, ``never`` ends before it is ready.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

MODE, CONFIG = sys.argv[1], yaml.safe_load(Path(sys.argv[3]).read_text())
HEARD: dict[str, tuple[str, float]] = {}  # node → zone, and when it was last heard
SEEN: dict[str, float] = {}  # fault → when it was noticed
AGENT: list[float] = []  # when it was heard
TAKEN: list[bytes] = []  # what it told of incidents


class Otlp(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/api/v1/uplink/"):
            AGENT.append(time.time())
            TAKEN.extend([body] * self.path.endswith("/logs"))
        if self.path == "/v1/metrics":
            self.hear(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def hear(self, request: ExportMetricsServiceRequest) -> None:
        if MODE == "dies":
            sys.stderr.write("Traceback: out of cheese\n")
            sys.stderr.flush()
            threading.Thread(target=server.shutdown).start()
        notice(request)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        now = time.time()
        for zone in {zone for _, (zone, _) in HEARD.items()}:
            heard = [t for z, t in HEARD.values() if z == zone]
            if now - max(heard) > 2.0:
                SEEN.setdefault("dark", now)
        if AGENT and now - AGENT[-1] > 1.0:
            SEEN.setdefault("cut", now)
        if path == "/metrics":
            self.say(f'edgeobs_uplink_taken_total{{kind="incident"}} {len(TAKEN)}\n'.encode())
            return
        answers = {"/readyz": {}, "/api/v1/incidents": incidents(), "/api/v1/decisions": decisions()}
        self.say(json.dumps(answers.get(path, {"evidence": [EVIDENCE]})).encode())

    def say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


EVIDENCE = {
    "source": "series",
    "text": 'latency{device="sda"}',
    "brief": "latency (sda)",
    "unit": "s",
    "value": 4.0,
    "low": 0.1,
    "high": 0.2,
    "score": 12.0,
}


def notice(request: ExportMetricsServiceRequest) -> None:
    """A disk twice as slow as usual is bad; this machine burns, on trust, 3 s after it was heard."""
    for resource in request.resource_metrics:
        known = {a.key: a.value.string_value for a in resource.resource.attributes}
        HEARD[known["k8s.node.name"]] = (known["topology.kubernetes.io/zone"], time.time())
        for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
            slow = (
                metric.name == "system.linux.disk.latency" and metric.gauge.data_points[0].as_double > 0.0007
            )
            if slow and known["k8s.node.name"] == NODE["disk"]:
                SEEN.setdefault("disk", time.time())
            if metric.name == "system.cpu.load_average.1m" and known["topology.kubernetes.io/zone"] == "here":
                FIRST.setdefault("load", time.time())
                if time.time() - FIRST["load"] > 3.0:
                    SEEN.setdefault("burn", time.time())
                    NODE["here"] = known["k8s.node.name"]


FIRST: dict[str, float] = {}
NODE = {"here": "", "disk": "edge-17"}


def incidents() -> list[dict[str, object]]:
    """Newest first."""
    places = {
        "burn": {"zone": "here", "node": NODE["here"]},
        "disk": {"zone": "c", "node": "edge-17"},
        "cut": {"zone": "a", "node": "edge-09"},
        "dark": {"zone": "b", "node": ""},
    }
    return [
        {
            "id": fault,
            "scope": "zone" if fault == "dark" else "node",
            "place": places[fault],
            "opened_s": at,
            "resolved_s": None,
            "title": f"{fault} [noticed]",
        }
        for fault, at in reversed(SEEN.items())
        if MODE == "right"
    ]


def decisions() -> list[dict[str, object]]:
    """One for each incident."""
    what = {"burn": ("taint", "allowed", "all"), "disk": ("cordon", "allowed", "all")}
    what["cut"] = what["disk"]
    found = []
    for incident in incidents():
        fault = str(incident["id"])
        verb, verdict, rule = what.get(fault, ("failover", "held", "zone_hold"))
        found.append(
            {
                "id": f"d-{fault}",
                "text": f"would {verb}: [{fault}]",
                "verdict": verdict,
                "rule": rule,
                "dry_run": True,
                "decided_s": incident["opened_s"],
                "action": {"verb": verb, "target": incident["place"], "incident_id": fault},
                "latency_ms": 3.25,
            }
        )
    return found


if __name__ == "__main__":
    if MODE == "never":
        sys.exit("core: no luck today")
    server = ThreadingHTTPServer(("127.0.0.1", CONFIG["server"]["http_port"]), Otlp)
    web = ThreadingHTTPServer(("127.0.0.1", CONFIG["web"]["port"]), Web)
    server.daemon_threads = web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server.serve_forever()
    if MODE == "dies":
        sys.exit(3)
