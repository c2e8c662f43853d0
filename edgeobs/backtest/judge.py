"""Alarms against labels: precision, recall, delay, and false alarms as promised and as found. Pure.

An alarm of a series is what makes it evidence in production (`incidents.Settings`): so many of its last
samples over the opening score, until a hold time (`GAP` intervals at least) has passed without one over the
closing score. It is true when what raised it, from the first sample that counted to the moment it was raised,
touches a label of its series: what was raised before a label began, and lasts into it, does not find it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeobs.backtest.labels import Label
from edgeobs.backtest.track import Track
from edgeobs.detect.promise import promised
from edgeobs.incidents.promise import LEAST
from edgeobs.incidents.settings import Settings
from edgeobs.signals import SECOND, Bools, Floats, Int64s, Resource

DAY_S = 86_400.0
GAP = 5.0
"""Usual intervals. A longer pause was not watched; what is abnormal again within them is the same alarm."""


class Alarm(NamedTuple):
    """Something was said to be abnormal. ``labels``: numbers of the labels it found; none: it is false."""

    onset_ns: int
    raised_ns: int
    last_ns: int
    score: float  # decades, the highest
    labels: tuple[int, ...] = ()


class Seen(NamedTuple):
    """An incident as the pipeline told of it."""

    id: str
    place: Resource
    title: str
    alarm: Alarm


class SeriesResult(NamedTuple):
    """One series under one configuration."""

    name: str
    place: Resource
    samples: int
    days: float  # watched, outside its labels
    threshold: float  # decades, the median
    promised: float  # false alarms a day
    exceeded: int  # times it was over the threshold outside its labels
    alarms: tuple[Alarm, ...]
    labels: tuple[int, ...]  # numbers of the labels that are of it


class Tally(NamedTuple):
    """How alarms, or incidents, did. NaN where nothing can be said."""

    raised: int
    true: int
    found: int  # labels
    labels: int  # that could have been found
    precision: float
    recall: float
    delay_s: float  # median over the labels found, from the start of the label
    delay_p90_s: float


class Result(NamedTuple):
    """One configuration over all of it."""

    series: tuple[SeriesResult, ...]
    incidents: tuple[Seen, ...]
    alarms: Tally
    by_incident: Tally
    days: float  # series-days watched, outside labels
    promised: float  # false alarms a series-day
    exceeded: float  # times over the threshold outside labels, a series-day
    found: float  # false alarms a series-day, after de-bouncing
    unmatched: int  # labels of no series and time that were seen


def judge(
    tracks: Sequence[Track], labels: Sequence[Label], incidents: Sequence[Seen], settings: Settings
) -> Result:
    """Judge what a pipeline with these settings said.

    Parameters
    ----------
    tracks
        What was said of every sample.
    labels
        What is known to have been abnormal; their order numbers them.
    incidents
        What the samples amounted to, with alarms not yet judged.
    settings
        The operating point.

    """
    series = tuple(_series(track, labels, settings) for track in tracks if len(track.time_ns))
    places: dict[int, set[Resource]] = {}
    for each in series:
        for number in each.labels:
            places.setdefault(number, set()).add(each.place)
    seen = tuple(_incident(each, labels, places) for each in incidents)
    alarms = [alarm for each in series for alarm in each.alarms]
    days = sum(each.days for each in series)
    false = sum(not alarm.labels for alarm in alarms)
    return Result(
        series=series,
        incidents=seen,
        alarms=tally(alarms, labels, sorted(places)),
        by_incident=tally([each.alarm for each in seen], labels, sorted(places)),
        days=days,
        promised=_per(sum(each.promised * each.days for each in series), days),
        exceeded=_per(sum(each.exceeded for each in series), days),
        found=_per(false, days),
        unmatched=len(labels) - len(places),
    )


def tally(alarms: Sequence[Alarm], labels: Sequence[Label], findable: Sequence[int]) -> Tally:
    """How alarms did against the labels that could have been found."""
    first: dict[int, int] = {}
    for alarm in alarms:
        for number in alarm.labels:
            first[number] = min(alarm.raised_ns, first.get(number, alarm.raised_ns))
    delays = [max(raised - labels[number].start_ns, 0) / SECOND for number, raised in first.items()]
    true = sum(bool(alarm.labels) for alarm in alarms)
    return Tally(
        raised=len(alarms),
        true=true,
        found=len(first),
        labels=len(findable),
        precision=_per(true, len(alarms)) if findable else float("nan"),
        recall=_per(len(first), len(findable)),
        delay_s=float(np.median(delays)) if delays else float("nan"),
        delay_p90_s=float(np.quantile(delays, 0.9)) if delays else float("nan"),
    )


def opening(interval_s: Floats, settings: Settings) -> Floats:
    """Decades that count, by seconds between samples: who speaks less often has less occasion to be wrong."""
    return np.maximum(LEAST, settings.open_score - np.log10(np.maximum(interval_s, 1.0)))


def alarms_of(time_ns: Int64s, score: Floats, interval_s: Floats, settings: Settings) -> list[Alarm]:
    """The alarms of one series, as production raises them."""
    over = opening(interval_s, settings)
    hit = score >= over
    alive = hit | (score >= settings.close_score * over / settings.open_score)
    window = settings.persist_samples
    recent = np.convolve(hit, np.ones(window, np.int64))[: len(hit)]
    hot = recent >= np.where(interval_s < settings.persist_s, settings.persist_hits, 1)
    hold = hold_ns(time_ns, settings)
    found: list[Alarm] = []
    going = False
    for row in np.flatnonzero(alive & (hit | (score > 0))).tolist():
        now = int(time_ns[row])
        going = going and now - found[-1].last_ns < hold
        if going:
            found[-1] = found[-1]._replace(last_ns=now, score=max(found[-1].score, float(score[row])))
        elif hot[row] and hit[row]:
            onset = max(row - window + 1, 0) + int(np.argmax(hit[max(row - window + 1, 0) : row + 1]))
            peak = float(score[onset : row + 1].max())
            found.append(Alarm(int(time_ns[onset]), now, now, peak))
            going = True
    return found


def usual_s(time_ns: Int64s) -> float:
    """The usual seconds between samples; 1 where there is one sample."""
    gaps = np.diff(time_ns)
    return float(np.median(gaps[gaps > 0])) / SECOND if (gaps > 0).any() else 1.0


def hold_ns(time_ns: Int64s, settings: Settings) -> int:
    """How long a series must be calm for what follows to be another alarm."""
    return int(max(settings.hold_s, GAP * usual_s(time_ns)) * SECOND)


def _series(track: Track, labels: Sequence[Label], settings: Settings) -> SeriesResult:
    time_ns, score = track.time_ns, track.score.astype(np.float64)
    interval_s = np.maximum(track.interval_s.astype(np.float64), 1.0)
    mine = _mine(track, labels)
    alarms = [
        alarm._replace(labels=tuple(n for n in mine if _touches(alarm, labels[n])))
        for alarm in alarms_of(time_ns, score, interval_s, settings)
    ]
    inside = _inside(time_ns, [labels[n] for n in mine])
    usual = usual_s(time_ns)
    watched = np.append(np.clip(np.diff(time_ns) / SECOND, 0.0, GAP * usual), usual)
    over = opening(interval_s, settings)
    hits = time_ns[(score >= over) & ~inside]
    apart = np.diff(hits) >= hold_ns(time_ns, settings)
    threshold = float(np.median(over))
    return SeriesResult(
        name=track.identity.text(),
        place=track.identity.source.resource.place(),
        samples=len(time_ns),
        days=float(watched[~inside].sum()) / DAY_S,
        threshold=threshold,
        promised=promised(threshold, usual),
        exceeded=int(apart.sum()) + bool(len(hits)),
        alarms=tuple(alarms),
        labels=tuple(mine),
    )


def _mine(track: Track, labels: Sequence[Label]) -> list[int]:
    first, last = int(track.time_ns.min()), int(track.time_ns.max())
    fits: dict[str, bool] = {}
    found = []
    for number, label in enumerate(labels):
        if label.start_ns > last or label.end_ns < first:
            continue
        text = label.selector.text
        if text not in fits:
            fits[text] = label.selector.fits(track.identity)
        if fits[text]:
            found.append(number)
    return found


def _touches(alarm: Alarm, label: Label) -> bool:
    return alarm.onset_ns <= label.end_ns and alarm.raised_ns >= label.start_ns


def _inside(time_ns: Int64s, labels: Sequence[Label]) -> Bools:
    inside = np.zeros(len(time_ns), np.bool_)
    for label in labels:
        inside |= (time_ns >= label.start_ns) & (time_ns <= label.end_ns)
    return inside


def _incident(seen: Seen, labels: Sequence[Label], places: dict[int, set[Resource]]) -> Seen:
    """Which labels an incident found: those of a series at its place."""
    numbers = (
        n
        for n, at in places.items()
        if _touches(seen.alarm, labels[n]) and any(_holds(seen.place, p) for p in at)
    )
    return seen._replace(alarm=seen.alarm._replace(labels=tuple(sorted(numbers))))


def _holds(place: Resource, within: Resource) -> bool:
    """Whether a node is at a place: itself, its zone or its cluster."""
    return all(mine in {"", theirs} for mine, theirs in zip(place[:3], within[:3], strict=True))


def _per(many: float, of: float) -> float:
    return many / of if of else float("nan")
