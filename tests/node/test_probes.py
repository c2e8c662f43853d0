"""What asks others: peers, name servers, health endpoints, runtimes. All on loopback."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.host import MissingError
from edgeobs.node.sources import clock, dns, services
from edgeobs.node.sources.peers import Peers, probe
from tests.node.boards import host, values, write

LONG = 30.0


@contextmanager
def datagrams(answer: Callable[[bytes], bytes | None]) -> Iterator[int]:
    """A UDP service on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(LONG)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    message, sender = service.recvfrom(4096)
                except OSError:
                    return
                if message and (reply := answer(message)) is not None:
                    service.sendto(reply, sender)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield service.getsockname()[1]
        stop.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", service.getsockname())
        thread.join(LONG)


def test_a_peer_answers_by_accepting_refusing_or_echoing() -> None:
    with socket.socket() as open_, socket.socket() as closed, datagrams(lambda message: message) as echo:
        open_.bind(("127.0.0.1", 0))
        open_.listen()
        closed.bind(("127.0.0.1", 0))  # and does not listen
        names = ("tcp://127.0.0.1:{}", "tcp://localhost:{}", "udp://127.0.0.1:{}")
        ports = (open_.getsockname()[1], closed.getsockname()[1], echo)
        peers = tuple(name.format(port) for name, port in zip(names, ports, strict=True))
        took = probe(peers, LONG)
        assert took.keys() == set(peers)
        assert all(each is not None and 0 <= each < LONG for each in took.values()), took


def test_what_does_not_answer_is_lost_and_what_answers_wrongly_too(tmp_path: Path) -> None:
    with datagrams(lambda _: None) as silent, datagrams(lambda message: message[::-1]) as liar:
        lost = (
            f"udp://127.0.0.1:{silent}",
            f"udp://127.0.0.1:{liar}",
            f"tcp://{'x' * 70}:1",
            "tcp://a:99999",
        )
        source, machine = Peers(within_s=0.2), host("riscv", tmp_path, peers=lost)
        for _ in range(2):
            readings = list(source(machine))
        by = "edgeobs.node.peer"
        assert values(readings, "edgeobs.node.peer.probes", by) == {(peer,): 2 for peer in lost}
        assert values(readings, "edgeobs.node.peer.lost", by) == {(peer,): 2 for peer in lost}
        assert values(readings, "edgeobs.node.peer.rtt", by) == {}


def test_without_peers_there_is_nothing_to_tell(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        list(Peers()(host("riscv", tmp_path)))


NAMES = st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4)


def reply(query: bytes, code: int = 0, found: int = 1, number: int | None = None) -> bytes:
    """A name server's, without the records, which nobody reads."""
    (asked,) = struct.unpack_from(">H", query)
    head = struct.pack(">HHHHHH", asked if number is None else number, 0x8180 | code, 1, found, 0, 0)
    return head + query[12:] + b"\0" * 16


@given(st.integers(0, 0xFFFF), NAMES.map(".".join))
def test_a_question_is_answered_by_its_own_answer_alone(number: int, name: str) -> None:
    query = dns.question(number, name)
    assert dns.answers(query, reply(query))
    assert not dns.answers(query, query)
    assert not dns.answers(query, reply(query, code=3))  # no such name
    assert not dns.answers(query, reply(query, found=0))
    assert not dns.answers(query, reply(query, number=number ^ 1))
    assert not dns.answers(query, reply(dns.question(number, f"x{name}")))


@given(st.binary(max_size=80))
def test_any_message_is_borne(message: bytes) -> None:
    assert dns.answers(dns.question(1, "a.example"), message) in {True, False}


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "ü.example", ".".join(["abcdefgh"] * 30)])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        dns.question(1, name)


@pytest.mark.parametrize(("code", "up"), [(0, 1), (2, 0)])
def test_the_name_servers_of_resolv_conf_are_asked(code: int, up: float, tmp_path: Path) -> None:
    with datagrams(lambda query: reply(query, code)) as port:
        machine = host("raspberry", tmp_path, dns_name="edge.example", dns_port=port)
        readings = list(dns.dns(machine))
    assert values(readings, "edgeobs.node.dns.up", "server.address") == {("127.0.0.1",): up}
    assert len(values(readings, "edgeobs.node.dns.time")) == up


def test_a_name_server_that_refuses(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    machine = host("raspberry", tmp_path, dns_name="edge.example", dns_port=port)
    assert values(list(dns.dns(machine)), "edgeobs.node.dns.up", "server.address") == {("127.0.0.1",): 0}


@pytest.mark.parametrize(("status", "up"), [(200, 1), (500, 0)])
def test_a_health_endpoint_is_taken_at_its_word(status: int, up: float, tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        asked = (f"mine=http://127.0.0.1:{server.server_port}/healthz",)
        readings = list(services.services(host("riscv", tmp_path, endpoints=asked)))
        server.shutdown()
    assert values(readings, "edgeobs.node.service.up", "service.name") == {("mine",): up}


def test_a_runtime_answers_if_it_speaks_http2(tmp_path: Path) -> None:
    """A real gRPC server, and something else on the same socket."""
    grpc = pytest.importorskip("grpc")
    futures = pytest.importorskip("concurrent.futures")
    machine = host("riscv", tmp_path)
    write(tmp_path, "run/containerd/x", "")
    path = tmp_path / "run/containerd/containerd.sock"
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    up = "edgeobs.node.runtime.up"
    assert values(list(services.runtime(machine)), up, "container.runtime.name") == {("containerd",): 1}
    server.stop(None).wait(LONG)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def talk() -> None:
            with other.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 no\r\n\r\n")

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        assert values(list(services.runtime(machine)), up, "container.runtime.name") == {("containerd",): 0}
        thread.join(LONG)
    assert values(list(services.runtime(machine)), up, "container.runtime.name") == {("containerd",): 0}


def test_the_clock_of_this_machine(tmp_path: Path) -> None:
    readings = {r.name: r.value for r in clock.clock(host("riscv", tmp_path))}
    assert readings["edgeobs.node.clock.synchronized"] in {0, 1}
    assert readings["edgeobs.node.clock.error.max"] >= 0


def test_the_kernels_units_of_time() -> None:
    told = {r.name.rsplit("clock.", 1)[1]: r.value for r in clock.told(0, 0x2001, -2_000_000, 5000, 10)}
    assert told == pytest.approx(
        {"synchronized": 1, "offset": -0.002, "error.max": 0.005, "error.estimated": 1e-5}
    )
    assert next(iter(clock.told(0, 0x0041, 0, 0, 0))).value == 0
    assert next(iter(clock.told(5, 0, 0, 0, 0))).value == 0
    assert list(clock.told(0, 0, 7, 0, 0))[1].value == pytest.approx(7e-6)
