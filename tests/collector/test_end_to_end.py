"""A workload, its node's Collector, the site's, Loki, Prometheus, a core: all real; the core is killed."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from edgeobs.demo.children import Children
from tests.collector.programs import Program, written
from tests.collector.site import CLUSTER, HEALTH, NODE, Site
from tests.collector.stub import Stub, port, stub
from tests.collector.targets import good, served
from tests.collector.workload import Workload
from tests.waiting import wait

pytestmark = pytest.mark.real

TO_PROMETHEUS = "otlp_http/prometheus"
LINES = '{k8s_namespace_name="shop"}'
Build = Callable[..., Site]


def received(core: Program) -> Counter[str]:
    """What a core has counted since it started, by signal."""
    names = {
        "points": "edgeobs_points_received_total",
        "lines": "edgeobs_log_records_received_total",
        "spans": "edgeobs_spans_received_total",
    }
    return Counter({what: int(core.metric("page", name)) for what, name in names.items()})


def sent(workload: Workload) -> Counter[str]:
    return Counter(points=workload.points, lines=len(workload.lines), spans=workload.spans)


def works(workload: Workload) -> None:
    workload.logs(50)
    workload.traces(20)
    workload.metrics(10)


@pytest.mark.usefixtures("loki")
def test_nothing_is_lost_or_doubled_while_the_core_is_dead(build: Build) -> None:
    site = build(metrics=["otlp"])  # what the machine itself measures has no number that is known beforehand
    for program in (site.loki, site.core, site.gateway, site.agent):
        program.start()
    workload = Workload(site.pod_logs, site.agent)
    works(workload)
    wait(lambda: received(site.core) == sent(workload), "the core has counted what was sent")
    before = received(site.core)
    site.core.kill()

    for _ in range(6):  # a minute, compressed as the pauses between tries are
        works(workload)
        wait(lambda: len(site.lines(LINES)) == len(workload.lines), "Loki goes on meanwhile")
    assert queued(site.gateway, "otlp_http/edgeobs") > 0

    site.core.start()
    wait(lambda: before + received(site.core) == sent(workload), "the core has counted each, once")
    assert site.lines(LINES) == workload.lines
    wait(lambda: queued(site.gateway, "otlp_http/edgeobs") == 0, "nothing is left in the queue")
    for collector in (site.gateway, site.agent):
        assert collector.metric("metrics", "otelcol_exporter_enqueue_failed_log_records_total") == 0
        assert collector.metric("metrics", "otelcol_exporter_send_failed_log_records_total") == 0


def test_two_cores_get_the_same_and_do_not_wait_for_each_other(build: Build) -> None:
    with stub() as second:
        site = build(metrics=["otlp"], second_core=second.url)
        for program in (site.gateway, site.agent):
            program.start()
        workload = Workload(site.pod_logs, site.agent)
        works(workload)
        wait(lambda: arrived(second) == sent(workload), "the second has all while the first is away")
        with stub(port(site.core)) as first:
            wait(lambda: arrived(first) == sent(workload), "the first has all once it is there")
    assert sorted(first.lines(), key=str) == sorted(second.lines(), key=str)


def test_a_trace_store_gets_every_span_once_whenever_it_comes(
    build: Build, children: Children, otelcol: Path, tmp_path: Path
) -> None:
    with stub() as behind:
        store = taking_traces(children, otelcol, tmp_path, behind)
        site = build(metrics=["otlp"], trace_store=store.address("otlp"))
        for program in (site.gateway, site.agent):
            program.start()
        workload = Workload(site.pod_logs, site.agent)
        with stub(port(site.core)) as core:
            for _ in range(3):
                workload.traces(20)
            wait(lambda: len(core.spans()) == workload.spans, "the core does not wait for it")
            store.start()
            wait(lambda: len(behind.spans()) == workload.spans, "it gets what it missed")
            workload.traces(20)
            wait(lambda: len(behind.spans()) == len(core.spans()) == workload.spans, "and what comes then")


def taking_traces(children: Children, otelcol: Path, folder: Path, behind: Stub) -> Program:
    """A trace store to the gateway: another Collector, which hands on to a stub."""

    def command(ports: Mapping[str, int]) -> list[str]:
        config = {
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{ports['health']}"}},
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{ports['otlp']}"}}}},
            "exporters": {"otlp_http": {"endpoint": behind.url}},
            "service": {
                "extensions": ["health_check"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
            },
        }
        return [str(otelcol), f"--config={written(folder / 'store.yaml', yaml.safe_dump(config))}"]

    return Program(children, "store", command, ("otlp", "health"), HEALTH)


def arrived(core: Stub) -> Counter[str]:
    """What a stub was sent, by signal."""
    return Counter(points=len(core.points("till.queue")), lines=len(core.lines()), spans=len(core.spans()))


@pytest.mark.usefixtures("loki")
def test_a_node_goes_on_where_it_was_whatever_dies(build: Build) -> None:
    site = build(metrics=["otlp"])
    site.loki.start()
    site.agent.start()
    workload = Workload(site.pod_logs, site.agent)
    workload.logs(500)  # the gateway is away: they wait on the node's disk
    wait(lambda: queued(site.agent, "otlp_grpc/logs") > 0, "the agent keeps what it read")
    site.agent.kill()
    for note in (site.folder / "agent").glob("receiver_filelog_*"):
        note.unlink()  # of how far it has read: power fails before it is written
    workload.logs(500)  # nobody reads
    workload.rotate()
    workload.logs(500)
    site.agent.start()
    workload.logs(500)
    site.gateway.start()
    wait(lambda: len(site.lines(LINES)) == len(workload.lines), "all have come")
    site.loki.stop()  # and the gateway's turn, with a queue for Loki
    workload.logs(500)
    wait(lambda: queued(site.gateway, "otlp_http/loki") > 0, "the gateway keeps what came")
    site.gateway.kill()
    site.gateway.start()
    site.loki.start()
    workload.logs(500)
    wait(lambda: len(site.lines(LINES)) >= len(workload.lines), "all have come")
    assert site.lines(LINES) == workload.lines


@pytest.mark.usefixtures("prometheus")
def test_prometheus_gets_what_it_missed(build: Build) -> None:
    site = build(metrics=["otlp"])
    site.gateway.start()
    site.agent.start()
    workload = Workload(site.pod_logs, site.agent)
    for end in (site.gateway.stop, site.gateway.kill):
        before = queued(site.gateway, TO_PROMETHEUS)
        for _ in range(5):
            workload.metrics(20)
        wait(partial(grown, site.gateway, TO_PROMETHEUS, before), "the gateway keeps what came")
        end()
        site.gateway.start()
    failed = partial(site.gateway.metric, "metrics", "otelcol_exporter_send_failed_metric_points_total")
    wait(lambda: failed(exporter="prometheusremotewrite") > workload.points, "it is tried more than once")
    site.prometheus.start()
    query = f'count_over_time(till_queue{{k8s_node_name="{NODE}",k8s_cluster_name="{CLUSTER}"}}[1h])'
    wait(lambda: value(site.prometheus, query) == workload.points, "Prometheus has every point, once")


def value(prometheus: Program, query: str) -> float:
    """Of a query with one result; 0 while it has none."""
    answer = httpx.get(
        prometheus.url("http", "/api/v1/query"), params={"query": query}, timeout=30, trust_env=False
    )
    answer.raise_for_status()
    found = answer.json()["data"]["result"]
    assert len(found) < 2
    return float(found[0]["value"][1]) if found else 0.0


@pytest.mark.usefixtures("prometheus")
def test_what_machine_and_container_tell_arrives_under_its_place(build: Build) -> None:
    with served(good) as target:
        site = build(scraped=[target], metrics=["hostmetrics", "prometheus"])
        for program in (site.prometheus, site.gateway, site.agent):
            program.start()
        for name in ("system_memory_usage_bytes", "system_network_io_bytes_total", "device_volts"):
            query = f'count(count by (k8s_node_name) ({name}{{k8s_node_name="{NODE}"}}))'
            wait(partial(value, site.prometheus, query), f"{name} is there")


def queued(collector: Program, exporter: str) -> float:
    """Bytes that wait for an exporter, all signals together."""
    return collector.metric("metrics", "otelcol_exporter_queue_size", exporter=exporter)


def grown(collector: Program, exporter: str, before: float) -> bool:
    """Whether more waits than before."""
    return queued(collector, exporter) > before
