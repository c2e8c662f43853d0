"""Collectors: deadlines, staleness, and that none harms another."""

import sys
import threading
from collections.abc import Callable, Iterator

import prometheus_client as prometheus
import pytest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from edgeobs.exporter import Exporter, Reading
from edgeobs.exporter.collecting import Patience, Source, State, shown
from tests.waiting import wait


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    made = Exporter("dev", process=False)
    yield made
    made.close()


class Clock:
    """Time as the test has it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def value(exporter: Exporter, name: str, **labels: str) -> float | None:
    return exporter.registry.get_sample_value(name, labels)


def family(number: float) -> list[Metric]:
    return [GaugeMetricFamily("dev_number_ratio", "A number.", value=number)]


def test_what_a_function_yields_is_shown(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.", ["sensor"])
    used = exporter.counter("dev_used_joules_total", "Used.")

    @exporter.collector(warm, used)
    def read() -> Iterator[Reading]:
        yield warm.reading(20, sensor="a")
        yield warm.reading(30, "b")
        yield warm.reading(21, sensor="a")  # the last one counts
        yield used.reading(5)

    assert value(exporter, "dev_warm_celsius", sensor="a") == 21
    assert value(exporter, "dev_warm_celsius", sensor="b") == 30
    assert value(exporter, "dev_used_joules_total") == 5
    assert value(exporter, "edgeobs_exporter_collector_up", collector="read") == 1


def test_what_was_never_read_is_not_shown_as_zero(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.")

    @exporter.collector(warm)
    def read() -> Reading:
        raise OSError("no such device")

    assert value(exporter, "dev_warm_celsius") is None
    assert value(exporter, "edgeobs_exporter_collector_up", collector="read") == 0
    failures = "edgeobs_exporter_collector_failures_total"
    before = value(exporter, failures, collector="read", reason="error")
    assert before
    assert value(exporter, failures, collector="read", reason="error") == before + 1


def test_one_that_hangs_does_not_stall_the_others(exporter: Exporter) -> None:
    """The first scrape waits for it until its deadline, every later one not at all."""
    free, begun = threading.Event(), []
    slow, quick = exporter.gauge("dev_slow_ratio", "Slow."), exporter.gauge("dev_quick_ratio", "Quick.")

    @exporter.collector(slow, deadline_s=0.05)
    def hang() -> Reading:
        begun.append(1)
        free.wait(60)
        return slow.reading(1)

    @exporter.collector(quick, deadline_s=30)
    def go() -> Reading:
        return quick.reading(2)

    for _ in range(3):  # had each waited for it, the test's timeout would end this
        assert value(exporter, "dev_quick_ratio") == 2
        assert value(exporter, "dev_slow_ratio") is None
    assert begun == [1], "it was started again while it ran"
    assert value(exporter, "edgeobs_exporter_collector_failures_total", collector="hang", reason="late") == 1
    assert value(exporter, "edgeobs_exporter_collector_up", collector="hang") == 0
    free.set()
    wait(lambda: value(exporter, "dev_slow_ratio") == 1, "it did not recover")
    assert value(exporter, "edgeobs_exporter_collector_up", collector="hang") == 1


def test_many_that_hang_cost_one_deadline_together(exporter: Exporter) -> None:
    """60 with 2.5 s each: one after the other, or in each of 60 scrapes, they would outlive the test."""
    free = threading.Event()
    for number in range(60):
        metric = exporter.gauge(f"dev_hung{number}_ratio", "Hung.")

        def hang(metric: prometheus.Gauge = metric) -> Reading:
            free.wait(110)
            return metric.reading(1)  # type: ignore[attr-defined, no-any-return]

        exporter.collector(metric, deadline_s=2.5, name=f"hung{number}")(hang)
    began = threading.active_count()
    for _ in range(60):
        exporter.render()
    free.set()
    assert threading.active_count() <= began + 60


def test_what_it_last_said_is_shown_until_it_is_stale() -> None:
    clock = Clock()
    answers: Iterator[list[Metric] | OSError] = iter([family(1), OSError("a"), OSError("b"), family(2)])

    def read() -> list[Metric]:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    source = Source("s", read, Patience(deadline_s=30, stale_s=60), clock)

    def ask() -> list[float]:
        source.ask()
        state = source.wait()
        return [s.value for each in shown(state, clock.now, 60) for s in each.samples]

    assert ask() == [1]
    clock.now += 59
    assert ask() == [1]
    clock.now += 2
    assert ask() == []
    clock.now += 1
    assert ask() == [2]
    assert (source.state.errors, source.state.good) == (2, True)
    source.stop()


@pytest.mark.parametrize(("age", "visible"), [(0, True), (60, True), (60.1, False)])
def test_stale(age: float, visible: bool) -> None:
    state = State(families=tuple(family(1)), read_at=100.0)
    assert bool(shown(state, 100 + age, 60)) is visible
    assert shown(State(), 100, 60) == ()


def test_in_the_background_no_scrape_waits(exporter: Exporter) -> None:
    gates, calls = [threading.Event(), threading.Event()], []
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    gates[0].set()

    @exporter.collector(warm, every_s=0.01, stale_s=60, deadline_s=100)
    def read() -> Reading:
        calls.append(1)
        gates[min(len(calls), 2) - 1].wait(110)
        return warm.reading(len(calls))

    assert value(exporter, "dev_warm_celsius") == 1  # the first time there is nothing else to show
    wait(lambda: len(calls) == 2, "it was not read again by itself")
    assert value(exporter, "dev_warm_celsius") == 1  # and not waited for
    assert value(exporter, "edgeobs_exporter_collector_up", collector="read") == 1
    gates[1].set()
    wait(lambda: (value(exporter, "dev_warm_celsius") or 0) > 2, "it does not go on")


def test_in_the_background_one_that_hangs_is_told(exporter: Exporter) -> None:
    free = threading.Event()
    free.set()
    warm = exporter.gauge("dev_warm_celsius", "Warm.")

    @exporter.collector(warm, every_s=0.01, stale_s=600, deadline_s=0.3)
    def read() -> Reading:
        free.wait(110)
        return warm.reading(1)

    up = "edgeobs_exporter_collector_up"
    wait(lambda: value(exporter, up, collector="read") == 1, "it was never read")
    free.clear()
    wait(lambda: value(exporter, up, collector="read") == 0, "nobody says that it hangs")
    assert value(exporter, "dev_warm_celsius") == 1
    free.set()


def test_one_that_exits_only_fails(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    calls: list[int] = []

    @exporter.collector(warm, deadline_s=100)
    def read() -> Reading:
        calls.append(1)
        if len(calls) == 1:
            sys.exit("no device")
        return warm.reading(1)

    assert value(exporter, "dev_warm_celsius") is None
    assert value(exporter, "dev_warm_celsius") == 1


def test_without_threads_left_it_fails_and_recovers(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    exporter.collector(warm, name="read", deadline_s=100)(lambda: warm.reading(1))

    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        assert value(exporter, "edgeobs_exporter_collector_up", collector="read") == 0
    assert value(exporter, "dev_warm_celsius") == 1


def test_what_is_no_reading_of_ones_own_is_an_error_of_the_collector(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = exporter.gauge("dev_mine_ratio", "Mine."), exporter.gauge("dev_other_ratio", "Other.")

    @exporter.collector(mine)
    def read() -> Reading:
        return other.reading(1)

    assert value(exporter, "dev_mine_ratio") is None
    assert value(exporter, "edgeobs_exporter_collector_failures_total", collector="read", reason="error")
    assert "collector read: TypeError: expected a reading of dev_mine_ratio; found" in caplog.text


def test_readings_beyond_the_cap_go_to_the_overflow_series(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.", ["sensor"], cap=2)
    used = exporter.counter("dev_used_joules_total", "Used.", ["sensor"], cap=1)

    @exporter.collector(warm, used)
    def read() -> Iterator[Reading]:
        for sensor in range(4):
            yield warm.reading(sensor, sensor=sensor)
            yield used.reading(10, sensor=sensor)

    assert value(exporter, "dev_warm_celsius", sensor="_overflow") == 3  # a gauge's last
    assert value(exporter, "dev_used_joules_total", sensor="_overflow") == 30  # a counter's sum
    assert value(exporter, "dev_warm_celsius", sensor="2") is None
    assert (value(exporter, "edgeobs_exporter_overflow_total", metric="dev_warm_celsius") or 0) >= 2


def test_two_collectors_of_one_metric_are_one_family(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.", ["sensor"])
    for sensor, number in (("a", 1.0), ("b", 2.0), ("a", 9.0)):
        read: Callable[[], Reading] = lambda s=sensor, n=number: warm.reading(n, s)  # type: ignore[misc]  # noqa: E731
        exporter.collector(warm, name=f"{sensor}{number}")(read)
    page = exporter.render()[0].decode()
    lines = [line for line in page.splitlines() if "dev_warm_celsius" in line]
    assert lines[2:] == ['dev_warm_celsius{sensor="a"} 1.0', 'dev_warm_celsius{sensor="b"} 2.0']


def test_a_collector_of_prometheus_client_gets_a_deadline_too(exporter: Exporter) -> None:
    class Old:
        def collect(self) -> list[Metric]:
            return family(4)

    class Broken:
        def collect(self) -> list[Metric]:
            raise RuntimeError("broken")

    exporter.register(Old())
    exporter.register(Broken())
    assert value(exporter, "dev_number_ratio") == 4
    assert value(exporter, "edgeobs_exporter_collector_up", collector="Broken") == 0


def test_how_a_collector_of_the_worker_does_is_told_too(exporter: Exporter) -> None:
    files = exporter.gauge("dev_files_open", "Files.")
    exporter.collector(files, per_worker=True, name="files")(lambda: files.reading(3))
    page = exporter.render()[0].decode()
    assert "dev_files_open 3.0" in page
    assert 'edgeobs_exporter_collector_up{collector="files"} 1.0' in page
    assert page.count("# TYPE edgeobs_exporter_collector_up") == 1


def test_once_closed_nothing_is_read_and_nobody_waits(exporter: Exporter) -> None:
    """Were it waited for, a scrape would take the deadline: longer than the test may."""
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    exporter.collector(warm, deadline_s=1000)(lambda: warm.reading(20))
    assert b"dev_warm_celsius 20.0" in exporter.render()[0]
    exporter.close()
    exporter.render()


def test_wrong_declarations(exporter: Exporter) -> None:
    took = exporter.histogram("dev_took_seconds", "Took.")
    warm = exporter.gauge("dev_warm_celsius", "Warm.", ["sensor"])
    with pytest.raises(TypeError, match="a collector yields gauges and counters"):
        exporter.collector(took)(lambda: None)  # type: ignore[arg-type]
    exporter.collector(warm, name="one")(lambda: None)
    with pytest.raises(ValueError, match="a collector 'one' already"):
        exporter.collector(warm, name="one")(lambda: None)
    with pytest.raises(ValueError, match="would be stale"):
        exporter.collector(warm, every_s=60, stale_s=30)
    with pytest.raises(ValueError, match="> 0"):
        exporter.collector(warm, deadline_s=0)
    with pytest.raises(ValueError, match="labels are"):
        warm.reading(1)
    with pytest.raises(ValueError, match="labels are"):
        warm.reading(1, room="a")
    with pytest.raises(ValueError, match="Duplicated"):
        exporter.gauge("dev_warm_celsius", "Warm.")


def test_a_collector_whose_names_are_taken_is_refused_whole(exporter: Exporter) -> None:
    warm = exporter.gauge("dev_warm_celsius", "Warm.")
    exporter.collector(warm)(lambda: warm.reading(20))
    exporter.gauge("dev_load_ratio", "Load.").set(3)
    with pytest.raises(ValueError, match="Duplicated"):
        exporter.register(prometheus.Gauge("dev_load_ratio", "Mine.", registry=None))
    assert value(exporter, "dev_warm_celsius") == 20
    assert value(exporter, "dev_load_ratio") == 3
