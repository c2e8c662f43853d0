"""From spans to scores: a detector finds what is wrong where it is wrong."""

import random
from collections.abc import Callable

from edgeobs.detect import DETECTORS
from edgeobs.detect import Settings as DetectSettings
from edgeobs.features import Features
from edgeobs.features import Settings as FeatureSettings
from edgeobs.signals import SECOND
from tests.traces.making import CLIENT, MS, SERVER, T0, Bench, Span, batch

_CALM, _ILL = 240, 6  # intervals


def call(chance: random.Random, trace: int, at_ns: int, link_ms: float, work_ms: float) -> list[Span]:
    """One through gateway and orders; times vary by a third."""
    link, work = (int(chance.lognormvariate(0, 0.3) * ms * MS) for ms in (link_ms, work_ms))
    asked = at_ns + MS
    did = asked + link // 2
    return [
        Span("gateway", "GET /", 1, 0, SERVER, at_ns, asked + link + work + MS, trace=trace),
        Span("gateway", "GET", 2, 1, CLIENT, asked, asked + link + work, trace=trace),
        Span("orders", "GET /orders", 3, 2, SERVER, did, did + work, node="n2", trace=trace),
    ]


def scores(link_ms: Callable[[bool], float], work_ms: Callable[[bool], float]) -> dict[str, float]:
    """The highest score of each series while the site is ill, decades."""
    bench, chance, highest = Bench(), random.Random(3), dict[str, float]()
    features = Features(bench.table, FeatureSettings(), bench.counts)
    detector = DETECTORS["series"](DetectSettings())
    for n in range(_CALM + _ILL):
        ill = n >= _CALM
        begin = n * 10 * SECOND
        spans = [
            span
            for k in range(12)
            for span in call(chance, 100 * n + k + 1, begin + k * SECOND // 2, link_ms(ill), work_ms(ill))
        ]
        bench.stage.take(batch(spans), T0 + begin + 9 * SECOND)
        for later in (9, 10, 15):
            now = T0 + begin + later * SECOND
            found = features.apply(bench.stage.close(now).points, now)
            scored = detector.score_learn(found.series, found.time_ns, found.value)
            for series, time_ns, score in zip(
                found.series.tolist(), found.time_ns.tolist(), scored.score, strict=True
            ):
                if time_ns > T0 + _CALM * 10 * SECOND:
                    text = bench.text(series)
                    highest[text] = max(highest.get(text, 0.0), float(score))
    return highest


LINK = "link_seconds:p50 orders@n2 gateway orders n1"
CALLEE = "duration_seconds:p50 orders@n2"


def test_a_slow_link_is_seen_between_the_two_and_not_in_the_callee() -> None:
    found = scores(lambda ill: 40 if ill else 2, lambda _: 20)
    assert found[LINK] == max(found.values()) > 8
    assert found["duration_seconds:p50 gateway@n1"] > 4
    assert found[CALLEE] < 3


def test_a_slow_callee_is_seen_in_the_callee_and_not_between_the_two() -> None:
    found = scores(lambda _: 2, lambda ill: 200 if ill else 20)
    assert found[CALLEE] > 8
    assert found[LINK] < 3
