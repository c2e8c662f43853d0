"""What a remote write request means: identities, kinds, times, refusals, and messages that name the place."""

from typing import Any

import numpy as np
import pytest

from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import Interner
from edgeobs.ingest.remote_write import decode_v1, decode_v2
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.ingest.remote_write_series import COUNTER, GAUGE, GAUGEHISTOGRAM, SUMMARY, Families, host, named
from edgeobs.series import SeriesTable
from edgeobs.signals import STALE_NAN, Identity, Kind, Points, Principal

ANYONE = Principal(0, "anyone", None, 100)


class Decoder:
    """Both versions into one table."""

    def __init__(self, limit: int = 100) -> None:
        self.table = SeriesTable(limit)
        self.interner, self.families = Interner(self.table), Families()

    def v1(self, request: Any, who: Principal = ANYONE) -> Points:
        return decode_v1(request.SerializeToString(), self.interner, self.families, who, 1)

    def v2(self, request: Any, who: Principal = ANYONE) -> Points:
        return decode_v2(request.SerializeToString(), self.interner, who, 1)

    def identities(self, points: Points) -> list[Identity]:
        return [self.table[int(k)] for k in points.series]


def request_1(*series: dict[str, str], value: float = 1.0, ms: int = 1000) -> Any:
    request = messages().write_request()
    for labels in series:
        one = request.timeseries.add()
        for name, text in labels.items():
            one.labels.add(name=name, value=text)
        one.samples.add(value=value, timestamp=ms)
    return request


def request_2(labels: dict[str, str], type_: int = 0) -> Any:
    request = messages().request(symbols=["", *(text for pair in labels.items() for text in pair)])
    one = request.timeseries.add(labels_refs=range(1, 2 * len(labels) + 1))
    one.metadata.type = type_
    one.samples.add(value=1.0, timestamp=1000)
    return request


def test_labels_of_the_place_make_the_source_and_the_rest_the_series() -> None:
    decoder = Decoder()
    points = decoder.v1(
        request_1(
            {"__name__": "node_cpu_seconds_total", "cpu": "0", "instance": "edge-1:9100", "job": "node"}
        )
    )
    (identity,) = decoder.identities(points)
    assert identity.name == "node_cpu_seconds_total"
    assert identity.labels == (("cpu", "0"),)
    assert identity.source.attributes == (("instance", "edge-1:9100"), ("job", "node"))
    assert identity.source.resource.node == "edge-1"
    assert identity.source.resource.workload == "node"
    assert identity.kind == Kind.COUNTER


def test_a_node_label_wins_over_the_instance_that_told_of_it() -> None:
    said = named(
        [("__name__", "kube_node_info"), ("instance", "ksm:8080"), ("node", "edge-7"), ("zone", "b")]
    )
    assert said is not None
    assert said.source.resource.node == "edge-7"
    assert said.source.resource.zone == "b"


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ("edge-1:9100", "edge-1"),
        ("edge-1", "edge-1"),
        ("[::1]:9100", "::1"),
        ("fe80::1", "fe80::1"),
        ("https://edge-1:443/metrics", "edge-1"),
        ("", ""),
        (":9100", ""),
    ],
)
def test_the_host_of_an_instance(instance: str, expected: str) -> None:
    assert host(instance) == expected


def test_labels_in_any_order_are_one_series() -> None:
    decoder = Decoder()
    points = decoder.v1(
        request_1({"__name__": "up", "a": "1", "b": "2"}, {"b": "2", "a": "1", "empty": "", "__name__": "up"})
    )
    assert points.series[0] == points.series[1]


@pytest.mark.parametrize("pairs", [[("a", "1")], [("__name__", "")], [("__name__", "up"), ("", "x")],
                                   [("__name__", "up"), ("a", "1"), ("a", "2")]])  # fmt: skip
def test_what_is_no_series_is_left_out_and_counted(pairs: list[tuple[str, str]]) -> None:
    request = request_1({"__name__": "up"})
    one = request.timeseries.add()
    for name, text in pairs:
        one.labels.add(name=name, value=text)
    one.samples.add(value=1.0, timestamp=1)
    one.samples.add(value=2.0, timestamp=2)
    points = Decoder().v1(request)
    assert len(points.series) == 1
    assert points.rejected == {"invalid": 2}


def test_refusals_are_counted_by_reason() -> None:
    decoder = Decoder(limit=1)
    bound = Principal(1, "edge-1", frozenset({"edge-1"}), 100)
    request = request_1(
        {"__name__": "up", "node": "edge-1"},
        {"__name__": "up", "node": "edge-2"},
        {"__name__": "x", "node": "edge-1"},
    )
    points = decoder.v1(request, bound)
    assert points.rejected == {"forbidden": 1, "limit": 1}
    assert len(points.value) == 1


