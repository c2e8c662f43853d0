"""A back-test as one HTML page that needs nothing else: no script, no font, no address. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from math import isfinite
from typing import NamedTuple

from edgeobs.backtest.compare import Change
from edgeobs.backtest.judge import Alarm, Result, SeriesResult, Tally
from edgeobs.backtest.labels import Label
from edgeobs.backtest.plot import plot, window
from edgeobs.backtest.track import Track
from edgeobs.signals import SECOND, Resource

ROWS = 200  # of a table
TEXT = 160  # characters of a name
AROUND = 200  # samples on either side of what a close-up shows
_STYLE = """
:root{color-scheme:light dark;--bg:light-dark(#f3f5f7,#0d1216);--card:light-dark(#fff,#141a20);
--line:light-dark(#dbe1e7,#28323b);--ink:light-dark(#15202a,#e4eaef);--muted:light-dark(#52606c,#9dabb7);
--series:light-dark(#0a5f7e,#6ccbee);--band:light-dark(#0a648226,#62c6ea2b);
--label:light-dark(#e8b93159,#e4b64a3d);
--true:light-dark(#2c7a4b,#5bbd83);--false:light-dark(#b0330b,#ff9064);
font:14px/1.45 system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
font-variant-numeric:tabular-nums}
*{box-sizing:border-box}body{margin:0 auto;padding:20px;max-width:1060px;background:var(--bg);
color:var(--ink)}
h1{font-size:20px;margin:0 0 4px}h2{font-size:16px;margin:28px 0 8px}h3{font-size:14px;margin:0 0 2px;
overflow-wrap:anywhere}
p{margin:2px 0 8px}.faint,text{color:var(--muted);fill:var(--muted)}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px;
margin:0 0 12px;overflow-x:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.tile b{display:block;font-size:20px;font-weight:650}.tile span{color:var(--muted);font-size:12.5px}
table{border-collapse:collapse;width:100%}th,td{padding:4px 10px 4px 0;text-align:right;
border-bottom:1px solid var(--line)}
th{color:var(--muted);font-weight:600}th:first-child,td:first-child,.left{text-align:left;
overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;min-width:560px}svg text{font-size:11px}
.value{fill:none;stroke:var(--series);stroke-width:1.3;stroke-linejoin:round}.band{fill:var(--band)}
.grid{fill:none;stroke:var(--line)}.label{fill:var(--label)}
.threshold{fill:none;stroke:var(--muted);stroke-dasharray:4 3}.score{fill:none;stroke:var(--muted);
stroke-width:2}
.score.over{stroke:var(--false)}.alarm path{fill:none;stroke:var(--false);stroke-width:1.2}
.alarm .mark{fill:var(--false)}
.alarm.true path{stroke:var(--true)}.alarm.true .mark{fill:var(--true)}
.alarm.false path:first-child{stroke-dasharray:2 2}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--muted)}.key i{display:inline-block;width:14px;
height:10px;margin-right:6px}
"""
_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<title>Back-test</title>"
)
_KEY = "".join(
    f'<span><i style="background:var(--{colour})"></i>{text}</span>'
    for colour, text in (
        ("series", "value"), ("band", "expected range"), ("label", "labelled abnormal"),
        ("true", "alarm, solid: within a label"), ("false", "alarm, dashed: in none"),
    )
)  # fmt: skip


class About(NamedTuple):
    """What was gone over, for the heading."""

    data: str
    config: str
    against: str  # empty: nothing
    samples: int
    notes: Sequence[str]


def page(
    about: About,
    result: Result,
    tracks: Sequence[Track],
    labels: Sequence[Label],
    plots: int,
    diff: tuple[Change, list[Change]] | None = None,
    old: Result | None = None,
) -> str:
    """The whole page. ``plots`` bounds the series that are drawn; tables have at most `ROWS` rows."""
    by_key = {(t.identity.source.resource.place(), t.identity.text()): t for t in tracks}
    parts = [
        f"{_HEAD}<style>{_STYLE}</style></head><body><main>",
        _heading(about, result),
        _tiles(result, bool(labels)),
        _scores(result, old),
        _differences(diff, about) if diff else "",
        _plots(ranked(result)[:plots], by_key, labels, len(result.series)),
        _incidents(result, bool(labels)),
        _table(ranked(result)),
        "</main></body></html>\n",
    ]
    return "".join(parts)


def ranked(result: Result) -> list[SeriesResult]:
    """Series by interest: those with labels that were missed, false alarms, labels that were found."""

    def interest(each: SeriesResult) -> tuple[int, int, int, float]:
        found = {n for alarm in each.alarms for n in alarm.labels}
        missed = (
            len(set(each.labels) - found) if not result.alarms.labels else len(set(each.labels) - all_found)
        )
        false = sum(not alarm.labels for alarm in each.alarms)
        peak = max((alarm.score for alarm in each.alarms), default=0.0)
        return (-missed, -false, -len(found), -peak)

    all_found = {n for each in result.series for alarm in each.alarms for n in alarm.labels}
    return sorted(result.series, key=interest)


def number(value: float, unit: str = "") -> str:
    """For people; a dash where nothing can be said."""
    return f"{value:.3g}{unit}" if isfinite(value) else "–"


def seconds(value: float) -> str:
    """A duration for people."""
    if not isfinite(value):
        return "–"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if value >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s"


def where(place: Resource) -> str:
    """A place in few words."""
    return "/".join(part for part in place[:3] if part)


def _e(text: str) -> str:
    cut = text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"
    return escape(cut)


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _heading(about: About, result: Result) -> str:
    against = f", against {_e(about.against)}" if about.against else ""
    notes = "".join(f'<p class="faint">{_e(note)}</p>' for note in list(about.notes)[:20])
    return (
        f"<h1>Back-test</h1><p>{_e(about.data)}, configuration {_e(about.config)}{against}</p>"
        f'<p class="faint">{about.samples} samples of {len(result.series)} series; times are UTC</p>{notes}'
    )


def _tiles(result: Result, labelled: bool) -> str:
    alarms = result.alarms
    tiles = [
        (number(result.promised), "false alarms a series-day, promised"),
        (number(result.exceeded), "times over the threshold a series-day, found"),
        (number(result.found), "false alarms a series-day, after de-bouncing"),
    ]
    if labelled:
        tiles = [
            (number(alarms.precision), f"precision: {alarms.true} of {alarms.raised} alarms"),
            (number(alarms.recall), f"recall: {alarms.found} of {alarms.labels} labels"),
            (seconds(alarms.delay_s), "detection delay, median"),
            *tiles,
        ]
    inside = "".join(
        f'<div class="tile"><b>{_e(big)}</b><span>{_e(small)}</span></div>' for big, small in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _scores(result: Result, old: Result | None) -> str:
    def row(name: str, tally: Tally) -> list[str]:
        return [
            name, str(tally.raised), str(tally.true), f"{tally.found} / {tally.labels}",
            number(tally.precision), number(tally.recall), seconds(tally.delay_s), seconds(tally.delay_p90_s),
        ]  # fmt: skip

    rows = [row("alarms of series", result.alarms), row("incidents", result.by_incident)]
    if old is not None:
        rows += [row("alarms, against", old.alarms), row("incidents, against", old.by_incident)]
    head = ["", "raised", "true", "labels found", "precision", "recall", "delay, median", "delay, 90 %"]
    return f'<div class="card">{_grid(head, rows)}</div>'


def _differences(diff: tuple[Change, list[Change]], about: About) -> str:
    total, changes = diff

    def row(name: str, c: Change) -> list[str]:
        return [
            name, f"{c.gained} ({c.gained_true} true)", f"{c.lost} ({c.lost_true} true)", str(c.earlier),
            str(c.later), str(c.same),
        ]  # fmt: skip

    rows = [row("all", total), *(row(f"{where(c.place)} {c.name}", c) for c in changes[:ROWS])]
    head = ["alarms of", "gained", "lost", "earlier", "later", "the same"]
    return f"<h2>Against {_e(about.against)}</h2><div class=card>{_grid(head, rows)}{_more(changes)}</div>"


def _incidents(result: Result, labelled: bool) -> str:
    if not result.incidents:
        return "<h2>Incidents</h2><p>None.</p>"
    rows = [
        [_when(each.alarm.raised_ns), each.title, ("yes" if each.alarm.labels else "no") if labelled else "–"]
        for each in result.incidents[:ROWS]
    ]
    table = _grid(["opened", "incident", "in a label"], rows, left=2)
    return f"<h2>Incidents</h2><div class=card>{table}{_more(result.incidents)}</div>"


def _plots(
    chosen: Sequence[SeriesResult],
    by_key: dict[tuple[Resource, str], Track],
    labels: Sequence[Label],
    of: int,
) -> str:
    cards = "".join(_card(each, by_key[each.place, each.name], labels) for each in chosen)
    return f'<h2>Series, the {len(chosen)} most telling of {of}</h2><p class="key">{_KEY}</p>{cards}'


def _card(each: SeriesResult, track: Track, labels: Sequence[Label]) -> str:
    spans = [(labels[n].start_ns, labels[n].end_ns) for n in each.labels]
    false = sum(not alarm.labels for alarm in each.alarms)
    found = {n for alarm in each.alarms for n in alarm.labels}
    words = f"{len(found)} of {len(each.labels)} labels found here, {len(each.alarms)} alarms, {false} false"
    pictures = plot(track, spans, each.alarms, each.threshold, f"{each.name}: {words}")
    close, what = _close_up(each, track, labels, found)
    if close is not None:
        picture = plot(close, spans, each.alarms, each.threshold, f"{each.name}, close up: {what}")
        pictures += f'<p class="faint">close up: {what}</p>{picture}'
    return (
        f"<section class=card><h3>{_e(each.name)}</h3>"
        f'<p class="faint">{_e(where(each.place))} · {words}</p>{pictures}</section>'
    )


def _close_up(
    each: SeriesResult, track: Track, labels: Sequence[Label], found: set[int]
) -> tuple[Track | None, str]:
    """The part that explains most, of a series that is much longer: missed, else false, else found."""
    if len(track.time_ns) <= 3 * AROUND:
        return None, ""
    at, what = _telling(each, labels, found)
    if at < 0:
        return None, ""
    order = track.time_ns.argsort(kind="stable")
    row = int(track.time_ns[order].searchsorted(at))
    first, last = order[max(row - AROUND, 0)], order[min(row + AROUND, len(order) - 1)]
    return window(track, int(track.time_ns[first]), int(track.time_ns[last])), what


def _telling(each: SeriesResult, labels: Sequence[Label], found: set[int]) -> tuple[int, str]:
    missed = [n for n in each.labels if n not in found]
    if missed:
        return labels[missed[0]].start_ns, "the first label that was missed here"

    def strongest(alarms: list[Alarm]) -> int:
        return max(alarms, key=lambda alarm: alarm.score).raised_ns

    false = [alarm for alarm in each.alarms if not alarm.labels]
    if false:
        return strongest(false), "the strongest false alarm"
    return (strongest(list(each.alarms)), "the strongest alarm") if each.alarms else (-1, "")


def _table(series: Sequence[SeriesResult]) -> str:
    rows = [
        [
            f"{where(each.place)} {each.name}", str(each.samples), number(each.threshold),
            number(each.promised), number(each.exceeded / each.days if each.days else float("nan")),
            str(len(each.alarms)),
            str(sum(not alarm.labels for alarm in each.alarms)), str(len(each.labels)),
        ]
        for each in series[:ROWS]
    ]  # fmt: skip
    head = ["series", "samples", "opens at", "promised /day", "over /day", "alarms", "false", "labels"]
    return f"<h2>Every series</h2><div class=card>{_grid(head, rows)}{_more(series)}</div>"


def _more(rows: Sequence[object]) -> str:
    return f'<p class="faint">and {len(rows) - ROWS} more</p>' if len(rows) > ROWS else ""


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=left' if at < left else ''}>{_e(text)}</{tag}>" for at, text in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
