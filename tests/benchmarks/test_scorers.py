"""The scorers: what they say of scores whose worth is known."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.accuracy import alarms, causes, nab, promise
from benchmarks.accuracy.data import DAY, MINUTE, Fault, Node, Series
from benchmarks.accuracy.ranking import NO_PERIOD, auc_pr, period, runs, vus_pr
from edgeobs.signals import Bools, Floats

HOUR = 60 * MINUTE


def series(label: Bools, interval: int = MINUTE, windows: tuple[tuple[int, int], ...] = ()) -> Series:
    time_ns = np.arange(len(label), dtype=np.int64) * interval
    return Series("kind/one", time_ns, np.zeros(len(label)), label, windows)


def labelled(n: int, *events: tuple[int, int]) -> Bools:
    label = np.zeros(n, np.bool_)
    for first, last in events:
        label[first : last + 1] = True
    return label


@st.composite
def scored(draw: st.DrawFn) -> tuple[Bools, Floats]:
    """Labels with a few events, and a score with ties."""
    n = draw(st.integers(30, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    label = np.zeros(n, np.bool_)
    for _ in range(draw(st.integers(1, 4))):
        first = int(rng.integers(0, n))
        label[first : first + int(rng.integers(1, 9))] = True
    score = np.round(rng.random(n) + draw(st.sampled_from([0.0, 0.5])) * label, draw(st.integers(1, 6)))
    return label, score.astype(np.float64)


# Ranking


def surface(label: Bools, score: Floats, window: int) -> float:
    """The definition, one threshold and one window at a time."""
    n, events = len(label), runs(label)
    thresholds = -np.sort(-score)[np.linspace(0, n - 1, 250).astype(int)]
    areas = []
    for w in range(window + 1):
        half, credit = w // 2, label.astype(float)
        ranges: list[list[int]] = []
        for first, last in events.tolist():
            for away in range(1, half + 1):
                for at in (last + away, first - away):
                    if 0 <= at < n:
                        credit[at] += (1 - away / w) ** 0.5
            if ranges and ranges[-1][1] >= first - half:
                ranges[-1][1] = last + half
            else:
                ranges.append([max(first - half, 0), last + half])
        credit, recall, area = np.minimum(credit, 1), 0.0, 0.0
        for threshold in thresholds:
            over = score >= threshold
            got = float(credit[over].sum())
            size = (label.sum() + np.where(label, 1.0, credit * over).sum()) / 2
            seen = np.mean([over[a : b + 1].any() for a, b in ranges])
            before, recall = recall, float(min(got / size, 1.0) * seen)
            area += (recall - before) * got / over.sum()
        areas.append(area)
    return float(np.mean(areas))


@given(scored(), st.integers(0, 20))
def test_the_volume_is_what_its_definition_gives(case: tuple[Bools, Floats], window: int) -> None:
    assert vus_pr(*case, window) == pytest.approx(surface(*case, window), abs=1e-9)


def test_labels_themselves_rank_near_one_and_noise_near_the_base_rate() -> None:
    label = labelled(5000, (500, 560), (2000, 2100), (4000, 4040))
    noise = np.random.default_rng(3).random(5000)
    assert auc_pr(label, label.astype(float)) == pytest.approx(1.0)
    assert vus_pr(label, label.astype(float), 10) > 0.9
    assert auc_pr(label, noise) == pytest.approx(label.mean(), abs=0.02)
    assert vus_pr(label, noise, 10) == pytest.approx(label.mean(), abs=0.03)


def test_nothing_to_find_is_not_a_number() -> None:
    label = labelled(50)
    assert np.isnan(vus_pr(label, np.arange(50.0), 5))
    assert np.isnan(auc_pr(label, np.arange(50.0)))


@given(scored())
def test_ranking_knows_only_the_order(case: tuple[Bools, Floats]) -> None:
    label, score = case
    assert vus_pr(label, np.exp(3 * score), 7) == pytest.approx(vus_pr(label, score, 7), abs=1e-12)
    assert auc_pr(label, np.exp(3 * score)) == pytest.approx(auc_pr(label, score), abs=1e-12)


def test_the_window_is_the_period() -> None:
    assert period(np.sin(np.arange(3000) * 2 * np.pi / 48)) == 48
    assert period(np.ones(500)) == NO_PERIOD


# Alarms


def test_alarms_by_hand() -> None:
    label = labelled(3 * 24 * 60, (1000, 1010), (3000, 3000))
    score = np.zeros(len(label))
    score[[200, 400]] = 5.0, 4.0  # one alarm of two samples: false
    score[[1005, 1100]] = 9.0, 3.0  # five minutes late
    score[2900] = 2.0  # still open when the second event comes, but false
    one = series(label)
    days = alarms.days([one])
    hold = 5 * HOUR
    found = alarms.at_threshold([one], [score], 2.0, hold)
    assert found.precision == pytest.approx(1 / 3)
    assert (found.recall, found.delay_s) == (1.0, 150.0)
    assert found.false_alarms == pytest.approx(2 / days)
    high = alarms.at_threshold([one], [score], 6.0, hold)
    assert (high.recall, high.precision, high.false_alarms) == (0.5, 1.0, 0.0)
    assert alarms.openings(one.time_ns, score, 2.0, hold, more=0.0).tolist() == [200, 1005, 2900]
    assert alarms.openings(one.time_ns, score, 2.0, hold).tolist() == [200, 1005]  # the third asks for more
    assert alarms.openings(one.time_ns, score, 2.0, 24 * HOUR, more=0.0).tolist() == [200, 2900]


def test_the_lowest_threshold_that_keeps_the_rate_is_taken() -> None:
    label = labelled(10 * 24 * 60, (5000, 5060))
    score = np.zeros(len(label))
    score[5030], score[[1000, 9000]], score[12000] = 5.0, (7.0, 4.0), 1.0
    strict, loose = alarms.operating_points([series(label)], [score], (0.05, 0.25))
    assert (strict.threshold, strict.recall) == (np.inf, 0.0)
    assert (loose.threshold, loose.recall) == (4.0, 1.0)
    assert loose.false_alarms == pytest.approx(0.2, rel=0.01)


def test_series_without_events_count() -> None:
    score = np.zeros(24 * 60)
    score[700] = 1.0
    event, none = series(labelled(24 * 60, (700, 700))), series(labelled(24 * 60))
    alone = alarms.operating_points([event], [score], (0.1,))
    both = alarms.operating_points([event, none], [score, score], (0.1,))
    assert (alone[0].recall, both[0].recall) == (1.0, 0.0)


def test_an_alarm_that_never_closes_is_no_way_to_catch_everything() -> None:
    label = labelled(30 * 24 * 60, *((i, i + 5) for i in range(3000, 40_000, 3000)))
    always = np.ones(len(label))
    for point in alarms.operating_points([series(label)], [always]):
        assert point.recall == 0.0
    slow = always + np.random.default_rng(0).random(len(label)) * 1e-3  # no ties
    assert alarms.operating_points([series(label)], [slow], (0.1,))[0].recall < 0.3


@given(st.lists(scored(), min_size=1, max_size=3))
def test_recall_grows_with_the_rate(cases: list[tuple[Bools, Floats]]) -> None:
    """Also: never more false alarms than allowed, and both ways of counting agree."""
    entities, scores = [series(label, HOUR) for label, _ in cases], [score for _, score in cases]
    points = alarms.operating_points(entities, scores)
    for point in points:
        assert point.false_alarms <= point.rate
        assert point == pytest.approx(
            alarms.at_threshold(entities, scores, point.threshold)._replace(rate=point.rate), nan_ok=True
        )
    for less, more in pairwise(points):
        assert less.recall <= more.recall
        assert less.threshold >= more.threshold


@given(scored(), st.floats(0.01, 0.5))
def test_the_next_lower_threshold_breaks_the_rate(case: tuple[Bools, Floats], rate: float) -> None:
    label, score = case
    entity = series(label, HOUR)
    (point,) = alarms.operating_points([entity], [score], (rate,))
    lower = score[score < point.threshold]
    assume(len(lower))
    assert alarms.at_threshold([entity], [score], float(lower.max())).false_alarms > rate


# NAB


def nab_file(n: int = 2000) -> Series:
    windows = ((600, 700), (1500, 1560))
    return series(labelled(n, *windows), 5 * MINUTE, windows)


def test_the_perfect_detector_has_a_hundred_and_silence_nothing() -> None:
    file = nab_file()
    perfect = np.zeros(2000)
    perfect[[600, 1500]] = 1.0
    assert nab.standard([file], [perfect]) == pytest.approx(100.0)
    assert nab.standard([file], [perfect], alarms.HOLD_NS) == pytest.approx(100.0)
    silent = np.zeros(2000, np.bool_)
    assert nab.scaled(nab.file_score(file, silent), 2) == 0.0


def test_a_false_detection_costs_most_far_from_a_window_and_nothing_on_probation() -> None:
    file = nab_file()

    def alone(row: int) -> float:
        return nab.file_score(file, np.arange(2000) == row) + 2

    assert alone(299) == 0.0
    assert alone(300) == alone(1400) == pytest.approx(-0.11)
    assert -0.11 < alone(720) < -0.02
    assert alone(600) == pytest.approx(2.0)  # caught instead of missed
    assert alone(600) > alone(650) > alone(700) > 0


def test_a_row_of_detections_counts_once_with_a_hold() -> None:
    file = nab_file()
    score = np.zeros(2000)
    score[400:430] = 1.0
    for hold_ns, times in ((alarms.HOLD_NS, 1), (nab.NO_HOLD, 30)):
        found = nab.file_score(file, nab.detections(file, score, 1.0, hold_ns))
        assert found == pytest.approx(-2 - 0.11 * times)
    score[1500] = 1.0
    assert nab.best([file], [score])[0] == np.inf  # thirty false ones are not worth a window


@given(st.integers(0, 2**31), st.sampled_from([nab.NO_HOLD, alarms.HOLD_NS]))
def test_the_sweep_finds_the_best_of_all_thresholds(seed: int, hold_ns: int) -> None:
    rng = np.random.default_rng(seed)
    files = [series(labelled(200, (90, 110)), HOUR, ((90, 110),)), series(labelled(120), HOUR)]
    scores = [np.round(rng.random(len(f.label)), 2) for f in files]

    def at(threshold: float) -> float:
        hits = [nab.detections(f, s, threshold, hold_ns) for f, s in zip(files, scores, strict=True)]
        return nab.scaled(sum(nab.file_score(f, h) for f, h in zip(files, hits, strict=True)), 1)

    threshold, figure = nab.best(files, scores, hold_ns)
    assert at(threshold) == pytest.approx(figure)
    highest = max(at(t) for t in [*np.unique(scores[0]), *np.unique(scores[1]), np.inf])
    if hold_ns == nab.NO_HOLD:
        assert figure == pytest.approx(highest)
    else:  # a grid
        assert figure >= at(np.inf) - 1e-9


# Causes, promise


def test_the_broken_node_is_ranked_by_what_follows_the_fault() -> None:
    nodes = [
        Node(name, np.arange(100, dtype=np.int64) * MINUTE, np.zeros((100, 2)), np.zeros(100, np.bool_))
        for name in "abcd"
    ]
    scores = [np.zeros(100) for _ in nodes]
    scores[1][52], scores[0][53], scores[2][49] = 5.0, 3.0, 99.0
    faults = [Fault(2 * MINUTE, "a", ""), Fault(50 * MINUTE, "b", ""), Fault(50 * MINUTE, "a", "")]
    found = causes.ranked(nodes, faults, scores)
    assert found.ranks == (1, 2)  # the first fault is too early to have a normal before it
    assert (found.top1, found.top3) == (0.5, 1.0)
    assert causes.ranked(nodes, faults, [np.zeros(100)] * 4).ranks == (4, 4)  # ties count against us


def test_what_was_promised_and_found() -> None:
    label = labelled(10 * 24 * 60, (5000, 5100))
    one = series(label)
    (limit,) = promise.thresholds([one], 0.1)
    assert limit == pytest.approx(-np.log10(0.1 * MINUTE / DAY))
    score = np.zeros(len(label))
    score[[1000, 3000, 5050]] = limit
    assert promise.found([one], [score], [limit]) == pytest.approx(0.2, rel=0.02)
    assert promise.ratio(0.1, 0.2) == promise.ratio(0.2, 0.1) == 2.0
    assert promise.found([one], [np.zeros(len(label))], [limit]) == pytest.approx(0.05, rel=0.02)
