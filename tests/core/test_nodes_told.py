"""What nodes' agents tell, taken by a served core; and a core whose file for it cannot be used."""

import gzip
from pathlib import Path

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from benchmarks.serving import Core, core
from edgeobs.nodes_told import NAME
from edgeobs.uplink.letters import of_incident
from edgeobs.uplink.receive import BASE
from tests.agent.things import make_incident

QUEUE = "0123456789abcdef" * 2


def parcel(served: Core, sequence: int) -> httpx.Response:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="k8s.node.name").value.string_value = "edge-1"
    metric = resource.scope_metrics.add().metrics.add(name="load")
    metric.gauge.data_points.add(as_double=float(sequence))
    headers = {"Edgeobs-Parcel": f"edge-1/{QUEUE}/rest/{sequence}", "Edgeobs-Kind": "summary"}
    body = gzip.compress(request.SerializeToString())
    url = f"http://127.0.0.1:{served.http_port}{BASE}/v1/metrics"
    return httpx.post(url, content=body, headers=headers | {"Content-Encoding": "gzip"})


def test_a_parcel_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    with core({}, tmp_path) as served:
        answers = [parcel(served, number) for number in (1, 2, 2)]
        assert [(a.status_code, a.headers["edgeobs-last"]) for a in answers] == [
            (200, "1"),
            (200, "2"),
            (200, "2"),
        ]
        assert served.metric("edgeobs_points_received_total") == 2
        assert served.metric("edgeobs_uplink_known_total") == 1
    with core({}, tmp_path) as served:
        assert parcel(served, 2).headers["edgeobs-last"] == "2"
        assert served.metric("edgeobs_points_received_total") == 0
        (lane,) = httpx.get(f"http://127.0.0.1:{served.http_port}{BASE}").json()["lanes"]
        assert (lane["node"], lane["last"]) == ("edge-1", 2)


def test_an_incident_of_long_ago_is_shown_as_a_record_and_opens_nothing(tmp_path: Path) -> None:
    with core({}, tmp_path) as served:
        letter = of_incident(make_incident(), {})
        headers = {"Edgeobs-Parcel": f"edge-1/{QUEUE}/first/1", "Edgeobs-Kind": "incident"}
        url = f"http://127.0.0.1:{served.http_port}{BASE}/v1/logs"
        told = httpx.post(url, content=letter.body, headers=headers | {"Content-Encoding": "gzip"})
        assert told.status_code == 200
        (found,) = served.get("/api/v1/late-incidents")["incidents"]
        assert (found["id"], found["agent"], found["last_state"]) == ("inc-1", "edge-1", "open")
        assert found["delivered_s"] > found["raised_s"] + 3600
        detail = served.get("/api/v1/late-incidents/inc-1?node=edge-1")
        assert len(detail["evidence"][0]["points"]) == 3
        assert served.get("/api/v1/incidents") == []
        assert served.get("/api/v1/decisions") == []


def test_a_damaged_file_stops_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / NAME).write_bytes(b"no database at all" * 100)
    with core({}, tmp_path) as served:
        answer = parcel(served, 1)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert served.get("/api/v1/late-incidents")["total"] == 0
        assert any("agents" in notice for notice in served.get("/api/v1/status")["notices"])
        plain = httpx.post(
            f"http://127.0.0.1:{served.http_port}/v1/metrics",
            headers={"Content-Type": "application/x-protobuf"},
        )
        assert plain.status_code == 200
