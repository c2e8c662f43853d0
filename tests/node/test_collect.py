"""The collector, on the machine that runs the tests."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.node.__main__ import main
from edgeobs.node.collect import Collector, collect, resource
from edgeobs.node.derive import bound, latencies
from edgeobs.node.health import CHECKS, Verdict
from edgeobs.node.host import Host
from edgeobs.node.names import NAMES
from edgeobs.node.readings import Reading
from edgeobs.node.settings import Health, Settings
from edgeobs.node.sources import system
from edgeobs.node.sources.table import Source
from tests.node.boards import unpack, write
from tests.waiting import wait

HERE = Host(Settings())
LONG = Settings(within_s=10.0)
"""For a machine that is busy with other tests."""


def values(readings: list[Reading], name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {r.attributes: r.value for r in readings if r.name == name}


def test_processor_modes_add_up_to_the_time_that_passed() -> None:
    """Between two readings all modes together grow by the time that passed, times the processors."""

    def total() -> float:
        return sum(values(list(system.cpu(HERE)), "system.cpu.time").values())

    cores = os.cpu_count() or 1
    started, before = time.monotonic(), total()
    while (passed := time.monotonic() - started) < 1.0:
        sum(range(10_000))
    grown = total() - before
    assert grown == pytest.approx(passed * cores, rel=0.25)


def test_what_is_read_here_is_sane() -> None:
    readings = Collector(LONG).readings()
    memory = values(readings, "system.memory.usage")
    assert sum(memory.values()) == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    assert all(0 <= r.value <= 1 for r in readings if r.name.endswith(("utilization", ".ratio", ".up")))
    assert all(r.value >= 0 for r in readings if r.kind != "gauge")
    assert values(readings, "system.process.count")[()] >= 2
    assert any(
        ("system.filesystem.mountpoint", "/") in labels
        for labels in values(readings, "system.filesystem.utilization")
    )


def test_no_series_is_read_twice() -> None:
    seen = Counter((r.name, r.attributes) for r in Collector(LONG).readings())
    assert [each for each, times in seen.items() if times > 1] == []


def test_counters_never_fall() -> None:
    collector = Collector(LONG)
    collector.readings()  # sources apart have begun
    before = {(r.name, r.attributes): r.value for r in collector.readings() if r.kind == "counter"}
    after = {(r.name, r.attributes): r.value for r in collector.readings() if r.kind == "counter"}
    assert before.keys() == after.keys()
    assert [key for key in before if after[key] < before[key]] == []


def test_a_kernel_without_pressure_files_loses_that_alone(tmp_path: Path) -> None:
    collector = Collector(Settings(root=str(unpack("raspberry", tmp_path)), within_s=10.0))
    readings = collector.readings()
    up = values(readings, "edgeobs.node.source.up")
    assert up[("source", "pressure"), ("reason", "absent")] == 0
    assert up[("source", "cpu"), ("reason", "")] == 1
    assert values(readings, "system.cpu.time")
    assert collector.start_ns == 1_700_000_000 * 10**9


def test_what_the_checks_find_is_sent_and_told(tmp_path: Path) -> None:
    """Evidence: a problem is a series of its own."""
    told: list[dict[str, Verdict]] = []
    settings = Settings(root=str(unpack("raspberry", tmp_path)), within_s=10.0)
    collector = Collector(settings, health=Health(confirm_s=0), tell=told.append)
    collector.host.clock = lambda: 4810.0
    found = values(collector.readings(), "edgeobs.node.problem")
    by_type = {dict(labels)["k8s.node.condition.type"]: value for labels, value in found.items()}
    assert by_type["ReadonlyFilesystem"] == by_type["ThermalThrottling"] == by_type["GatewayUnreachable"] == 1
    assert by_type["KernelDeadlock"] == by_type["OutOfMemoryKills"] == 0
    assert told[0].keys() == CHECKS.keys()
    assert told[0]["ReadonlyFilesystem"].message == "/ (/dev/mmcblk0p2)"
    collector.readings()
    assert len(told) == 1  # ten seconds have not passed


def test_under_node_exporters_names(tmp_path: Path) -> None:
    root = unpack("server", tmp_path)
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "61000\n")
    settings = Settings(root=str(root), within_s=10.0, per_cpu=True, node_exporter_names=True)
    readings = Collector(settings).readings()
    assert values(readings, "node_cpu_seconds_total")[("cpu", "1"), ("mode", "irq")] == 0.1
    assert values(readings, "node_memory_Cached_bytes") == {(): 6_000_000 * 1024}
    assert values(readings, "node_memory_SwapTotal_bytes") == {(): 2_000_000 * 1024}
    assert values(readings, "node_thermal_zone_temp") == {(("type", "x86_pkg_temp"), ("zone", "0")): 61}
    hwmon = (("chip", "coretemp"), ("sensor", "temp1"))
    assert values(readings, "node_hwmon_temp_celsius") == {hwmon: 60}
    mount = (("device", "/dev/nvme0n1p2"), ("fstype", "ext4"), ("mountpoint", "/"))
    there = os.statvfs(tmp_path)
    free = values(readings, "node_filesystem_free_bytes")[mount]
    assert free == pytest.approx(there.f_bfree * there.f_frsize, rel=0.05)
    assert set(values(readings, "system.memory.usage")) == {(("system.memory.state", "used"),)}
    assert values(readings, "edgeobs.node.source.up")  # as all that has no counterpart


def test_devices_are_bounded_and_what_is_left_out_is_told() -> None:
    def many() -> Iterator[Reading]:
        for number in range(40):
            for way in ("read", "write"):
                labels = (("disk.io.direction", way), ("system.device", f"sd{number}"))
                yield Reading("system.disk.io", "counter", "By", number, labels)

    kept, left_out = bound(many(), 16)
    assert (len(kept), left_out) == (32, 24)
    readings = Collector(Settings(at_most=16), {"disk": Source(lambda _: many())}).readings()
    assert values(readings, "edgeobs.node.left_out") == {(): 24}


def test_latency_is_time_per_operation_that_ended() -> None:
    def disk(operations: float, seconds: float) -> list[Reading]:
        labels = (("disk.io.direction", "read"), ("system.device", "sda"))
        return [
            Reading("system.disk.operations", "counter", "{operation}", operations, labels),
            Reading("system.disk.operation_time", "counter", "s", seconds, labels),
        ]

    found = list(latencies(disk(100, 5.0), disk(110, 5.5)))
    assert [r.name for r in found] == ["system.linux.disk.latency"]
    assert found[0].value == pytest.approx(0.05)
    assert list(latencies(disk(100, 5.0), disk(100, 5.0))) == []
    assert list(latencies([], disk(100, 5.0))) == []


def test_who_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    plain = resource(Settings())
    assert plain["k8s.node.name"] == plain["host.name"] == socket.gethostname()
    assert "topology.kubernetes.io/zone" not in plain
    monkeypatch.setenv("NODE_NAME", "from-env")
    assert resource(Settings())["k8s.node.name"] == "from-env"
    named = resource(Settings(node="n", zone="z", cluster="c"))
    assert (named["k8s.node.name"], named["topology.kubernetes.io/zone"]) == ("n", "z")
    assert named["k8s.cluster.name"] == "c"


class Waits(threading.Event):
    """An event that does not wait, but notes for how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout or 0.0)
        return self.is_set()


