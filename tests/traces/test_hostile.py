"""Whatever a batch holds, the stage settles it: nothing raises, nothing grows without bound."""

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from edgeobs.signals import SECOND, Principal, Resource, Source, SpanBatch
from edgeobs.traces import Settings, graph
from tests.traces.making import T0, Bench

edge_times = st.sampled_from(
    [0, 1, T0 - 4000 * SECOND, T0 - SECOND, T0, T0 + SECOND, T0 + 59 * SECOND, T0 + 10**6 * SECOND, 2**63 - 1]
)
ids = st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 1])
texts = st.sampled_from(["", "a", "other", "\x00", "é" * 300, "unknown"])
places = st.builds(
    Source,
    st.just(()) | texts.map(lambda t: (("service.name", t),)),
    st.builds(Resource, node=texts, workload=texts, pod=texts),
)


@st.composite
def batches(draw: st.DrawFn) -> SpanBatch:
    """Columns of any content."""
    n = draw(st.integers(0, 12))

    def column(values: st.SearchStrategy[int], kind: type[np.generic]) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), kind)

    sources = tuple(draw(st.lists(places, min_size=1, max_size=3, unique=True)))
    names = tuple(draw(st.lists(texts, min_size=1, max_size=3, unique=True)))
    return SpanBatch(
        Principal(draw(st.integers(0, 1)), "p", None, draw(st.sampled_from([0, 5, 1000]))),
        sources,
        names,
        column(st.integers(0, len(sources) - 1), np.int32),
        column(st.integers(0, len(names) - 1), np.int32),
        column(st.integers(-1, len(names) - 1), np.int32),
        column(st.integers(0, 5), np.int8),
        column(st.integers(0, 1), np.bool_),
        column(edge_times, np.int64),
        column(edge_times, np.int64),
        np.stack([column(ids, np.uint64), column(ids, np.uint64)], axis=1),
        column(ids, np.uint64),
        column(ids, np.uint64),
    )


small = Settings(services=2, operations=2, edges=2, most=16, exemplars=2, spans=1024, forget_s=60, wait_s=5)
steps = st.sampled_from([-100.0, 0.0, 0.2, 1.0, 6.0, 11.0, 200.0, 10_000.0])


@given(st.lists(st.tuples(batches(), steps), max_size=6))
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_nothing_raises_and_nothing_is_lost_unsaid(story: list[tuple[SpanBatch, float]]) -> None:
    bench, now, came = Bench(small), 0.0, 0
    for batch, step in story:
        bench.stage.take(batch, T0 + int(now * SECOND))
        came += len(batch.span)
        now += step
        points = bench.stage.close(T0 + int(now * SECOND)).points
        assert np.isfinite(points.value).all()
        assert (points.series >= 0).all()
        assert len(set(zip(points.series.tolist(), points.time_ns.tolist(), strict=True))) == len(
            points.series
        )
        bench.stage.surprising(points.series, points.time_ns, np.full(len(points.series), 9.0))
        bench.stage.hints(6.0, T0 + int(now * SECOND))
        graph(bench.stage.edges(T0 + int(now * SECOND)), {}, 6.0)
        again = Bench(small)
        again.stage.restore(bench.stage.state())
    units = bench.stage.units
    assert max(len(r) for r in (units.sources, units.operations, units.edges, units.nodes)) <= 16
    assert len(bench.stage.kept.all()) <= 2
    assert (
        sum(n for (name, *_), n in bench.counts.items() if name == "edgeobs_spans_dropped_total") <= 3 * came
    )
