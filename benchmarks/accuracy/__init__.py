"""Accuracy on labelled public data, beside floors on the same samples; see `data` for what is read.

Ours and every floor are scored prequentially with one configuration for all sets, from a cold start. Floors
are shown by the best of several smoothings each, chosen on the labels; ours is what edgeobs ships, as it is.
"""

import math
from collections.abc import Callable
from pathlib import Path

from benchmarks.accuracy import floors, ours, plots, promise
from benchmarks.accuracy.data import NoDataError, Node, Series
from benchmarks.accuracy.sets import MEASURES, SETS, Figures, Loaded, best_of
from benchmarks.measure import Measure
from edgeobs.signals import Floats

__all__ = ["SETS", "NoDataError", "run"]

QUICK = 4  # entities of a set
Best = dict[str, tuple[float, str]]  # figure → value, and by which smoothing


def run(
    quick: bool, data: Path, only: str = "", pictures: Path | None = None, show: Callable[[str], None] = print
) -> list[Measure]:
    """Measure every set below ``data``, or one; NoDataError names what is not there.

    ``show`` is given a table a set, each floor in a column of its own.
    """
    if not data.is_dir():
        raise NoDataError(f"{data}: no such directory")
    found: list[Measure] = []
    ratios: dict[str, float] = {}
    for name in [only] if only else SETS:
        for loaded in SETS[name](data):
            part = _few(loaded) if quick else loaded
            scores = _ours(part)
            if pictures is not None:
                plots.write(pictures / part.name, part.entities, scores)
            mine, others = part.figures(scores), _floors(part)
            if not part.faults:
                seen = promise.found(part.entities, scores, promise.thresholds(part.entities))
                ratios[part.name] = promise.ratio(promise.RATE, seen)
                mine |= {f"found_of_{promise.RATE}_promised": seen}
            show(_table(part, mine, others))
            found += _measures(part.name, mine, others)
    if ratios:
        worst = max(ratios, key=lambda each: ratios[each])
        found.append(Measure("promise_worst_ratio", ratios[worst], "×", f"1 is as promised; on {worst}"))
    return found


def _few(loaded: Loaded) -> Loaded:
    """Some of the entities; ranking them needs all."""
    return loaded if loaded.faults else loaded.every(-(-len(loaded.entities) // QUICK))


def _ours(loaded: Loaded) -> list[Floats]:
    series = [e for e in loaded.entities if isinstance(e, Series)]
    if series:
        return ours.score_series(series)
    return [score for score, _ in ours.score_nodes([e for e in loaded.entities if isinstance(e, Node)])]


def _floors(loaded: Loaded) -> dict[str, Best]:
    """Every floor's figures, each by its best smoothing."""
    found = {}
    for name, floor in floors.FLOORS.items():
        if name in floors.JOINT and isinstance(loaded.entities[0], Series):
            continue
        plain = floors.scores(floor, loaded.entities)
        found[name] = best_of(
            {
                smoothing: loaded.figures([floors.smoothed(score, parts) for score in plain])
                for smoothing, parts in floors.SMOOTHINGS.items()
                if smoothing == floors.PLAIN or name not in floors.BLIND
            }
        )
    return found


def _measures(name: str, mine: Figures, others: dict[str, Best]) -> list[Measure]:
    found = []
    for figure in MEASURES[name]:
        if math.isnan(mine[figure]):  # nothing to find in these files
            continue
        best = max(others, key=lambda floor, by=figure: others[floor][by][0])  # type: ignore[misc]
        value, smoothing = others[best][figure]
        ratio = mine[figure] / value if value > 0 else None
        reference = f"{best} ({smoothing}) {value:.3g}"
        unit = "of 100" if name == "nab" else "share"
        found.append(Measure(f"{name}_{figure}", mine[figure], unit, reference, ratio))
    return found


def _table(loaded: Loaded, mine: Figures, others: dict[str, Best]) -> str:
    head = [f"{loaded.name} ({len(loaded.entities)})", "ours", *others]
    rows = [head]
    for figure, value in mine.items():
        cells = [_cell(each[figure]) if figure in each else "" for each in others.values()]
        rows.append([figure, f"{value:.3g}", *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return (
        "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
        + "\n"
    )


def _cell(best: tuple[float, str]) -> str:
    value, smoothing = best
    return f"{value:.3g}" + ("" if smoothing == floors.PLAIN else f" ({smoothing})")
