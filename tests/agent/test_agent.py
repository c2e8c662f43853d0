"""The agent's step, its configuration, and the process as it is started and killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.agent.agent import Agent
from edgeobs.agent.config import parse
from edgeobs.agent.inlet import Inlet
from edgeobs.agent.lean import untouched
from edgeobs.agent.reading import Readings
from edgeobs.agent.run import build_process
from edgeobs.agent.scraper import Fetched, Scraper
from edgeobs.agent.settings import AgentSettings, Target
from edgeobs.agent.telling import Telling
from edgeobs.compose import build
from edgeobs.config import ConfigError
from edgeobs.ingest.delivery import AnyFormat, Delivery, Receipt, Unavailable
from edgeobs.ingest.errors import Malformed
from edgeobs.keep import Keeper
from edgeobs.node.otlp import encode
from edgeobs.node.readings import Reading
from edgeobs.signals import SECOND, Principal
from tests.waiting import wait

ROOT = Path(__file__).parents[2]
NOW = 1_700_000_000 * SECOND
ME = Principal(0, "loopback", None, 1000)
SMALL = "detect: {compiled: false}\nlimits: {max_series: 1000}\nincidents: {history_mib: 1}\n"
RESOURCE: dict[str, str | bool] = {"k8s.node.name": "edge-1", "service.name": "edgeobs-node"}

Read = Callable[[], Sequence[Reading]]


class Fixed(Scraper):
    """A target whose next scrape is given."""

    def __init__(self, url: str) -> None:
        super().__init__(Target(url=url))
        self.next: Fetched | None = None

    def take(self) -> Fetched | None:
        found, self.next = self.next, None
        return found


class Bench:
    """An agent with one target, stepped by hand."""

    def __init__(self, folder: Path, read: Read | None = None) -> None:
        self.now_ns = NOW
        config, settings = parse(SMALL)
        core = build(config)
        self.target = Fixed("http://127.0.0.1:9100/metrics")
        self.inlet = Inlet(1 << 20)
        readings = Readings(RESOURCE, "edgeobs.node", 0, core.interner, ME)
        telling = Telling(core.pipeline.table, settings, None, {}, core.counts)
        keeper = Keeper(folder, config.incidents, ["loopback"], 3600 * SECOND, core.counts)
        self.agent = Agent(
            config, core, keeper, ME, readings, read, [self.target], self.inlet, telling, lambda: self.now_ns
        )
        self.agent.open()

    def step(self) -> None:
        self.now_ns += SECOND
        self.agent.step()

    def last(self, name: str) -> float:
        """The value of a series that was scored last, by its features."""
        table = self.agent.core.pipeline.table
        (number,) = (n for n, i in enumerate(table.identities) if i is not None and i.name == name)
        rows = self.agent.core.pipeline.features.state()["rows"]
        return float(rows[number, 2:3].view("float64")[0])

    def names(self) -> set[str]:
        return {i.name for i in self.agent.core.pipeline.table.identities if i is not None}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.agent.close()


def test_a_scrape_becomes_series_and_says_that_the_target_is_up(bench: Bench) -> None:
    bench.target.next = Fetched(NOW, 0.02, b"a 1\nb_total 2\n")
    bench.step()
    assert bench.names() == {"a", "b_total", "up", "scrape_duration_seconds", "scrape_samples_scraped"}
    assert (bench.last("up"), bench.last("scrape_samples_scraped"), bench.last("a")) == (1.0, 2.0, 1.0)
    table = bench.agent.core.pipeline.table
    assert {dict(i.labels)["job"] for i in table.identities if i is not None} == {"127.0.0.1:9100"}


@pytest.mark.parametrize("said", [Fetched(NOW, 5.0, None, "timed out"), Fetched(NOW, 0.1, b"<html>")])
def test_a_target_that_fails_is_down_and_said_so(said: Fetched, bench: Bench) -> None:
    bench.target.next = said
    bench.step()
    assert bench.last("up") == 0.0
    (why,) = bench.agent.problems.values()
    assert why in {"timed out", "line 1: expected a sample, found b'<html>'"}
    assert bench.agent.counts["edgeobs_agent_scrapes_total", "failed"] == 1
    bench.target.next = Fetched(NOW + SECOND, 0.1, b"a 1\n")
    bench.step()
    assert bench.agent.problems == {}


def submitted(bench: Bench, body: bytes, form: AnyFormat = "otlp_proto") -> Callable[[], Receipt | Exception]:
    """Hand in a body from another thread; call what comes back for its outcome."""
    outcome: list[Receipt | Exception] = []

    def run() -> None:
        try:
            outcome.append(bench.inlet.submit(Delivery(form, body, "identity", ME, NOW)))
        except (Malformed, Unavailable) as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait(lambda: bench.inlet._waiting, "it waits")

    def outcome_of() -> Receipt | Exception:
        thread.join(20)
        return outcome[0]

    return outcome_of


def test_what_a_workload_sends_is_answered_after_its_step(bench: Bench) -> None:
    body = encode({"service.name": "shop"}, [Reading("orders", "gauge", "", 7.0)], NOW, 0)
    outcome = submitted(bench, body)
    bench.step()
    assert outcome() == Receipt(1, {}, 1, 0, 0)
    assert bench.last("orders") == 7.0


def test_logs_and_spans_of_workloads_become_series_here(bench: Bench) -> None:
    logs, spans = ExportLogsServiceRequest(), ExportTraceServiceRequest()
    whole = logs.resource_logs.add()
    service = KeyValue(key="service.name", value=AnyValue(string_value="shop"))
    whole.resource.attributes.append(service)
    scope = whole.scope_logs.add()
    for second in range(50):
        at = NOW + second * SECOND // 10
        scope.log_records.add(time_unix_nano=at, body=AnyValue(string_value="order taken"))
    traced = spans.resource_spans.add()
    traced.resource.attributes.append(service)
    traced.scope_spans.add().spans.add(
        trace_id=bytes(15) + b"1", span_id=bytes(7) + b"1", name="GET /", kind=2,
        start_time_unix_nano=NOW, end_time_unix_nano=NOW + SECOND // 10,
    )  # fmt: skip
    first = submitted(bench, logs.SerializeToString(), "logs_proto")
    bench.step()
    assert first() == Receipt(50)
    second_ = submitted(bench, spans.SerializeToString(), "spans_proto")
    bench.step()
    assert second_() == Receipt(1)
    for _ in range(120):
        bench.step()
    named = bench.names()
    assert any("log" in name for name in named)
    assert any("span" in name or "trace" in name for name in named), named
    bad = submitted(bench, b"\xff", "logs_proto")
    bench.step()
    assert isinstance(bad(), Malformed)


def test_a_bad_body_is_its_senders_alone(bench: Bench) -> None:
    outcome = submitted(bench, b"\xff\xff")
    bench.target.next = Fetched(NOW, 0.02, b"a 1\n")
    bench.step()
    assert isinstance(outcome(), Malformed)
    assert bench.last("a") == 1.0


def test_a_step_that_fails_is_not_acknowledged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode({"service.name": "shop"}, [Reading("orders", "gauge", "", 7.0)], NOW, 0)
    outcome = submitted(bench, body)
    with monkeypatch.context() as patched:
        patched.setattr(bench.agent.core.pipeline, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.step()
    assert isinstance(outcome(), Unavailable)


def test_a_machine_that_cannot_be_read_is_a_problem_and_not_the_end(tmp_path: Path) -> None:
    broken = [True]

    def read() -> list[Reading]:
        if broken[0]:
            raise RuntimeError("no such kernel")
        return [Reading("x", "gauge", "", 1.0)]

    bench = Bench(tmp_path, read)
    bench.target.next = Fetched(NOW, 0.02, b"a 1\n")
    bench.step()
    assert "no such kernel" in bench.agent.problems["node"]
    assert bench.last("a") == 1.0
    broken[0] = False
    bench.step()
    assert bench.agent.problems == {}
    assert bench.last("x") == 1.0
    bench.agent.close()


def test_a_config_is_a_cores_with_a_section_more() -> None:
    text = """
