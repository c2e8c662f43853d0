"""OTLP from the node's workloads: bounded, answered as OTLP has it, after it was processed."""

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from edgeobs.agent.inlet import Inlet
from edgeobs.agent.listen import Listener
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt, Unavailable
from edgeobs.ingest.settings import Limits, Settings
from edgeobs.signals import Counts, Principal

PROTO = {"Content-Type": "application/x-protobuf"}
SETTINGS = Settings(
    max_body_bytes=2000, header_timeout_s=0.3, body_timeout_s=0.3, idle_timeout_s=0.5, queue_bytes=2000
)


class Served:
    """A listener on a free port, and what it took."""

    def __init__(self) -> None:
        self.taken: list[Delivery] = []
        self.counts = Counts()
        self.refuse: Exception | None = None
        sock = socket.create_server(("127.0.0.1", 0))
        auth = Auth(SETTINGS, Limits())
        self.listener = Listener(sock, self.take, auth, SETTINGS, self.counts, {"/-/healthy": lambda: "ok\n"})
        self.listener.start()
        self.url = f"http://127.0.0.1:{self.listener.port}"

    def take(self, delivery: Delivery) -> Receipt:
        if self.refuse is not None:
            raise self.refuse
        self.taken.append(delivery)
        return Receipt(2, {"limit": 1})


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served()
    yield found
    found.listener.stop()


def test_a_request_is_taken_and_answered_in_its_own_words(served: Served) -> None:
    body = gzip.compress(b"points")
    answer = httpx.post(
        f"{served.url}/v1/metrics", content=body, headers={**PROTO, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 200
    told = ExportMetricsServiceResponse.FromString(answer.content)
    assert told.partial_success.rejected_data_points == 1
    (delivery,) = served.taken
    assert (delivery.format, delivery.body, delivery.encoding) == ("otlp_proto", body, "gzip")


def test_logs_and_spans_are_taken_on_their_paths(served: Served) -> None:
    for path, response in (("logs", ExportLogsServiceResponse), ("traces", ExportTraceServiceResponse)):
        answer = httpx.post(f"{served.url}/v1/{path}", content=b"x", headers=PROTO)
        assert answer.status_code == 200
        assert "limit" in response.FromString(answer.content).partial_success.error_message
    assert [d.format for d in served.taken] == ["logs_proto", "spans_proto"]
    assert served.counts["edgeobs_requests_total", "otlp_http_logs", "200"] == 1


def test_a_connection_serves_one_request_after_the_other(served: Served) -> None:
    with httpx.Client() as client:
        for number in range(3):
            client.post(f"{served.url}/v1/metrics", content=b"%d" % number, headers=PROTO)
    assert [d.body for d in served.taken] == [b"0", b"1", b"2"]


REFUSED = [
    ("POST", "/v1/metrics", {"Content-Type": "text/plain"}, b"x", 415),
    ("POST", "/v1/metrics", {**PROTO, "Content-Encoding": "br"}, b"x", 415),
    ("POST", "/v1/metrics", PROTO, b"x" * 3000, 413),
    ("POST", "/v1/profiles", PROTO, b"x", 404),
    ("GET", "/v1/metrics", {}, b"", 404),
    ("POST", "/v1/metrics", {**PROTO, "X-Long": "y" * 20_000}, b"x", 400),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status"), REFUSED)
def test_what_is_not_taken_is_refused(
    method: str, path: str, headers: dict[str, str], body: bytes, status: int, served: Served
) -> None:
    answer = httpx.request(method, served.url + path, headers=headers, content=body)
    assert answer.status_code == status
    assert served.taken == []


def test_a_mistake_of_ours_is_said_and_the_next_request_served(served: Served) -> None:
    served.refuse = ZeroDivisionError()
    assert httpx.post(f"{served.url}/v1/metrics", content=b"x", headers=PROTO).status_code == 500
    served.refuse = None
    assert httpx.post(f"{served.url}/v1/metrics", content=b"x", headers=PROTO).status_code == 200


def test_a_full_queue_is_said_as_otlp_has_it(served: Served) -> None:
    served.refuse = Overloaded(3.0)
    answer = httpx.post(f"{served.url}/v1/metrics", content=b"x", headers=PROTO)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "3"
    assert served.counts["edgeobs_queue_shed_total", "otlp_http"] == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/metrics HTTP/1.1\r\nContent-Length: 5\r\nContent-Type: application/x-protobuf\r\n\r\nab",
        b"POST /v1/metr",
        b"\x16\x03\x01\x02\x00",
        b"nonsense\r\n\r\n",
    ],
)
def test_half_a_request_and_garbage_end_in_time(sent: bytes, served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.listener.port), 10) as peer:
        peer.sendall(sent)
        answer = b""
        while part := peer.recv(65536):
            answer += part
    assert answer[:12] in {b"HTTP/1.1 408", b"HTTP/1.1 400"}
    assert served.taken == []


def test_who_asks_whether_to_go_on_is_told(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.listener.port), 10) as peer:
        peer.sendall(
            b"POST /v1/metrics HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/x-protobuf\r\n\r\n"
        )
        assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"ab")
        response = http.client.HTTPResponse(peer)
        response.begin()
        assert response.status == 200


def test_health_is_told(served: Served) -> None:
    assert httpx.get(f"{served.url}/-/healthy").text == "ok\n"


def delivery(size: int) -> Delivery:
    return Delivery("otlp_proto", bytes(size), "identity", Principal(0, "a", None, 1), 0)


def test_the_inlet_holds_so_many_bytes_and_answers_each() -> None:
    inlet = Inlet(1000)
    outcome: list[object] = []

    def submit(size: int) -> None:
        try:
            outcome.append(inlet.submit(delivery(size)))
        except (Unavailable, Overloaded) as error:
            outcome.append(error)

    first = threading.Thread(target=submit, args=(900,))
    first.start()
    while not (waiting := inlet.drain()):
        pass
    second = threading.Thread(target=submit, args=(5000,))
    second.start()  # larger than the bound, and alone: it is let in
    while not inlet._waiting:
        pass
    with pytest.raises(Overloaded):
        inlet.submit(delivery(1))
    waiting[0].answer(Receipt(7))
    first.join(10)
    assert outcome == [Receipt(7)]
    inlet.close("stopping")
    second.join(10)
    assert isinstance(outcome[1], Unavailable)
    with pytest.raises(Unavailable, match="stopping"):
        inlet.submit(delivery(1))
