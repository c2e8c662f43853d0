"""The simulated site: the same every time, and as a site is."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from edgeobs.demo.faults import Fault
from edgeobs.demo.site import Site, is_dark, readings, zone_of
from edgeobs.demo.workloads import LAYOUT, WORKLOADS
from edgeobs.node.readings import Distribution, Reading

START = 1_700_000_000.0
DISK = Fault("disk", "edge-17", START + 20, START + 90)
DARK = Fault("dark", "b", START + 10, START + 20)


def metrics(body: bytes) -> Iterator[Metric]:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def resource(body: bytes) -> dict[str, object]:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(body)
    found = request.resource_metrics[0].resource.attributes
    return {a.key: a.value.string_value or a.value.bool_value for a in found}


def history(site: Site, seconds: int, *faults: Fault) -> dict[str, list[dict[str, float]]]:
    """Per node and second: the numbers that were read, by series."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in site.names}
    for second in range(1, seconds + 1):
        site.step(START + second, faults)
        for name, box in zip(site.names, site.boxes, strict=True):
            told[name].append({_key(r): r.value for r in readings(box) if isinstance(r, Reading)})
    return told


def _key(reading: Reading) -> str:
    return "/".join([reading.name, *(value for _, value in reading.attributes)])


@pytest.fixture(scope="module")
def healthy() -> dict[str, list[dict[str, float]]]:
    return history(Site(1, START), 120)


def test_the_same_seed_and_times_give_the_same_bytes() -> None:
    one, two, other = Site(5, START), Site(5, START), Site(6, START)
    for second in range(1, 6):
        reports = one.step(START + second)
        assert reports == two.step(START + second)
        assert reports != other.step(START + second)


def test_thirty_nodes_in_three_zones_labelled_as_simulated() -> None:
    reports = Site(1, START).step(START + 1)
    assert [r.node for r in reports] == [f"edge-{n:02d}" for n in range(1, 31)]
    assert sorted(r.zone for r in reports) == ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    for report in reports:
        told = resource(report.body)
        assert told["edgeobs.simulated"] is True
        assert told["k8s.node.name"] == report.node
        assert told["topology.kubernetes.io/zone"] == report.zone == zone_of(report.node)
        assert told["k8s.cluster.name"] == "demo"


def test_every_node_has_35_to_45_series_each_once() -> None:
    for report in Site(1, START).step(START + 1):
        keys = [
            (metric.name, tuple((a.key, a.value.string_value) for a in point.attributes))
            for metric in metrics(report.body)
            for points in (metric.gauge.data_points, metric.sum.data_points, metric.histogram.data_points)
            for point in points
        ]
        assert 35 <= len(keys) <= 45
        assert len(set(keys)) == len(keys)


def test_histograms_are_whole_and_only_grow() -> None:
    site = Site(1, START)
    before: dict[str, list[int]] = {}
    for second in range(1, 30):
        for report in site.step(START + second, [DISK]):
            (histogram,) = (m.histogram for m in metrics(report.body) if m.HasField("histogram"))
            point = histogram.data_points[0]
            counts = list(point.bucket_counts)
            assert len(counts) == len(point.explicit_bounds) + 1
            assert sum(counts) == point.count
            assert all(a <= b for a, b in zip(before.get(report.node, counts), counts, strict=True))
            before[report.node] = counts
    assert all(sum(counts) > 0 for counts in before.values())


def test_counters_never_fall_whatever_happens() -> None:
    site = Site(2, START)
    before: dict[tuple[str, str], float] = {}
    for second in range(1, 100):
        site.step(START + second, [DISK])
        for name, box in zip(site.names, site.boxes, strict=True):
            for reading in readings(box):
                if isinstance(reading, Reading) and reading.kind == "counter":
                    key = (name, _key(reading))
                    assert reading.value >= before.get(key, 0.0), key
                    before[key] = reading.value


def test_values_stay_where_they_can_be(healthy: dict[str, list[dict[str, float]]]) -> None:
    for name, told in healthy.items():
        for moment in told:
            assert np.all(np.isfinite(list(moment.values())))
            assert min(moment.values()) >= 0
            assert 0 < moment["system.memory.utilization"] < 1
            assert 0 < moment["system.filesystem.utilization/sda2//data"] < 1
            assert 20 <= moment["hw.temperature/soc"] <= 75, name


