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

import psutil
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.node import read
from edgeobs.node.collect import Collector, collect, resource
from edgeobs.node.derive import bound, latencies
from edgeobs.node.readings import Reading
from edgeobs.node.settings import Settings


def values(readings: list[Reading], name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {r.attributes: r.value for r in readings if r.name == name}


def test_processor_modes_add_up_to_the_time_that_passed() -> None:
    """Between two readings all modes together grow by the time that passed, times the processors."""

    def total() -> float:
        return sum(values(list(read.cpu()), "system.cpu.time").values())

    cores = os.cpu_count() or 1
    started, before = time.monotonic(), total()
    while (passed := time.monotonic() - started) < 1.0:
        sum(range(10_000))
    grown = total() - before
    assert grown == pytest.approx(passed * cores, rel=0.25)


def test_what_is_read_here_is_sane() -> None:
    readings = Collector(Settings()).readings()
    memory = values(readings, "system.memory.usage")
    assert sum(memory.values()) == pytest.approx(psutil.virtual_memory().total, rel=0.01)
    assert all(0 <= r.value <= 1 for r in readings if r.unit == "1")
    assert all(r.value >= 0 for r in readings if r.kind != "gauge")
    assert values(readings, "system.process.count")[()] >= 2
    assert any(
        ("system.filesystem.mountpoint", "/") in labels
        for labels in values(readings, "system.filesystem.utilization")
    )


def test_no_series_is_read_twice() -> None:
    seen = Counter((r.name, r.attributes) for r in Collector(Settings()).readings())
    assert [each for each, times in seen.items() if times > 1] == []


def test_counters_never_fall() -> None:
    collector = Collector(Settings())
    before = {(r.name, r.attributes): r.value for r in collector.readings() if r.kind == "counter"}
    after = {(r.name, r.attributes): r.value for r in collector.readings() if r.kind == "counter"}
    assert before.keys() == after.keys()
    assert [key for key in before if after[key] < before[key]] == []


def test_a_kernel_without_pressure_files_loses_that_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "PROC", tmp_path)
    collector = Collector(Settings())
    readings = collector.readings()
    assert collector.failures == {"paging": 1, "disk": 1, "pressure": 1, "process": 1}
    assert values(readings, "system.cpu.time")
    assert values(readings, "edgeobs.node.read.failures")[("reader", "pressure"),] == 1


def test_disk_columns_are_taken_as_the_kernel_numbers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "diskstats").write_text(
        "   8  0 sda 100 1 200 3000 50 2 80 4000 7 5000 7000 0 0 0 0\n   7  0 loop0 9 9 9 9 9 9 9 9 9 9 9\n"
    )
    (tmp_path / "block" / "sda" / "device").mkdir(parents=True)
    monkeypatch.setattr(read, "PROC", tmp_path)
    monkeypatch.setattr(read, "SYS", tmp_path)
    found = {(r.name.removeprefix("system.disk."), r.attributes[0][1]): r.value for r in read.disk()}
    assert found == {
        ("io", "read"): 200 * 512,
        ("operations", "read"): 100,
        ("operation_time", "read"): 3.0,
        ("io", "write"): 80 * 512,
        ("operations", "write"): 50,
        ("operation_time", "write"): 4.0,
        ("pending_operations", "sda"): 7,
        ("io_time", "sda"): 5.0,
    }


def test_pressure_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pressure").mkdir()
    for name in ("cpu", "memory", "io"):
        text = "some avg10=12.50 avg60=0.00 avg300=0.00 total=2500000\n"
        (tmp_path / "pressure" / name).write_text(text)
    monkeypatch.setattr(read, "PROC", tmp_path)
    found = list(read.pressure())
    assert [r.value for r in found] == [2.5, 0.125] * 3
    assert len(set(found)) == 6


def test_devices_are_bounded_and_what_is_left_out_is_told() -> None:
    def many() -> Iterator[Reading]:
        for number in range(40):
            for way in ("read", "write"):
                labels = (("disk.io.direction", way), ("system.device", f"sd{number}"))
                yield Reading("system.disk.io", "counter", "By", number, labels)

    kept, left_out = bound(many(), 16)
    assert (len(kept), left_out) == (32, 24)
    readings = Collector(Settings(at_most=16), {"disk": many}).readings()
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


def test_collects_every_interval_until_told_to_stop() -> None:
    bodies: list[bytes] = []
    stop = threading.Event()

    def put(body: bytes) -> None:
        bodies.append(body)
        if len(bodies) == 3:
            stop.set()

    collect(Settings(interval_s=0.1), put, stop)
    times = []
    for body in bodies:
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
        times.append(metric.sum.data_points[0].time_unix_nano)
    assert len(times) == 3
    assert times[1] - times[0] >= 0.09e9
    assert times[2] - times[1] >= 0.09e9


def test_as_a_program_it_sends_and_ends_on_sigterm(
    receiver: Any, until: Callable[[Callable[[], bool]], None]
) -> None:
    command = [
        sys.executable,
        "-m",
        "edgeobs.node",
        "--url",
        receiver.url,
        "--interval",
        "0.1",
        "--zone",
        "z",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        try:
            until(lambda: len(receiver.bodies) >= 3)
            child.send_signal(signal.SIGTERM)
            _, said = child.communicate(timeout=10)
        finally:
            child.kill()
    assert (child.returncode, said) == (0, b"")
    assert b"topology.kubernetes.io/zone" in receiver.bodies[0]
