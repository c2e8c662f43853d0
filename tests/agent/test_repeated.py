"""OTLP bodies that are read by the layout of one before: always what protobuf's own parser reads."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from edgeobs.agent.repeated import Repeated
from edgeobs.ingest import otlp
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import Interner
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Points, Principal

NOW = 1_700_000_000 * SECOND
ME = Principal(0, "loopback", None, 1000)
Value = float | int


def request(values: Sequence[Value], at_ns: int = NOW, *, sums: bool = True) -> ExportMetricsServiceRequest:
    """A gauge or a sum a value, of one resource and one scope."""
    found = ExportMetricsServiceRequest()
    scope = found.resource_metrics.add().scope_metrics.add()
    scope.scope.name = "shop"
    for number, value in enumerate(values):
        metric = scope.metrics.add(name=f"load_{number}", unit="1")
        if sums and number % 2:
            metric.sum.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
            metric.sum.is_monotonic = True
        data = metric.sum if sums and number % 2 else metric.gauge
        point = data.data_points.add(time_unix_nano=at_ns)
        if number % 3:
            point.start_time_unix_nano = at_ns - SECOND
        if isinstance(value, int):
            point.as_int = value
        else:
            point.as_double = value
        point.attributes.add(key="item").value.string_value = str(number)
    return found


class Counted:
    """The reference decoder, and how often it was asked."""

    def __init__(self, limit: int = 1000) -> None:
        self.table = SeriesTable(limit)
        self.asked = 0
        self.repeated = Repeated(self.decode, self.table)

    def decode(self, body: bytes, principal: Principal, now_ns: int) -> Points:
        self.asked += 1
        return otlp.decode(body, Interner(self.table), principal, now_ns)

    def same(self, body: bytes) -> None:
        """Both decoders say the same of it, or refuse it both."""
        try:
            expected = otlp.decode(body, Interner(self.table), ME, NOW)
        except Malformed:
            with pytest.raises(Malformed):
                self.repeated.decode(body, ME, NOW)
            return
        found = self.repeated.decode(body, ME, NOW)
        for name in ("series", "time_ns", "start_ns", "value"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert found.rejected == expected.rejected


VALUES = st.lists(st.floats() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6)


@given(VALUES, st.data())
def test_what_is_pushed_again_is_read_without_the_parser(values: list[Value], data: st.DataObject) -> None:
    counted = Counted()
    for _ in range(2):
        counted.same(request(values).SerializeToString())
    asked = counted.asked
    others = [
        data.draw(st.integers(-(2**63), 2**63 - 1) if isinstance(value, int) else st.floats())
        for value in values
    ]
    at_ns = data.draw(st.integers(1 + SECOND, 2**63 - 1))
    counted.same(request(others, at_ns).SerializeToString())
    assert counted.asked == asked


@given(st.data())
def test_any_other_byte_is_the_parsers_business(data: st.DataObject) -> None:
    counted = Counted()
    body = request([1.5, 2, 3.5]).SerializeToString()
    for _ in range(2):
        counted.same(body)
    at = data.draw(st.integers(0, len(body) - 1))
    counted.same(body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :])


def odd(what: str) -> ExportMetricsServiceRequest:
    """A request of which the times and numbers alone do not say everything."""
    found = request([1.5, 2.5])
    metrics = found.resource_metrics[0].scope_metrics[0].metrics
    if what == "a histogram":
        metrics[1].histogram.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
        metrics[1].histogram.data_points.add(time_unix_nano=NOW, count=2, sum=3, bucket_counts=[2])
    elif what == "no value":
        metrics[1].sum.data_points[0].ClearField("as_double")
    elif what == "a flag":
        metrics[1].sum.data_points[0].flags = 1
    elif what == "no temporality":
        metrics[1].sum.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_UNSPECIFIED
    return found


@pytest.mark.parametrize("what", ["a histogram", "no value", "a flag", "no temporality"])
def test_what_is_odd_is_always_parsed(what: str) -> None:
    counted = Counted()
    body = odd(what).SerializeToString()
    for _ in range(4):
        counted.same(body)
    assert counted.asked == 4


def test_points_that_are_refused_are_refused_every_time() -> None:
    counted = Counted(limit=2)
    body = request([1.0, 2.0, 3.0]).SerializeToString()
    for _ in range(4):
        assert counted.repeated.decode(body, ME, NOW).rejected == {"limit": 1}


def test_ids_that_were_given_away_are_looked_up_again() -> None:
    counted = Counted()
    body = request([1.0, 2.0]).SerializeToString()
    for _ in range(3):
        counted.same(body)
    counted.table.drop([0])
    counted.same(body)
    assert counted.asked == 3, "the first two, and the one after ids were given away"


def test_two_senders_share_no_layout() -> None:
    counted = Counted()
    body = request([1.0, 2.0]).SerializeToString()
    for _ in range(3):
        counted.same(body)
    asked = counted.asked
    counted.repeated.decode(body, Principal(1, "other", None, 1000), NOW)
    assert counted.asked == asked + 1
