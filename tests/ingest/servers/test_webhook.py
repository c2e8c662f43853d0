"""Alertmanager's messages become alerts, or say where they are wrong."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.ingest.alertmanager_webhook import parse, place
from edgeobs.ingest.errors import Malformed
from edgeobs.signals import ExternalAlert, Principal, Resource

ANY = Principal(0, "loopback", None, 1)


def alert(**changes: Any) -> dict[str, Any]:
    labels = {"alertname": "DiskFull", "cluster": "c", "zone": "b", "node": "edge-17"}
    found = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "nearly full"},
        "startsAt": "2026-01-02T03:04:05.678901234Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1b2c3d4e5f60718",
        **changes,
    }
    return {k: v for k, v in found.items() if v is not None}


def message(*alerts: Any, **changes: Any) -> bytes:
    found = {"version": "4", "groupKey": "{}", "status": "firing", "alerts": list(alerts), **changes}
    return json.dumps(found).encode()


def test_a_firing_alert() -> None:
    found, left_out = parse(message(alert(), receiver="r", somethingNew={"a": 1}), ANY)
    starts_ns = 1767323045_678901000  # microseconds are kept
    labels = ("cluster", "c"), ("node", "edge-17"), ("zone", "b")
    place = Resource("c", "b", "edge-17")
    expected = ExternalAlert(
        "a1b2c3d4e5f60718", "firing", place, "DiskFull", "nearly full", starts_ns, 0, labels
    )
    assert (found, left_out) == ([expected], 0)


def test_a_resolved_alert_has_an_end() -> None:
    (found,), _ = parse(message(alert(status="resolved", endsAt="2026-01-02T04:04:05+01:00")), ANY)
    assert found.ends_ns == 1767323045_000000000


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"instance": "edge-3:9100"}, Resource("", "", "edge-3")),
        ({"instance": "10.0.0.3:9100", "node": "edge-3"}, Resource("", "", "edge-3")),
        ({"instance": "[2001:db8::1]:9100"}, Resource("", "", "2001:db8::1")),
        ({"instance": "2001:db8::1"}, Resource("", "", "2001:db8::1")),
        ({"instance": "edge-3"}, Resource("", "", "edge-3")),
        ({"topology_kubernetes_io_zone": "z", "cluster": "c"}, Resource("c", "z", "")),
        ({}, Resource()),
    ],
)
def test_place(labels: dict[str, str], expected: Resource) -> None:
    assert place(labels) == expected


def test_a_sender_speaks_of_its_own_nodes_alone() -> None:
    mine, other, zone = alert(), alert(labels={"node": "edge-18"}), alert(labels={"zone": "b"})
    found, left_out = parse(message(mine, other, zone), Principal(1, "s", frozenset({"edge-17"}), 1))
    assert [a.place.node for a in found] == ["edge-17"]
    assert left_out == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "webhook: body"),
        (b"[]", "webhook: body"),
        (message(version="3"), "webhook: version.*'4'.*'3'"),
        (message(alert(), alert(status="broken")), r"alerts\[1\]\.status.*'broken'"),
        (message(alert(startsAt="yesterday")), r"alerts\[0\]\.startsAt.*'yesterday'"),
        (message(alert(startsAt="2026-01-02T03:04:05")), r"alerts\[0\]\.startsAt.*timezone"),
        (message(alert(labels={"a": 1})), r"alerts\[0\]\.labels\.a"),
        (message(alert(fingerprint=None)), r"alerts\[0\]\.fingerprint"),
        (message(alert(labels=None), alert(labels=None)), r"alerts\[0\]\.labels.*1 more"),
        (message(alerts={}), "webhook: alerts"),
        (message(*[alert()] * 10_001), "webhook: alerts"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        parse(body, ANY)


@given(st.integers(0), st.integers(0, 255))
def test_a_changed_byte_is_read_or_malformed(at: int, to: int) -> None:
    body = bytearray(message(alert(), alert(status="resolved")))
    body[at % len(body)] = to
    try:
        alerts, _ = parse(body, ANY)
    except Malformed:
        return
    assert len(alerts) == 2
