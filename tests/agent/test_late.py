"""Incidents told too late to act upon, as the core keeps them: which, their plots, and what explains them."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from edgeobs.agent.encode import summaries, window
from edgeobs.agent.recent import Samples
from edgeobs.agent.summary import Rows
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Receipt
from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.settings import Limits, Settings
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Evidence, Identity, Incident, Kind, Principal, Resource, Source
from edgeobs.told import Late
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.late import late, one
from edgeobs.uplink.letters import of_incident, packed
from edgeobs.uplink.parcel import Label
from edgeobs.uplink.receive import Receiver
from edgeobs.uplink.samples import MOST_PEAKS, MOST_POINTS, joined, peaks
from edgeobs.uplink.sound import sound
from tests.agent.things import T0, make_incident

QUEUE = "cd" * 16
ANYBODY = Principal(0, "loopback", None, 100)
HOUR = 3600 * SECOND
DISK = Identity(
    Source((("k8s.node.name", "edge-1"),), Resource("", "", "edge-1")),
    "disk_errors_total",
    (("device", "sda"), ("otel_scope_name", "node")),
    Kind.COUNTER,
)


class Core:
    """A receiver and its inbox, at a time that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now_ns, self.alerts, self._next = T0, 0, {"first": 0, "rest": 0}
        self.inbox = Inbox(folder / "inbox.sqlite", Counts())
        settings = Settings()
        self._receiver = Receiver(
            self.submit, Auth(settings, Limits()), settings, self.inbox, Counts(), clock=lambda: self.now_ns
        )

    async def submit(self, delivery: Delivery) -> Receipt:
        self.alerts += delivery.format == "alertmanager"
        return Receipt(1)

    def incident(self, incident: Incident) -> None:
        self._take("first", "incident", of_incident(incident, {}).body)

    def samples(self, kind: str, body: bytes) -> None:
        self._take("rest", kind, packed(body))

    def ids(self) -> list[str]:
        return [each.incident.id for each in late(self.inbox, None, None, 10, 0)[1]]

    def _take(self, lane: str, kind: str, body: bytes) -> None:
        self._next[lane] += 1
        label = Label("edge-1", QUEUE, lane, self._next[lane])  # type: ignore[arg-type]  # one of the two
        asyncio.run(self._receiver.take(ANYBODY, label, kind, body))  # type: ignore[arg-type]  # of the three


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core(tmp_path)
    yield made
    made.inbox.close()


def table() -> SeriesTable:
    made = SeriesTable(4)
    made.intern(DISK, 0, T0)
    return made


def disk_incident(at_ns: int = T0) -> Incident:
    """Its evidence is of `DISK`, with 30 samples before the onset."""
    incident = make_incident(at_ns=at_ns, points=30)
    return replace(incident, evidence=(replace(incident.evidence[0], labels=DISK.labels),))


def raw(first_ns: int, samples: int) -> bytes:
    times = first_ns + SECOND * np.arange(samples)
    series = np.zeros(samples, np.int32)
    return window(table(), Samples(series, times, np.arange(samples, dtype=np.float64)), ())


def summary(score: float, until_ns: int = T0 + 60 * SECOND, largest: float = 170.0) -> bytes:
    since, until, count = (np.array([n]) for n in (until_ns - 300 * SECOND, until_ns, 300))
    mean, top, highest = (np.array([x]) for x in (7.5, largest, score))
    rows = Rows(np.zeros(1, np.int32), since, until, count, mean, top, highest)
    return summaries(table(), rows, ())


def test_what_was_told_in_time_is_no_record(core: Core) -> None:
    core.now_ns = T0 + 20 * SECOND
    core.incident(make_incident())
    assert core.alerts == 1
    core.now_ns = T0 + HOUR
    core.incident(make_incident(state="resolved", at_ns=T0 + 2 * SECOND))
    assert core.ids() == [], "its end alone is late, and the core had been told of it"


def test_what_nobody_told_in_time_is_a_record_with_its_first_delivery(core: Core) -> None:
    core.now_ns = T0 + HOUR
    core.incident(make_incident())
    assert core.alerts == 0
    core.now_ns += HOUR
    core.incident(make_incident(state="resolved", at_ns=core.now_ns - SECOND))
    (found,) = late(core.inbox, None, None, 10, 0)[1]
    assert (found.node, found.incident.state, found.delivered_ns) == ("edge-1", "resolved", T0 + HOUR)


