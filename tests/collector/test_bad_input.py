"""Targets that send garbage, full queues, a full disk, senders without a token: what is lost is counted."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.collector import targets
from tests.collector.programs import ProgramError, written
from tests.collector.site import NODE, TOKEN, Site
from tests.collector.stub import port, stub
from tests.collector.workload import Workload
from tests.waiting import wait

pytestmark = pytest.mark.real

Build = Callable[..., Site]
EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
FULL = "otelcol_exporter_enqueue_failed_log_records_total"


def test_a_scrape_target_that_sends_garbage_harms_no_other(build: Build) -> None:
    kinds = [targets.good, targets.garbage, targets.half, targets.endless, targets.many, targets.silent]
    with ExitStack() as stack:
        scraped = [stack.enter_context(targets.served(kind)) for kind in kinds]
        site = build(scraped=scraped, metrics=["prometheus"])
        core = stack.enter_context(stub(port(site.core)))
        site.gateway.start()
        site.agent.start()

        def up() -> dict[str, set[float]]:
            found: dict[str, set[float]] = {address: set() for address in scraped}
            for resource, _, value in core.points("up"):
                found[resource["service.instance.id"]].add(value)
            return found

        wait(lambda: all(up().values()) and len(core.points("device_volts")) > 3, "all have been scraped")
        assert up() == {
            address: {float(kind is targets.good)} for address, kind in zip(scraped, kinds, strict=True)
        }
        volts = core.points("device_volts")
        assert {(at["k8s.node.name"], at["service.instance.id"], value) for at, _, value in volts} == {
            (NODE, scraped[0], 230.0)
        }
        assert not core.points("device_endless") + core.points("d")
        assert psutil.Process(site.agent.pid).memory_info().rss < 512 << 20


def test_a_full_queue_loses_no_line_and_tells_senders_to_come_back(build: Build) -> None:
    site = build(metrics=["otlp"], queue_bytes=128 << 10)
    site.agent.start()
    workload = Workload(site.pod_logs, site.agent)
    workload.logs(3000)  # some 400 KiB
    wait(lambda: site.agent.metric("metrics", FULL) > 0, "the queue of logs is full")

    answers = [refused(workload) for _ in range(40)]  # some 6 KiB each
    assert answers[0] is None, "one signal's queue takes no room from another's"
    assert answers[-1] == httpx.codes.SERVICE_UNAVAILABLE  # OTLP: to be tried again

    with stub(port(site.core)) as sink:
        site.gateway.start()
        wait(lambda: len(sink.lines()) >= len(workload.lines), "all lines are there")
        assert sorted(line for _, line in sink.lines()) == sorted(workload.lines)
        wait(lambda: len(sink.spans()) >= workload.spans, "all spans that were taken are there")
        assert len(sink.spans()) == workload.spans
        assert refused(workload) is None


def test_a_full_disk_is_counted_and_what_was_read_comes_once_there_is_room(
    build: Build, tmp_path: Path
) -> None:
    state = tmp_path / "agent"
    state.mkdir()
    site = build(metrics=["otlp"], disk=[*small_disk(), str(state)])
    site.agent.start()
    workload = Workload(site.pod_logs, site.agent)
    workload.logs(45_000)  # some 6 MiB
    wait(lambda: site.agent.metric("metrics", FULL) > 0, "the disk is full")
    wait(lambda: "no space left on device" in site.agent.said(), "it says so")
    wait(lambda: refused(workload), "senders are told")

    with stub(port(site.core)) as sink:
        site.gateway.start()
        wait(lambda: len(sink.lines()) >= len(workload.lines), "all lines are there")
        assert sorted(line for _, line in sink.lines()) == sorted(workload.lines)


def small_disk() -> list[str]:
    """Words before a folder and a command: it runs with 4 MiB there, which only it sees."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    script = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]


def refused(workload: Workload) -> int | None:
    """The status that a workload's spans were refused with."""
    try:
        workload.traces(100)
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return None


@pytest.mark.parametrize("token", [None, "", "of-another"])
def test_the_gateway_takes_nothing_without_the_token(build: Build, token: str | None) -> None:
    site = build()
    site.gateway.start()
    with pytest.raises(grpc.RpcError) as error:
        export(site, token)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    export(site, TOKEN)


def test_an_empty_token_lets_nobody_in(build: Build) -> None:
    site = build()
    file = site.folder / "secrets/token"
    written(file, "")
    with pytest.raises(ProgramError, match="no bearer token provided"):
        site.gateway.start()
    written(file, f"{TOKEN}\n")  # no second token, as it would be with the option `filename`
    site.gateway.start()
    with pytest.raises(grpc.RpcError) as error:
        export(site, "")
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def export(site: Site, token: str | None) -> None:
    """An empty request to the gateway, with or without an authorization."""
    authority = (site.folder / "secrets/ca.crt").read_bytes()
    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    with grpc.secure_channel(
        site.gateway.address("otlp"), grpc.ssl_channel_credentials(authority)
    ) as channel:
        call = channel.unary_unary(EXPORT, ExportLogsServiceRequest.SerializeToString, lambda answer: answer)
        call(ExportLogsServiceRequest(), metadata=metadata, timeout=20)
