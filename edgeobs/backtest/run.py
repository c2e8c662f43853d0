"""The shell of a back-test: read, go through the production step, judge, write."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edgeobs.backtest import report
from edgeobs.backtest.compare import Change, compare
from edgeobs.backtest.judge import Alarm, Result, Seen, judge
from edgeobs.backtest.labels import Label, read_labels
from edgeobs.backtest.prometheus import PrometheusError, Range, asks, bearer, fetch, plain
from edgeobs.backtest.read import History, files, joined, read_files
from edgeobs.backtest.track import Observer, Track
from edgeobs.backtest.when import TimeError, moment, seconds
from edgeobs.compose import build
from edgeobs.config import Config
from edgeobs.replay import RecordingError, steps
from edgeobs.signals import SECOND, Incident

__all__ = ["Asked", "PrometheusError", "RecordingError", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says. Of ``query`` to ``token_file`` nothing concerns files."""

    data: str
    config: Config
    config_name: str = "the defaults"
    labels: Path | None = None
    against: Config | None = None
    against_name: str = ""
    report: Path | None = None
    plots: int = 12
    query: tuple[str, ...] = ()
    start: str = "now-1d"
    end: str = "now"
    step: str = "15s"
    token_file: Path | None = None


def run(asked: Asked, *, as_json: bool, progress: bool) -> None:
    """Do all of it and print what came of it. Raises RecordingError, OSError, PrometheusError."""
    stderr = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TimeRemainingColumn(), console=stderr, disable=not progress, transient=True
    ) as bar:
        labels = read_labels(asked.labels) if asked.labels else []
        history = _history(asked, bar)
        if asked.labels:
            _check(labels, history, asked.labels)
        else:
            labels = history.labels
        result, tracks, left = _go(history, labels, asked.config, asked.config_name, bar)
        old = diff = None
        if asked.against is not None:
            old, _, _ = _go(history, labels, asked.against, asked.against_name, bar)
            diff = compare(result, old)
    notes = [*dict.fromkeys(history.notes), *left]
    if result.unmatched:
        notes.append(f"{result.unmatched} of {len(labels)} labels are of no series and time in the data")
    about = report.About(
        _name(asked.data), asked.config_name, asked.against_name, len(history.recording.series), notes
    )
    if asked.report is not None:
        html = report.page(about, result, tracks, labels, asked.plots, diff, old)
        _write(asked.report, html)
    if as_json:
        print(json.dumps(summary(about, result, diff, old), indent=1, allow_nan=False))
        return
    for line in lines(about, result, diff, labelled=bool(labels)):
        print(line)


def lines(
    about: report.About, result: Result, diff: tuple[Change, list[Change]] | None, *, labelled: bool
) -> Iterator[str]:
    """What is printed for people."""
    yield from about.notes
    yield (
        f"{about.samples} samples of {len(result.series)} series, "
        f"{result.days:.3g} series-days outside labels"
    )
    for name, tally in (("alarms of series", result.alarms), ("incidents", result.by_incident)):
        text = f"{name}: {tally.raised}"
        if labelled:
            text += (
                f", precision {report.number(tally.precision)} ({tally.true} of {tally.raised})"
                f", recall {report.number(tally.recall)} ({tally.found} of {tally.labels} labels)"
                f", delay {report.seconds(tally.delay_s)} (90 %: {report.seconds(tally.delay_p90_s)})"
            )
        yield text
    yield (
        f"false alarms a series-day: promised {report.number(result.promised)}, "
        f"over the threshold {report.number(result.exceeded)}, "
        f"alarms after de-bouncing {report.number(result.found)}"
    )
    if diff is not None:
        total, changes = diff
        of = f"{len(changes)} of {len(result.series)} series differ"
        yield f"against {about.against}: {_words(total)}; {of}"
        for change in changes[:20]:
            yield f"  {report.where(change.place)} {change.name}: {_words(change)}"
        if len(changes) > 20:
            yield f"  and {len(changes) - 20} more series"


def summary(
    about: report.About, result: Result, diff: tuple[Change, list[Change]] | None, old: Result | None
) -> dict[str, Any]:
    """The same for programs; null where nothing can be said. Times in Unix seconds."""
    made = {
        "data": about.data,
        "config": about.config,
        "samples": about.samples,
        "notes": list(about.notes),
        **_result(result),
        "by_series": [
            {
                "series": each.name,
                "place": each.place._asdict(),
                "samples": each.samples,
                "threshold": each.threshold,
                "promised_per_day": each.promised,
                "over_threshold": each.exceeded,
                "days": each.days,
                "labels": list(each.labels),
                "alarms": [_alarm(alarm) for alarm in each.alarms],
            }
            for each in result.series
        ],
        "by_incident": [
            {"id": each.id, "title": each.title, "place": each.place._asdict(), **_alarm(each.alarm)}
            for each in result.incidents
        ],
    }
    if diff is not None and old is not None:
        total, changes = diff
        differing = [change._asdict() | {"place": change.place._asdict()} for change in changes]
        counts = {key: value for key, value in total._asdict().items() if key not in {"name", "place"}}
        made["against"] = {
            "config": about.against,
            **_result(old),
            "alarms_changed": counts,
            "by_series": differing,
        }
    cleaned: dict[str, Any] = _finite(made)
    return cleaned