def test_collects_and_waits_for_what_is_left_of_the_interval() -> None:
    bodies: list[bytes] = []
    stop = Waits()

    def put(body: bytes) -> None:
        bodies.append(body)
        if len(bodies) == 3:
            stop.set()

    collect(Collector(Settings(interval_s=600.0, within_s=10.0)), put, stop)
    assert len(bodies) == len(stop.asked) == 3
    first, second, third = stop.asked
    assert 0 < first <= 600 < second <= 1200 < third <= 1800  # each is due an interval after the one before
    times = []
    for body in bodies:
        metric = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0].metrics[0]
        times.append(metric.sum.data_points[0].time_unix_nano)
    assert times == sorted(set(times))


def test_a_collection_that_took_too_long_is_not_made_up_for() -> None:
    late, stop = threading.Event(), Waits()

    def put(_: bytes) -> None:
        late.wait(0.15)
        if len(stop.asked) == 2:
            stop.set()

    collect(Collector(Settings(interval_s=0.1, within_s=10.0)), put, stop)
    assert [asked <= 0 for asked in stop.asked] == [True] * 3  # the next at once, and no more than that


def test_as_a_program_it_sends_and_ends_on_sigterm(
    receiver: Any, until: Callable[[Callable[[], bool]], None]
) -> None:
    more = ["--url", receiver.url, "--interval", "0.1", "--zone", "z", "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "edgeobs.node", *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        try:
            until(lambda: len(receiver.bodies) >= 3)
            child.send_signal(signal.SIGTERM)
            _, said = child.communicate(timeout=10)
        finally:
            child.kill()
    assert (child.returncode, said) == (0, b"")
    assert b"topology.kubernetes.io/zone" in receiver.bodies[0]
    sent = ExportMetricsServiceRequest.FromString(receiver.bodies[-1]).resource_metrics[0].scope_metrics[0]
    assert {metric.name for metric in sent.metrics} <= NAMES.keys()
    began = {m.name: m.sum.data_points[0].start_time_unix_nano for m in sent.metrics if m.sum.data_points}
    assert (
        began["edgeobs.node.requests"] > began["system.cpu.time"]
    )  # this process is younger than the machine


def test_as_a_program_it_is_scraped_under_either_names(tmp_path: Path) -> None:
    root = unpack("server", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    more = [f"--root={root}", "--url=", f"--listen={address}", "--interval=0.2"]
    for names, wanted in (
        ([], "system_cpu_time_seconds_total"),
        (["--node-exporter-names"], "node_cpu_seconds_total"),
    ):
        with subprocess.Popen([sys.executable, "-m", "edgeobs.node", *more, *names]) as child:
            try:
                wait(lambda: wanted in httpx.get(f"http://{address}/metrics").text, "it is scraped")  # noqa: B023
                text = httpx.get(f"http://{address}/metrics").text
                child.send_signal(signal.SIGTERM)
                assert child.wait(20) == 0
            finally:
                child.kill()
        assert 'edgeobs_node_source_up{reason="absent",source="wear"} 0.0' in text
        assert "hw_host_energy_joules_total" in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--url="], "no --url, --listen or --conditions"),
        (["--url=", "--listen=127.0.0.1:none"], "--listen 127.0.0.1:none"),
        (["--url=", "--listen=127.0.0.1:99999"], "--listen 127.0.0.1:99999"),
        (["--peer=example.org"], "not tcp://HOST:PORT"),
        (["--peer=tcp://example.org"], "not tcp://HOST:PORT"),
        (["--endpoint=http://127.0.0.1/"], "not NAME=http://HOST:PORT/PATH"),
        (["--conditions", "--url="], "--conditions: not in a pod"),
    ],
)
def test_what_cannot_be_is_said(
    more: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(sys, "argv", ["node", *more])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