@pytest.mark.parametrize(
    ("name", "type_", "kind"),
    [
        ("x_total", 0, Kind.COUNTER),
        ("x_bucket", 0, Kind.COUNTER),
        ("x", 0, Kind.GAUGE),
        ("x", COUNTER, Kind.COUNTER),
        ("x_total", GAUGE, Kind.GAUGE),
        ("x_created", COUNTER, Kind.GAUGE),
        ("x_sum", SUMMARY, Kind.COUNTER),
        ("x_total", SUMMARY, Kind.GAUGE),  # a quantile of a summary of that name
        ("x_bucket", GAUGEHISTOGRAM, Kind.GAUGE),
        ("x_count", 99, Kind.COUNTER),  # a type of a later version
    ],
)
def test_the_type_decides_the_kind_and_else_the_name(name: str, type_: int, kind: Kind) -> None:
    decoder = Decoder()
    (identity,) = decoder.identities(decoder.v2(request_2({"__name__": name}, type_)))
    assert identity.kind == kind


def test_family_types_of_1_0_hold_from_when_they_are_told_and_for_their_sender() -> None:
    decoder, other = Decoder(), Principal(1, "other", None, 100)
    told = messages().write_request()
    told.metadata.add(type=COUNTER, metric_family_name="events")
    request = request_1({"__name__": "events"})
    before = decoder.identities(decoder.v1(request))
    generation = decoder.families.generation(0)
    assert decoder.v1(told).value.size == 0
    after = decoder.identities(decoder.v1(request))
    assert [before[0].kind, after[0].kind] == [Kind.GAUGE, Kind.COUNTER]
    assert decoder.families.generation(0) > generation
    assert decoder.identities(decoder.v1(request, other))[0].kind == Kind.GAUGE


def test_family_types_are_bounded_and_what_changes_nothing_is_no_new_generation() -> None:
    families = Families(limit=1)
    families.learn(0, "up", GAUGE)
    assert families.generation(0) == 0  # its name said so already
    families.learn(0, "events", COUNTER)
    assert families.type_of(0, "events") == 0


def test_a_stale_marker_keeps_its_bits() -> None:
    points = Decoder().v1(request_1({"__name__": "up"}, value=float(STALE_NAN)))
    assert points.value.view(np.uint64)[0] == STALE_NAN.view(np.uint64)


@pytest.mark.parametrize("ms", [-(2**63), 2**63 - 1])
def test_times_beyond_int64_become_the_furthest(ms: int) -> None:
    time = int(Decoder().v1(request_1({"__name__": "up"}, ms=ms)).time_ns[0])
    assert abs(time) > 9 * 10**18
    assert (time > 0) == (ms > 0)


def test_start_times_of_either_2_0() -> None:
    request = request_2({"__name__": "x_total"})
    request.timeseries[0].created_timestamp = 7
    request.timeseries[0].samples.add(value=2.0, timestamp=2000, start_timestamp=9)
    assert Decoder().v2(request).start_ns.tolist() == [7_000_000, 9_000_000]


def test_exemplars_are_counted_and_an_exemplar_alone_makes_no_series() -> None:
    decoder = Decoder()
    request = request_2({"__name__": "x_total"})
    del request.timeseries[0].samples[:]
    request.timeseries[0].exemplars.add(labels_refs=[1, 2], value=1.0)
    points = decoder.v2(request)
    assert points.exemplars == 1
    assert len(decoder.table) == 0


def test_a_gauge_histogram_is_a_series_of_its_own() -> None:
    decoder = Decoder()
    request = request_1({"__name__": "latency"})
    del request.timeseries[0].samples[:]
    for hint in (0, 3):
        request.timeseries[0].histograms.add(count_int=0, reset_hint=hint, timestamp=1000)
    series = decoder.v1(request).distributions.series
    assert [decoder.table[int(k)].kind for k in series] == [Kind.HISTOGRAM, Kind.HISTOGRAM_DELTA]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda r: r.symbols.__setitem__(0, "x"), "symbols[0]"),
        (lambda r: r.timeseries[0].labels_refs.append(1), "timeseries[0].labels_refs: 3 "),
        (lambda r: r.timeseries[0].labels_refs.extend([1, 9]), "timeseries[0].labels_refs: 9 "),
        (lambda r: setattr(r.timeseries[0].metadata, "unit_ref", 9), "timeseries[0].metadata.unit_ref"),
        (
            lambda r: r.timeseries[0].exemplars.add(labels_refs=[9, 1]),
            "timeseries[0].exemplars[0].labels_refs",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(change: Any, place: str) -> None:
    request, decoder = request_2({"__name__": "up"}), Decoder()
    change(request)
    with pytest.raises(Malformed) as error:
        decoder.v2(request)
    assert str(error.value).startswith(place)
    assert len(decoder.table) == 0


def test_the_place_of_a_broken_field_is_named() -> None:
    body = request_1({"__name__": "up"}, {"__name__": "up", "a": "value"}).SerializeToString()
    decoder = Decoder()
    with pytest.raises(Malformed, match=r"^timeseries\[1\]\.labels\[1\]\.value: "):
        decode_v1(body.replace(b"value", b"val\xff\xff"), decoder.interner, decoder.families, ANYONE, 1)
    with pytest.raises(Malformed, match=r"^byte \d+: "):
        decode_v1(body[:-1], decoder.interner, decoder.families, ANYONE, 1)
    assert len(decoder.table) == 0


def test_a_1_0_body_read_as_2_0_holds_nothing() -> None:
    points = Decoder().v2(request_1({"__name__": "up"}))
    assert points.value.size == 0