limits: {max_series: 77}
agent:
  zone: z1
  targets: [{url: "http://127.0.0.1:9100/metrics", interval_s: 5}]
  uplink: {url: "http://core:4318/api/v1/uplink", budget_mib_per_hour: 2}
"""
    config, settings = parse(text)
    assert config.limits.max_series == 77
    assert settings.targets == (Target(url="http://127.0.0.1:9100/metrics", interval_s=5),)
    assert (settings.zone, settings.uplink.budget_mib_per_hour) == ("z1", 2.0)
    assert parse("")[1] == AgentSettings()
    assert not AgentSettings().alone.enabled
    assert parse("limits: {max_series: 7}")[0].limits.max_series == 7


WRONG = {
    "agent: {zones: z1}": "agent.zones",
    "agent: {targets: [{url: 'ftp://host/metrics'}]}": r"agent.targets\[0\].url: expected http",
    "agent: {targets: [{url: 'http://a/'}, {url: 'http://a/'}]}": "http://a/ is given twice",
    "agent: {interval_s: 0}": "agent.interval_s",
    "agent: {uplink: {url: core}}": "agent.uplink.url: expected http",
    "agent: {}\nagent: {}": "agent: is given twice",
    "agent: {alone: {enabled: true}}": "agent.alone.enabled: is on, and neither units nor pods",
    "agent: {alone: {enabled: true, pods: []}}": "agent.alone.enabled: needs uplink.url",
    "agent: {interval_s: 5, alone: {enabled: true}}": "alone.enabled: needs an interval_s of at most 2",
    "agent: {alone: {units: [{unit: 'k3s*.service', low: [x]}]}}": r"units\[0\].unit: expected a whole",
    "agent: {alone: {units: [{unit: '-H.service', low: [x]}]}}": r"units\[0\].unit: expected a whole",
    "agent: {alone: {units: [{unit: a.target, low: [x]}]}}": r"units\[0\].unit: expected a whole",
    "agent: {alone: {units: [{unit: a.service}]}}": r"alone.units\[0\]: expected patterns in low or high",
    "agent: {alone: {pods: [{namespace: kube-system, low: [x]}]}}": "kube-system is never acted upon",
    "agent: {alone: {pods: [{namespace: shop, low: [x]}]}}": "alone.metaserver_url: is needed for pods",
    "agent: {alone: {metaserver_url: 'ftp://x'}}": "agent.alone.metaserver_url: expected http",
    "agent: {alone: {per_s: 1}}": "agent.alone.per_s",
    "limit: {}": "limit: expected one of",
    "agent: [": "while parsing",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_used_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=WRONG[text]):
        parse(text)


SMAPS = """\
55550000-55551000 r-xp 00000000 fe:00 247278                     /usr/bin/python
Size:                  4 kB
Private_Dirty:         0 kB
55551000-55552000 r--p 00001000 fe:00 247278                     /usr/bin/python
Private_Dirty:         4 kB
55552000-55553000 rw-p 00002000 fe:00 247278                     /usr/bin/python
Private_Dirty:         0 kB
7f000000-7f001000 r--p 00000000 00:00 0
Private_Dirty:         0 kB
7f001000-7f003000 r--p 00000000 fe:00 9                          /lib/libm.so
Private_Dirty:         0 kB
"""


def test_only_what_came_from_a_file_and_was_never_written_is_let_go() -> None:
    assert list(untouched(SMAPS)) == [(0x55550000, 0x55551000), (0x7F001000, 0x7F003000)]


class Process:
    """`edgeobs agent`, on a free port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        file = folder / "agent.yaml"
        file.write_text(
            f"{SMALL}engine: {{data_dir: {folder / 'data'}, snapshot_interval_s: 1}}\n"
            f"server: {{http_port: {port}}}\nagent: {{interval_s: 0.2, node: edge-1}}\n"
        )
        self._log = (folder / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgeobs", "agent", "-c", str(file)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=self._log, stdout=self._log,
        )  # fmt: skip

    def until_ready(self) -> None:
        wait(lambda: httpx.get(f"{self.url}/-/healthy", timeout=30).text, "it serves")

    def metric(self, name: str) -> float:
        lines = httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    def end(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._log.close()
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    started: list[Process] = []

    def one() -> Process:
        started.append(Process(tmp_path, port))
        started[-1].until_ready()
        return started[-1]

    yield one
    for process in started:
        if process.process.poll() is None:
            process.end()


@pytest.mark.timeout(300)  # starts the process twice, on a machine that may have much else to do
def test_the_process_serves_survives_kill_9_and_ends_cleanly(
    tmp_path: Path, start: Callable[[], Process]
) -> None:
    first = start()
    body = encode({"service.name": "shop"}, [Reading("orders", "gauge", "", 7.0)], 0, 0)
    headers = {"Content-Type": "application/x-protobuf"}
    answer = httpx.post(f"{first.url}/v1/metrics", content=body, headers=headers, timeout=30)
    assert answer.status_code == 200
    series = wait(lambda: first.metric("edgeobs_series"), "it reads this machine")
    assert series > 20
    mapped = Path(f"/proc/{first.process.pid}/maps").read_text(encoding="utf-8")
    assert "numpy" in mapped
    assert "pydantic" not in mapped, "what checked the settings is gone"
    wait((tmp_path / "data" / "learned.snapshot").exists, "a snapshot")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    again = start()
    assert again.metric("edgeobs_series") >= 20, "it knows its series"
    assert "restored" in (tmp_path / "log").read_text()
    assert again.end(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config, settings = parse(f"{SMALL}engine: {{data_dir: {tmp_path}}}\nserver: {{http_port: {port}}}\n")
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}"):
            build_process(config, settings)


def test_a_file_that_cannot_be_used_ends_it_with_2(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("agent: {zones: 1}\n")
    command = [sys.executable, "-m", "edgeobs", "agent", "-c", str(file)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 2
    assert "agent.zones" in done.stderr


def test_its_counters_are_prometheus_text_as_declared() -> None:
    from edgeobs.agent.exposed import text
    from edgeobs.catalogue import METRICS

    own = {n: metric for n, metric in METRICS.items() if n.startswith(("edgeobs_agent_", "edgeobs_uplink_"))}
    assert own
    values = {(name, *[f'a "{label}"\n\\' for label in metric.labels]): 3.0 for name, metric in own.items()}
    values["edgeobs_requests_total", "otlp_http", "200"] = 123_456_789
    families = {f.name: f for f in text_string_to_metric_families(text(values))}
    assert families["edgeobs_uplink_sent"].samples[0].labels == {"kind": 'a "kind"\n\\'}
    assert families["edgeobs_requests"].samples[0].value == 123_456_789
    assert len(families) == len(values)
    for name, metric in own.items():
        assert families[name.removesuffix("_total")].documentation == metric.help


def test_what_acts_alone_is_part_of_it_only_where_it_is_switched_on(tmp_path: Path) -> None:
    text = f"""{SMALL}engine: {{data_dir: {tmp_path}}}
server: {{http_port: 0}}
agent:
  read_node: false
  node: edge-1
  uplink: {{url: "http://127.0.0.1:1/api/v1/uplink"}}
"""
    on = "  alone: {enabled: true, units: [{unit: k3s.service, low: [up]}]}\n"
    for more, acts in (("", False), (on, True)):
        process = build_process(*parse(text + more))
        assert (process.alone is not None, process.agent.alone is not None) == (acts, acts)
        assert (tmp_path / "alone.sqlite").exists() == acts
        process.start()
        process.agent.step()
        assert process.agent.problems == {}
        process.stop()


def test_whatever_the_agent_counts_is_declared() -> None:
    from edgeobs.catalogue import METRICS

    for folder in ("agent", "uplink"):
        for file in (ROOT / "edgeobs" / folder).rglob("*.py"):
            named = set(re.findall(r'"(edgeobs_[a-z_]+)"', file.read_text(encoding="utf-8")))
            assert named <= METRICS.keys(), file.name