def test_processor_time_adds_up(healthy: dict[str, list[dict[str, float]]]) -> None:
    for kind, told in zip(LAYOUT, healthy.values(), strict=True):
        for before, after in pairwise(told[:20]):
            grown = sum(after[k] - before[k] for k in after if k.startswith("system.cpu.time/"))
            assert grown == pytest.approx(WORKLOADS[kind].cores, abs=0.06)


def busy(told: list[dict[str, float]]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.diff([m["system.cpu.time/user"] for m in told])


def test_workloads_are_unlike_and_each_as_its_name_says(healthy: dict[str, list[dict[str, float]]]) -> None:
    use: dict[str, list[tuple[float, float]]] = {}
    for kind, told in zip(LAYOUT, healthy.values(), strict=True):
        share = busy(told) / WORKLOADS[kind].cores
        use.setdefault(kind, []).append((float(share.mean()), float(share.std())))
    mean = {kind: np.mean([m for m, _ in each]) for kind, each in use.items()}
    spread = {kind: np.mean([s for _, s in each]) for kind, each in use.items()}
    assert set(mean) == set(WORKLOADS)
    assert mean["idle"] < 0.1 < mean["arm"] < mean["video"]
    assert spread["batch"] > 3 * spread["database"]
    assert spread["noisy"] > 2 * spread["arm"]


def test_noise_is_autocorrelated(healthy: dict[str, list[dict[str, float]]]) -> None:
    for kind, told in zip(LAYOUT, healthy.values(), strict=True):
        if kind in ("arm", "noisy", "batch"):
            share = busy(told)
            assert np.corrcoef(share[1:], share[:-1])[0, 1] > 0.4, kind


def test_one_disk_fills_slowly_and_the_others_do_not(healthy: dict[str, list[dict[str, float]]]) -> None:
    key = "system.filesystem.utilization/sda2//data"
    grown = {name: told[-1][key] - told[0][key] for name, told in healthy.items()}
    (filling,) = (name for name, kind in zip(healthy, LAYOUT, strict=True) if kind == "filling")
    assert grown.pop(filling) == pytest.approx(119e-4, rel=0.01)
    assert set(grown.values()) == {0.0}


def test_a_bad_disk_takes_latency_queue_errors_and_requests_along() -> None:
    told = history(Site(1, START), 80, DISK)["edge-17"]
    latency = [m["system.linux.disk.latency/sda"] for m in told]
    assert np.mean(latency[30:45]) > 2 * np.mean(latency[:19]), "slowly first"
    assert np.mean(latency[65:]) > 100 * np.mean(latency[:19]), "then fast"
    assert told[-1]["system.disk.pending_operations/sda"] > 50
    assert told[-1]["system.linux.disk.errors/sda"] > 50
    assert told[-1]["system.disk.io_time/sda"] - told[-2]["system.disk.io_time/sda"] > 0.95
    assert told[-1]["http.server.active_requests/POST"] > 20 * max(
        m["http.server.active_requests/POST"] for m in told[:19]
    )


def test_a_fault_changes_nothing_in_the_other_nodes() -> None:
    ill, well = Site(3, START), Site(3, START)
    for second in range(1, 70):
        reports = ill.step(START + second, [DISK])
        others = [r for r in reports if r.node != "edge-17"]
        assert others == [r for r in well.step(START + second) if r.node != "edge-17"]


def test_a_dark_zone_sends_nothing_and_comes_back() -> None:
    site = Site(1, START)
    spoke = {
        second: {r.zone for r in site.step(START + second, [DARK])} for second in (1, 9, 10, 15, 19, 20, 21)
    }
    assert [sorted(zones) for zones in spoke.values()] == [
        ["a", "b", "c"],
        ["a", "b", "c"],
        ["a", "c"],
        ["a", "c"],
        ["a", "c"],
        ["a", "b", "c"],
        ["a", "b", "c"],
    ]
    assert not is_dark("a", [DARK], START + 15)


def test_distributions_are_among_the_readings() -> None:
    box = Site(1, START).boxes[0]
    assert sum(isinstance(r, Distribution) for r in readings(box)) == 1
