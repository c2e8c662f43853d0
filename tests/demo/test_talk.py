"""What the simulated workloads write and call: the same every time, and it shows what is wrong."""

from collections.abc import Iterator, Sequence

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from edgeobs.demo.faults import Fault
from edgeobs.demo.site import Site, zone_of
from edgeobs.demo.talk import Talk, Talking

START = 1_700_000_000.0
DISK = Fault("disk", "edge-17", START + 20, START + 90)
DARK = Fault("dark", "b", START + 10, START + 20)


def talk(seconds: int, *faults: Fault, seed: int = 1) -> list[list[Talk]]:
    """Second by second."""
    site = Site(seed, START)
    talking = Talking(site, seed)
    told = []
    for second in range(1, seconds + 1):
        site.step(START + second, faults)
        told.append(talking.step(START + second, faults))
    return told


def lines(told: Sequence[Talk]) -> Iterator[tuple[str, str]]:
    """Node and text."""
    for each in told:
        request = ExportLogsServiceRequest.FromString(each.logs)
        for record in request.resource_logs[0].scope_logs[0].log_records:
            yield each.node, record.body.string_value


def spans(told: Sequence[Talk]) -> Iterator[tuple[str, Span]]:
    """Node and span."""
    for each in told:
        request = ExportTraceServiceRequest.FromString(each.spans)
        for span in request.resource_spans[0].scope_spans[0].spans:
            yield each.node, span


def seconds_of(span: Span) -> float:
    return (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9


def test_the_same_seed_and_times_give_the_same_bytes() -> None:
    assert talk(3) == talk(3)
    assert talk(3) != talk(3, seed=2)


def test_metrics_are_what_they_are_without_it() -> None:
    one, two = Site(1, START), Site(1, START)
    talking = Talking(two, 1)
    for second in range(1, 4):
        expected = one.step(START + second)
        assert two.step(START + second) == expected
        talking.step(START + second)


def test_every_call_of_a_database_is_told_by_both_sides() -> None:
    found = dict[bytes, Span]()
    served = []
    for told in talk(10):
        for _, span in spans(told):
            if span.kind == Span.SPAN_KIND_CLIENT:
                found[span.span_id] = span
            elif span.parent_span_id:
                served.append(span)
    assert len(found) == len(served) > 50
    for span in served:
        asked = found[span.parent_span_id]
        assert asked.trace_id == span.trace_id
        assert asked.start_time_unix_nano < span.start_time_unix_nano
        assert span.end_time_unix_nano < asked.end_time_unix_nano


def test_a_bad_disk_makes_its_database_slow_and_is_written_down() -> None:
    told = talk(80, DISK)
    took = {
        before: np.median(
            [seconds_of(s) for each in told[part] for node, s in spans(each) if node == DISK.target]
        )
        for before, part in {True: slice(0, 20), False: slice(65, 80)}.items()
    }
    assert took[False] > 5 * took[True]
    errors = [
        (second, node) for second, each in enumerate(told, 1) for node, text in lines(each) if "I/O" in text
    ]
    assert {node for _, node in errors} == {DISK.target}
    assert min(second for second, _ in errors) >= DISK.start_s - START


def test_a_dark_zone_says_nothing_and_whoever_asks_it_fails() -> None:
    told = talk(25, DARK)
    dark = [each for second, each in enumerate(told, 1) if DARK.on(START + second)]
    assert {zone_of(each.node) for each in dark[0]} == {"a", "c"}
    assert {zone_of(each.node) for each in told[0]} == {"a", "b", "c"}
    failed = [(second, s) for second, each in enumerate(told, 1) for _, s in spans(each)
              if s.status.code == Status.STATUS_CODE_ERROR]  # fmt: skip
    assert failed
    assert all(DARK.on(START + second) for second, _ in failed)
    unanswered = [text for each in dark for _, text in lines(each) if "no answer" in text]
    assert unanswered
    assert all(zone_of(text.removeprefix("database-").split(":")[0]) == "b" for text in unanswered)
