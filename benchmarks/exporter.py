"""What `edgeobs.exporter` costs over prometheus_client alone: an increment, an import, a page, a worker.

Times are of this thread (`time.thread_time`), ours and theirs in turn, and the fastest repetition of each
counts: what else runs on the machine does not. Imports are processor time of fresh processes, from compiled
files.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import prometheus_client as prometheus
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.measure import Measure
from edgeobs.exporter import Exporter

INCREMENTS = 20_000
SERIES = 1_000
WORKERS = 4

IMPORTED = "import time; before = time.process_time(); import {}; print(time.process_time() - before)"


def run(quick: bool) -> list[Measure]:
    """All of it."""
    rounds = 20 if quick else 100
    return [*_increments(rounds), *_imports(10 if quick else 25), *_pages(5 if quick else 20)]


def _increments(rounds: int) -> list[Measure]:
    exporter, theirs = Exporter("bench", process=False), CollectorRegistry()
    mine = exporter.counter("bench_events_total", "Events.")
    plain = prometheus.Counter("bench_events_total", "Events.", registry=theirs)
    labelled = exporter.counter("bench_things_total", "Things.", ["kind", "place"])
    plainly = prometheus.Counter("bench_things_total", "Things.", ["kind", "place"], registry=theirs)
    found = [
        _overhead("counter_increment_overhead_us", mine.inc, plain.inc, rounds),
        _overhead(
            "counter_labels_increment_overhead_us",
            lambda: labelled.labels("tea", "shop").inc(),
            lambda: plainly.labels("tea", "shop").inc(),
            rounds,
        ),
    ]
    provider = TracerProvider()
    with provider.get_tracer("bench").start_as_current_span("bench") as span:
        context = span.get_span_context()
        exemplar = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        found.append(
            _overhead(
                "counter_increment_in_span_overhead_us", mine.inc, partial(plain.inc, 1, exemplar), rounds
            )
        )
    provider.shutdown()
    return found


def _overhead(name: str, mine: Callable[[], None], theirs: Callable[[], None], rounds: int) -> Measure:
    ours_us, theirs_us = (each * 1e6 / INCREMENTS for each in _fastest(_many(mine), _many(theirs), rounds))
    reference = f"{ours_us:.3g} over prometheus_client's {theirs_us:.3g}"
    return Measure(name, ours_us - theirs_us, "µs", reference, ours_us / theirs_us)


def _many(act: Callable[[], None]) -> Callable[[], None]:
    def many() -> None:
        for _ in range(INCREMENTS):
            act()

    return many


def _fastest(mine: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for which, act in enumerate((mine, theirs)):
            before = time.thread_time()
            act()
            best[which] = min(best[which], time.thread_time() - before)
    return best[0], best[1]


def _imports(times: int) -> list[Measure]:
    pairs = [(_import_ms("edgeobs.exporter"), _import_ms("prometheus_client")) for _ in range(times)]
    ours, theirs = (min(each) for each in zip(*pairs, strict=True))
    return [Measure("import_ms", ours, "ms", f"prometheus_client {theirs:.3g}", ours / theirs)]


def _import_ms(module: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(module)], capture_output=True, text=True, check=True
    )
    return float(done.stdout) * 1e3


def _pages(rounds: int) -> list[Measure]:
    alone, theirs = Exporter("bench", process=False, cap=SERIES), CollectorRegistry()
    _fill(alone)
    plain = prometheus.Counter("bench_things_total", "Things.", ["kind"], registry=theirs)
    for number in range(SERIES):
        plain.labels(f"kind {number}").inc()
    mine_s, theirs_s = _fastest(alone.render, lambda: generate_latest(theirs), rounds)
    said = f"prometheus_client {theirs_s * 1e3:.3g}"
    with tempfile.TemporaryDirectory() as folder:
        workers = [Exporter("bench", process=False, cap=SERIES, share=Path(folder)) for _ in range(WORKERS)]
        for each in workers:
            _fill(each)
            each.render()
        merged_s, _ = _fastest(workers[0].render, lambda: None, rounds)
        beat = workers[0].running.publish
        written_s, _ = _fastest(beat, lambda: None, rounds)
        for each in workers:
            each.close()
    return [
        Measure("page_ms", mine_s * 1e3, "ms", f"{SERIES:,} series; {said}", mine_s / theirs_s),
        Measure("page_of_workers_ms", merged_s * 1e3, "ms", f"{WORKERS} workers with {SERIES:,} series each"),
        Measure("worker_core_percent", written_s * 100, "%", f"{SERIES:,} series written down once a second"),
    ]


def _fill(exporter: Exporter) -> None:
    things = exporter.counter("bench_things_total", "Things.", ["kind"])
    for number in range(SERIES):
        things.labels(f"kind {number}").inc()
