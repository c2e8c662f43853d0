"""What logs and traces count in a running core tells who broke from who suffers; nothing is counted twice."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgeobs.again import Again, digest
from edgeobs.compose import build
from edgeobs.config import parse
from edgeobs.past import INTERVAL_NS, Past, summed
from edgeobs.signals import SECOND, Edge, Resource
from edgeobs.streams import Streams
from edgeobs.suspects import KNOWN_NS, Counting, suspects
from tests.core.test_suspects import evidence, incident
from tests.logs import making as logs
from tests.traces import making as traces

NOW = traces.T0
BROKE, LASTS, MINUTES = 1200, 60, 21
FRONT, CART, PAY = (
    traces.source(name, node) for name, node in (("front", "n1"), ("cart", "n2"), ("pay", "n3"))
)
SENT = {"front": FRONT, "cart": CART, "pay": PAY}


def request(number: int, second: float, *, broken: bool) -> list[traces.Span]:
    """Front asks cart, and pay only where cart answers."""
    at, ms, top = int(second * SECOND), traces.MS, 3 * number + 1
    front = traces.Span("front", "GET /", top, start=at, end=at + 200 * ms)
    cart = traces.Span("cart", "cart", top + 1, top, start=at, end=at + 20 * ms, node="n2")
    pay = traces.Span("pay", "pay", top + 2, top, start=at, end=at + 50 * ms, node="n3")
    spans = [front._replace(failed=broken), cart._replace(failed=broken), *([] if broken else [pay])]
    return [each._replace(trace=number + 1) for each in spans]


def shop() -> tuple[Streams, int]:
    """Twenty minutes of a request every two seconds, then a minute in which cart fails."""
    made = build(parse("{}")).pipeline.streams
    now = NOW
    for number in range((BROKE + LASTS) // 2):
        second = 2.0 * number
        now, broken = NOW + int(second * SECOND) + SECOND, second >= BROKE
        made.take(traces.batch(request(number, second, broken=broken)), now)
        lines = {
            "front": [f"INFO served {number}"],
            "cart": [f"INFO cart of {number}"],
            "pay": [f"paid {number}"],
        }
        if broken:
            lines = {"front": [f"ERROR request {number}: 500"], "cart": [f"ERROR no cart for {number}"]}
        for name, each in lines.items():
            made.take(
                logs.batch(each, of=SENT[name], severity=5 if broken else 3, time_ns=now - SECOND // 3), now
            )
        made.close(now)
    for _ in range(30):
        now += SECOND
        made.close(now)
    return made, now


@pytest.fixture(scope="module")
def broken_shop() -> tuple[Streams, int]:
    return shop()


def test_who_broke_is_told_from_a_caller_and_from_who_is_no_longer_called(
    broken_shop: tuple[Streams, int],
) -> None:
    streams, now = broken_shop
    front, cart, pay = (source.resource for source in (FRONT, CART, PAY))
    at = BROKE + 10.0
    found = [
        replace(evidence(pay, 12.0, "span rate", name="span_calls"), onset_ns=NOW + int(at * SECOND)),
        replace(evidence(front, 9.0, "span error ratio"), onset_ns=NOW + int(at * SECOND)),
    ]
    running = {front: "front", cart: "cart", pay: "pay"}
    edges = [Edge("front", "cart", 0.5, 0.0, 0.1, 0.2, ()), Edge("front", "pay", 0.5, 0.0, 0.1, 0.2, ())]
    here = incident(*found, place=front.place())
    alone, *_ = suspects(here, [here], running, edges)
    assert alone.name == pay.pod, "by what detectors found alone, who is no longer called is blamed"
    counting = Counting(streams.tallies, [], now)
    first, *others = suspects(here, [here], running, edges, counting)
    assert first.name == cart.pod
    assert "ERROR no cart for" in first.reason
    assert pay.pod not in {each.name for each in others}, "for each request it does what it did"
    early = Counting(streams.tallies, [], NOW + BROKE * SECOND + KNOWN_NS)
    assert suspects(here, [here], running, edges, early)[0].name == pay.pod, "nothing is known yet"
    assert streams.parts.failures == {}


def test_what_is_counted_of_a_request_lines_and_calls(broken_shop: tuple[Streams, int]) -> None:
    streams, _ = broken_shop
    lines, spans = streams.tallies([FRONT.resource, CART.resource, PAY.resource])
    whole = (BROKE + LASTS) // 2
    many: Counter[tuple[str, str]] = Counter()
    for tallies in (lines, spans):
        for row, n in zip(tallies.row.tolist(), tallies.many.tolist(), strict=True):
            many[tallies.series[row].place.workload, tallies.series[row].what] += n
    assert many == {
        ("front", "lines"): whole, ("cart", "lines"): whole, ("pay", "lines"): BROKE // 2,
        ("front", "requests"): whole, ("cart", "requests"): whole, ("pay", "requests"): BROKE // 2,
        ("front", "calls"): whole + BROKE // 2,
        ("front", "failed"): LASTS // 2, ("cart", "failed"): LASTS // 2,
        ("front", "ways"): many["front", "ways"], ("cart", "spans"): many["cart", "spans"],
        ("pay", "spans"): many["pay", "spans"],
    }  # fmt: skip
    assert many["front", "ways"] >= whole - 20, "all but those that may yet have children"
    assert np.diff(spans.intervals).tolist() == [1] * (len(spans.intervals) - 1)
    assert [each.series for each in streams.tallies([Resource(pod="nobody")])] == [(), ()]


def test_spans_with_absurd_beginnings_are_counted_when_they_ended() -> None:
    stage = traces.Bench().stage
    absurd = [2**62, 1, traces.T0 - 7200 * SECOND, 0, traces.T0 + 10**9]
    batch = traces.batch([traces.Span("cart", "x", n + 1, trace=n + 1) for n in range(len(absurd))])
    stage.take(replace(batch, start_ns=np.array(absurd)), NOW)
    for second in range(1, 60):
        stage.take(
            traces.batch([traces.Span("cart", "x", second + 100, trace=second + 100)]), NOW + second * SECOND
        )
        stage.close(NOW + second * SECOND)
    found = stage.tallies([traces.source("cart").resource])
    assert set(found.interval.tolist()) == {NOW // INTERVAL_NS}
    assert found.many[found.row == [each.what for each in found.series].index("requests")].sum() == 59 + len(
        absurd
    )


def test_a_ring_is_bounded_and_the_oldest_go_first() -> None:
    past = Past(most=1000)
    for interval in range(50):  # more than is kept, and more than there is room for
        past.add(np.full(100, interval), np.arange(100), np.full(100, interval + 1))
    assert past.intervals().tolist() == list(range(40, 50))
    when, _, many = past.entries(past.keys() == 7)
    assert sorted(zip(when.tolist(), many.tolist(), strict=True)) == [(i, i + 1) for i in range(40, 50)]
    past.forget(past.keys() == 7)
    assert not (past.keys() == 7).any()
    assert past.since() == 40
    past.add(np.full(150, 50), np.arange(150), np.ones(150, np.int64))
    assert past.since() == 42, "half of 41 was written over"
    past.add(np.arange(5000), np.arange(5000), np.ones(5000, np.int64))
    assert sorted(past.keys().tolist()) == list(range(4000, 5000))


def test_a_ring_grows_no_further_than_what_is_kept_needs() -> None:
    past, seen = Past(most=100_000, kept=5), []
    for interval in range(3000):
        many = 100 if interval == 2000 else 10
        past.add(np.full(many, interval), np.arange(many), np.ones(many, np.int64))
        seen.append(len(past.keys()))
        kept = list(range(max(0, interval - 4), interval + 1))
        assert past.intervals().tolist()[-len(kept) :] == kept
        assert len(past.entries(past.keys() == 3)[0]) >= len(kept)
    assert seen[1999] < 300, "a hundredth of all that came"
    assert seen[-1] < 600


def test_codes_far_apart_and_close_together_are_summed_alike() -> None:
    dice = np.random.default_rng(3)
    close = dice.integers(0, 50, 300)
    weight = dice.integers(-1, 2, 300)
    for code in (close, close * 10**12):
        found, many = summed(code, weight)
        expected = {c: int(weight[code == c].sum()) for c in set(code.tolist())}
        assert dict(zip(found.tolist(), many.tolist(), strict=True)) == {
            c: n for c, n in expected.items() if n
        }


def test_a_request_that_is_sent_again_is_counted_once() -> None:
    made = build(parse("{}"))
    streams, counts = made.pipeline.streams, made.counts
    lines = logs.batch(["INFO a", "INFO b"], time_ns=NOW + 5)
    asked = traces.batch(request(0, 0.0, broken=False))
    for seconds in (1, 40, 300):  # spans alone are known for 20 s at most
        now = NOW + seconds * SECOND
        streams.take(lines, now)
        streams.take(asked, now)
        streams.close(now)
    assert counts["edgeobs_log_lines_dropped_total", "duplicate"] == 4
    assert counts["edgeobs_spans_dropped_total", "duplicate"] == 6
    other = logs.batch(["INFO a", "INFO b"], time_ns=NOW + 5, of=logs.source("pay"))
    streams.take(other, NOW + 300 * SECOND)
    assert counts["edgeobs_log_lines_dropped_total", "duplicate"] == 4, "another pod said the same"


def test_what_may_be_alike_by_chance_is_no_repetition() -> None:
    assert digest(logs.batch(["tick"], time_ns=0)) == b""
    assert digest(logs.batch(["tick"], time_ns=NOW)) == b"", "stamped with whole seconds"
    assert digest(logs.batch(["tick"], time_ns=NOW + 1)) != digest(logs.batch(["tick"], time_ns=NOW + 2))
    at_once = logs.batch(["tick"], time_ns=NOW + 1)
    assert digest(at_once) != digest(logs.batch(["tick"], time_ns=NOW + 1, severity=5))
    assert digest(at_once) != digest(replace(at_once, trace=at_once.trace + np.uint64(1)))
    assert digest(traces.batch([traces.Span("a", "x", 0)])) == b"", "a span without an id"
    again = Again(most=2)
    for n, name in enumerate((b"a", b"b", b"c", b"")):
        again.remember(name, NOW + n)
    assert [again.is_new(name, NOW + 10) for name in (b"a", b"b", b"c", b"")] == [True, False, False, True]
    assert again.is_new(b"c", NOW + 3600 * SECOND)
    assert INTERVAL_NS == 10 * SECOND