def _result(result: Result) -> dict[str, Any]:
    return {
        "alarms": result.alarms._asdict(),
        "incidents": result.by_incident._asdict(),
        "series_days": result.days,
        "false_alarms_per_series_day": {
            "promised": result.promised,
            "over_threshold": result.exceeded,
            "found": result.found,
        },
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "onset_s": alarm.onset_ns / SECOND,
        "raised_s": alarm.raised_ns / SECOND,
        "last_s": alarm.last_ns / SECOND,
        "score": alarm.score,
        "found_labels": list(alarm.labels),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _words(change: Change) -> str:
    return (
        f"{change.gained} alarms gained ({change.gained_true} true), "
        f"{change.lost} lost ({change.lost_true} true), "
        f"{change.earlier} earlier, {change.later} later, {change.same} the same"
    )


def _is_url(data: str) -> bool:
    return data.startswith(("http://", "https://"))


def _name(data: str) -> str:
    return plain(data) if _is_url(data) else data


def _history(asked: Asked, bar: Progress) -> History:
    parts: Iterator[History]
    if _is_url(asked.data):
        wanted = _range(asked)
        total = len(asks(wanted))
        parts = fetch(asked.data, wanted, bearer(asked.token_file) if asked.token_file else "")
    else:
        root = Path(asked.data)
        paths = files(root)
        total = len(paths)
        parts = read_files(paths, root)
    task = bar.add_task("reading", total=total)
    histories = []
    for part in parts:
        histories.append(part)
        bar.advance(task)
    try:
        return joined(histories)
    except RecordingError as error:
        raise RecordingError(f"{_name(asked.data)}: {error}") from error


def _range(asked: Asked) -> Range:
    if not asked.query:
        raise RecordingError("--query: expected at least one selector for a Prometheus")
    now = time.time()
    found = {}
    for option, read in (
        ("start", lambda text: moment(text, now)), ("end", lambda text: moment(text, now)), ("step", seconds),
    ):  # fmt: skip
        try:
            found[option] = read(getattr(asked, option))
        except TimeError as error:
            raise RecordingError(f"--{option}: {error}") from error
    start, end, step = (round(found[option] * 1000) for option in ("start", "end", "step"))
    return Range(queries=asked.query, start_ms=start, end_ms=end, step_ms=max(step, 1))


def _check(labels: Sequence[Label], history: History, path: Path) -> None:
    """Labels of which none can be found are a mistake in the file, not a recall of 0."""
    times = history.recording.time_ns
    within = [label for label in labels if label.end_ns >= times[0] and label.start_ns <= times[-1]]
    selectors = {label.selector.text: label.selector for label in within}
    identities = history.recording.identities
    if labels and not any(s.fits(identity) for s in selectors.values() for identity in identities):
        what = (
            "in the time of the data" if not within else f"of a series in it: {labels[0].selector.text!r} …"
        )
        raise RecordingError(f"{path}: none of {len(labels)} labels is {what}")


def _go(
    history: History, labels: Sequence[Label], config: Config, name: str, bar: Progress
) -> tuple[Result, list[Track], list[str]]:
    """One configuration over the history: what it said, sample by sample, and judged; what was left out."""
    core = build(config)
    pipeline = core.pipeline
    pipeline.observer = observer = Observer(pipeline.table)
    seen: dict[str, Seen] = {}
    refused = 0
    task = bar.add_task(name, total=len(history.recording.series))
    for now_ns, points in steps(history.recording, pipeline.table, int(config.engine.tick_s * SECOND)):
        outputs = pipeline.step(points, now_ns)
        refused += sum(points.rejected.values())
        for incident in outputs.incidents:
            seen[incident.id] = _seen(incident, seen.get(incident.id))
        bar.advance(task, len(points.series) + sum(points.rejected.values()))
    dropped = {key[1]: n for key, n in core.counts.items() if key[0] == "edgeobs_points_dropped_total"}
    dropped |= {"over the limit of series": refused} if refused else {}
    dropped |= {"late": observer.late} if observer.late else {}
    left = (
        [f"{name}: left out: " + ", ".join(f"{n} {why}" for why, n in sorted(dropped.items()))]
        if dropped
        else []
    )
    tracks = observer.tracks()
    return judge(tracks, labels, list(seen.values()), config.incidents), tracks, left


def _seen(incident: Incident, before: Seen | None) -> Seen:
    """An incident's last words, with the moment it was first told of."""
    last = incident.updated_ns
    if before is not None:
        alarm = before.alarm._replace(last_ns=last, score=max(before.alarm.score, incident.score))
        return before._replace(alarm=alarm, title=incident.title)
    onset = min((each.onset_ns for each in incident.evidence if each.onset_ns), default=incident.opened_ns)
    alarm = Alarm(min(onset, incident.opened_ns), incident.opened_ns, last, incident.score)
    return Seen(incident.id, incident.place, incident.title, alarm)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
