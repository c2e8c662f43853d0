"""The benchmark on a recording of our own in Nezha's format, with its traps: read, counted and ranked."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.accuracy.data import NoDataError
from benchmarks.rca import NOWHERE, judge, table
from benchmarks.rca_clues import record
from benchmarks.rca_counts import counts
from benchmarks.rca_data import DAYS, load
from edgeobs.past import INTERVAL_NS, PER_OCTAVE, Tallies
from edgeobs.signals import SECOND

START = 1_675_000_000 // 60 * 60
MINUTES, FAULT = 16, 12
PODS = {"ts-front-5f-aa": "n1", "ts-cart-6f-bb": "n1", "ts-pay-7f-cc": "n2"}
FRONT, CART, PAY = PODS


def stamp(second: float) -> str:
    return str(np.datetime64(int((START + second) * 1000), "ms"))


class Writer:
    """Rows of logs and spans of requests, each of which front answers by asking cart and pay."""

    def __init__(self) -> None:
        self.logs: list[dict[str, object]] = []
        self.spans: list[dict[str, object]] = []

    def request(self, number: int, second: float, *, broken: bool) -> None:
        front, cart, pay = (f"{number:06x}{i}" for i in range(3))
        self._span(front, "root", FRONT, "GET /", second, 0.2)
        self._span(cart, front, CART, "cart", second + 0.05, 0.02)
        if broken:  # cart fails, so pay is never asked
            self._line(CART, second + 0.06, f"ERROR c.Cart#12 no cart for {number}")
            self._line(FRONT, second + 0.1, f"ERROR f.Front#9 request {number} failed: 500 from cart")
            return
        self._line(CART, second + 0.06, f"INFO  c.Cart#10 cart of {number}")
        self._span(pay, front, PAY, "pay", second + 0.1, 0.05)
        self._line(PAY, second + 0.12, f"INFO  p.Pay#3 paid {number}")

    def _span(self, span: str, parent: str, pod: str, name: str, second: float, took: float) -> None:
        begin = int((START + second) * SECOND)
        self.spans.append({
            "TraceID": span[:6], "SpanID": span, "ParentID": parent, "PodName": pod, "OperationName": name,
            "StartTimeUnixNano": begin, "EndTimeUnixNano": begin + int(took * SECOND), "Duration": took,
        })  # fmt: skip

    def _line(self, pod: str, second: float, text: str) -> None:
        line = json.dumps({"log": f"12:00:00.000 {text}\n", "stream": "stdout", "time": stamp(second) + "Z"})
        absurd = len(self.logs) % 50 == 7
        self.logs.append({
            "TimeUnixNano": -6795364578871345152 if absurd else int((START + second) * SECOND),
            "Node": PODS[pod], "PodName": pod, "Container": "server", "TraceID": "", "SpanID": "",
            "Log": line + ':""torn' if len(self.logs) == 20 else line,
        })  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One day of three pods, in which cart breaks."""
    base = tmp_path / DAYS["TrainTicket"]
    (base / "metric").mkdir(parents=True)
    writer, dice = Writer(), np.random.default_rng(8)
    for number in range(MINUTES * 30):
        second = number * 2.0
        writer.request(number, second, broken=60 * FAULT <= second < 60 * (FAULT + 2))
    pl.DataFrame(writer.logs).write_parquet(base / "logs.parquet")
    pl.DataFrame(writer.spans).write_parquet(base / "spans.parquet")
    for pod in PODS:
        pl.DataFrame({
            "Time": [f"{stamp(60 * m)[:19].replace('T', ' ')}.5 +0000 UTC" for m in range(MINUTES)],
            "TimeStamp": [1_861_140_279] * MINUTES, "PodName": pod,
            "CpuUsage(m)": dice.normal(5, 1, MINUTES), "NodeCpuUsageRate(%)": dice.normal(9, 1, MINUTES),
        }).write_csv(base / "metric" / f"{pod}_metric.csv")  # fmt: skip
    fault = {
        "inject_time": stamp(60 * FAULT)[:19].replace("T", " "), "inject_timestamp": "1675028800",
        "inject_pod": CART, "inject_type": "exception",
    }  # fmt: skip
    (base / "x-fault_list.json").write_text(json.dumps({"12": [fault]}))
    return tmp_path