def test_what_came_and_went_while_the_link_was_down_is_a_record_however_fresh_its_end(core: Core) -> None:
    core.now_ns = T0 + HOUR + SECOND
    core.incident(make_incident(state="resolved", at_ns=T0 + HOUR))
    assert core.ids() == ["inc-1"]


def test_what_changes_once_the_link_is_back_is_evidence_from_then_on_and_no_record(core: Core) -> None:
    core.now_ns = T0 + HOUR
    core.incident(make_incident())
    core.incident(make_incident(state="ongoing", at_ns=core.now_ns - SECOND))
    assert core.alerts == 1
    assert core.ids() == []
    core.now_ns += HOUR
    core.incident(make_incident(state="resolved", at_ns=core.now_ns - HOUR // 2))
    assert core.ids() == []


def test_records_come_by_delivery_in_pages_of_a_node_or_an_end(core: Core) -> None:
    for number in range(1, 6):
        core.now_ns = T0 + HOUR + number
        core.incident(make_incident(number, "resolved" if number % 2 else "open"))
    total, found, nodes = late(core.inbox, "edge-1", None, 2, 1)
    assert (total, [each.incident.id for each in found], nodes) == (5, ["inc-4", "inc-3"], {"edge-1": 5})
    assert late(core.inbox, None, "unknown", 9, 0)[0] == 2
    assert late(core.inbox, None, "resolved", 9, 4)[0:2] == (3, [])
    assert late(core.inbox, "edge-2", None, 9, 0) == (0, [], {"edge-1": 5})


def test_a_plot_goes_as_far_as_raw_windows_reach(core: Core) -> None:
    core.now_ns = T0 + HOUR
    core.incident(disk_incident())
    before = one(core.inbox, "edge-1", "inc-1")
    core.samples("window", raw(T0 - 60 * SECOND, 50))
    core.samples("window", raw(T0 - 10 * SECOND, 100))
    core.samples("window", raw(T0 - HOUR, 100))
    after = one(core.inbox, "edge-1", "inc-1")
    assert before is not None
    assert after is not None
    known, drawn = (each[0].incident.evidence[0].points for each in (before, after))
    times = [point.time_ns for point in drawn]
    assert times == [T0 + n * SECOND for n in range(-60, 90)], (
        "each second once, and not those of an hour ago"
    )
    assert [p for p in drawn if p.score == p.score] == list(known), "what has a score is as it was"
    assert one(core.inbox, "edge-2", "inc-1") is None


def test_windows_are_read_up_to_a_bound(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    core.now_ns = T0 + HOUR
    core.incident(disk_incident())
    for first in (0, 100, 200):
        core.samples("window", raw(T0 + first * SECOND, 100))
    one_body = len(core.inbox.windows("edge-1", T0, T0)[0])
    assert len(core.inbox.windows("edge-1", 0, 1 << 62, most_bytes=int(2.5 * one_body))) == 2
    monkeypatch.setattr("edgeobs.uplink.late._MOST_BYTES", int(1.5 * len(raw(T0, 100))))
    found = one(core.inbox, "edge-1", "inc-1")
    assert found is not None
    assert len(found[0].incident.evidence[0].points) == 30 + 100


def test_summaries_of_its_time_explain_it_and_calm_ones_do_not(core: Core) -> None:
    core.now_ns = T0 + HOUR
    core.samples("summary", summary(9.9))
    core.incident(disk_incident())
    again = summary(7.0, T0 + 61 * SECOND, 900.0)
    for body in (summary(8.25), again, summary(2.0), summary(9.0, T0 - HOUR), summary(9.0, T0 + 9 * HOUR)):
        core.samples("summary", body)
    found = one(core.inbox, "edge-1", "inc-1")
    assert found is not None
    (peak,) = found[1]
    assert (peak.score, peak.largest, peak.mean, peak.samples) == (8.25, 900.0, 7.5, 600)
    assert (peak.name, peak.labels) == ("disk_errors_total:rate", DISK.labels)


def test_a_largest_value_that_is_no_number_is_kept_as_unknown(core: Core) -> None:
    core.now_ns = T0 + HOUR
    core.incident(disk_incident())
    core.samples("summary", summary(8.0, largest=np.inf))
    found = one(core.inbox, "edge-1", "inc-1")
    assert found is not None
    assert np.isnan(found[1][0].largest)


def test_what_is_no_time_and_too_many_at_once_are_bounded_when_they_are_read() -> None:
    request = ExportMetricsServiceRequest.FromString(summary(9.0))
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    metrics[0].gauge.data_points[0].time_unix_nano = 2**64 - 1
    (found,) = peaks(request.SerializeToString())
    assert found.until_ns == 2**63 - 1
    for _ in range(MOST_PEAKS + 50):
        metrics.add().CopyFrom(metrics[0])
    assert len(peaks(request.SerializeToString())) == MOST_PEAKS
    metrics[0].name = "x" * 5000
    del metrics[1:]
    assert peaks(request.SerializeToString()) == []


def of(**wrong: Any) -> tuple[Evidence]:
    return (replace(make_incident().evidence[0], **wrong),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 10**400},
        {"score": "high"},
        {"title": "\ud800"},
        {"opened_ns": 1e300},
        {"updated_ns": 10**30},
        {"resolved_ns": -1},
        {"place": ("", "", 7)},
        {"simulated": "no"},
        {"evidence": of(onset_ns="then")},
        {"evidence": of(text="\udfff")},
        {"evidence": of(value=None)},
    ],
)
def test_an_incident_may_be_filled_with_anything_else(wrong: dict[str, Any]) -> None:
    assert sound(make_incident())
    assert not sound(replace(make_incident(), **wrong))


def test_one_that_is_filled_with_something_else_is_refused_for_good(core: Core) -> None:
    for wrong in ({"score": 10**400}, {"title": "\ud800"}):
        with pytest.raises(Malformed, match="times, numbers or texts"):
            core.incident(replace(make_incident(), **wrong))
    core.now_ns += HOUR
    core.incident(make_incident(2))
    assert core.ids() == ["inc-2"]


def test_peaks_are_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", Counts(), keep_peaks=7)
    for n in range(1, 31):
        inbox.take(Label("edge-1", QUEUE, "rest", n), "summary", T0, peaks=peaks(summary(8.0, T0 + n)))
    inbox.prune()
    kept = [row[0] for row in inbox.read("SELECT until_ns FROM peaks ORDER BY rowid")]
    assert kept == [T0 + n for n in range(24, 31)]
    inbox.close()


def test_a_file_of_the_version_before_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "inbox.sqlite"
    inbox = Inbox(path, Counts())
    inbox.take(Label("edge-1", QUEUE, "first", 4), "incident", T0, [make_incident()])
    inbox.close()
    with sqlite3.connect(path) as db:
        db.executescript(
            "DROP INDEX incidents_by_lateness; ALTER TABLE incidents DROP COLUMN late_ns; DROP TABLE peaks;"
            "PRAGMA user_version = 1"
        )
    db.close()
    inbox = Inbox(path, Counts())
    assert inbox.last(Label("edge-1", QUEUE, "first", 5)) == 4
    assert inbox.incidents() == [make_incident()]
    assert late(inbox, None, None, 10, 0) == (0, [], {})
    inbox.take(Label("edge-1", QUEUE, "first", 5), "incident", T0 + HOUR, [make_incident(2)])
    assert late(inbox, None, None, 10, 0)[1] == [Late("edge-1", make_incident(2, points=0), T0 + HOUR)]
    inbox.close()


@given(st.binary(max_size=200))
def test_bytes_that_are_no_summary_have_no_peaks(body: bytes) -> None:
    assert peaks(body) == []


@given(st.lists(st.integers(-5000, 5000)))
def test_a_plot_is_bounded_ascending_and_keeps_what_it_had(seconds: list[int]) -> None:
    evidence = make_incident(points=20).evidence[0]
    raw = [(T0 + second * SECOND, float(second)) for second in seconds]
    points = joined(evidence, raw).points
    times = [point.time_ns for point in points]
    assert times == sorted(set(times))
    assert set(evidence.points) <= set(points)
    assert len(points) <= 20 + MOST_POINTS