def test_what_is_read_avoids_the_traps(data: Path) -> None:
    day = load(data, "TrainTicket")
    assert [fault.time_ns for fault in day.faults] == [(START + 60 * FAULT) * SECOND]
    assert day.home == PODS
    assert [pod.metrics for pod in day.pods] == [("CpuUsage(m)",)] * 3
    assert [(host.name, host.metrics) for host in day.hosts] == [
        ("n1", ("NodeCpuUsageRate(%)",)),
        ("n2", ("NodeCpuUsageRate(%)",)),
    ]
    assert day.pods[0].time_ns[0] == START * SECOND
    assert day.logs is not None
    assert day.logs["time_ns"].is_between(START * SECOND, (START + 60 * MINUTES) * SECOND).all()


def test_requests_lines_and_calls_are_counted_in_their_intervals(data: Path) -> None:
    found = counts(load(data, "TrainTicket"))
    assert len(found.begins_ns) == MINUTES * 6
    assert np.diff(found.begins_ns).tolist() == [INTERVAL_NS] * (MINUTES * 6 - 1)
    requests = total(found.spans, "requests")
    assert {place: many for (place, _), many in requests.items()} == {FRONT: 480, CART: 480, PAY: 420}
    assert total(found.spans, "calls") == {
        (FRONT, "calls of ts-cart"): 480,
        (FRONT, "calls of ts-pay"): 420,
    }
    assert {(edge.caller, edge.callee) for edge in found.edges} == {
        ("ts-front", "ts-cart"),
        ("ts-front", "ts-pay"),
    }
    assert sorted(total(found.lines, "lines").values()) == [60, 60, 420, 420]
    assert [each.worse for each in found.lines.series if "ERROR" in each.text] == [True, True]


def test_what_a_span_took_is_without_its_children(data: Path) -> None:
    found = counts(load(data, "TrainTicket")).spans
    assert {what for what, _ in took(found)} == {"spans", "ways"}
    assert took(found)["spans", CART] == pytest.approx(0.02, rel=0.2)
    assert took(found)["ways", FRONT] == pytest.approx(0.2 - 0.05 - 0.02, rel=0.2)


def total(tallies: Tallies, what: str) -> dict[tuple[str, str], int]:
    """By pod and text."""
    many = np.bincount(tallies.row, tallies.many, len(tallies.series))
    named = zip(tallies.series, many.tolist(), strict=True)
    return {(each.place.pod, each.text): int(n) for each, n in named if each.what == what}


def took(tallies: Tallies) -> dict[tuple[str, str], float]:
    """The most usual of what spans and ways of a pod took, in seconds."""
    found: dict[tuple[str, str], float] = {}
    for row, each in enumerate(tallies.series):
        mine = tallies.row == row
        if each.what in ("spans", "ways"):
            most = np.argmax(np.bincount(tallies.bin[mine], tallies.many[mine]))
            found[each.what, each.place.pod] = float(1e-6 * 2 ** (most / PER_OCTAVE))
    return found


def test_the_broken_pod_is_ranked_before_the_caller_that_suffers(data: Path) -> None:
    judged = judge(record(load(data, "TrainTicket")), 60 * SECOND)
    assert judged.ranks["ours"] == [1]
    assert judged.ranks["any kind"] == [1]
    assert judged.ranks["logs"] == [1]
    assert judged.ranks["found"] == [1]
    assert judged.ranks["metrics"][0] in {1, 2, 3, NOWHERE}
    assert "all, among three" in table(judged)


def test_what_is_missing_is_named(data: Path) -> None:
    with pytest.raises(NoDataError, match="2022-08-22: no file"):
        load(data, "OnlineBoutique")
    (data / DAYS["TrainTicket"] / "metric" / f"{CART}_metric.csv").unlink()
    with pytest.raises(NoDataError, match=f"faults of {CART}, but no metrics of it"):
        load(data, "TrainTicket")
