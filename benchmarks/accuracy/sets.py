"""The sets, what is measured on each, and the figures that the project holds itself to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy import data as read
from benchmarks.accuracy import nab
from benchmarks.accuracy.alarms import HOLD_NS, RATES, operating_points
from benchmarks.accuracy.causes import ranked
from benchmarks.accuracy.data import Fault, Node, Series
from benchmarks.accuracy.ranking import auc_pr, period, vus_pr
from edgeobs.signals import Floats

Entities = Sequence[Series | Node]
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A set, or the half of one that is measured apart."""

    name: str
    entities: Entities
    faults: Sequence[Fault] = ()
    windows: Sequence[int] = ()  # of the volume under the surface, each entity's

    @staticmethod
    def of(name: str, entities: Entities) -> "Loaded":
        """Entities with labels."""
        return Loaded(name, entities, (), [_window(e) for e in entities])

    def every(self, step: int) -> "Loaded":
        """Some of the entities, from all over the set."""
        return Loaded(self.name, self.entities[::step], self.faults, self.windows[::step])

    def figures(self, scores: Sequence[Floats]) -> Figures:
        """All that is measured on scores of these entities, by name."""
        if self.faults:
            nodes = [e for e in self.entities if isinstance(e, Node)]
            found = ranked(nodes, self.faults, scores)
            return {"top1": found.top1, "top3": found.top3}
        series = [e for e in self.entities if isinstance(e, Series)]
        if self.name == "nab":
            return {
                "standard": nab.standard(series, scores, HOLD_NS),
                "fixed_threshold": nab.fixed_threshold(series, scores, HOLD_NS),
            }
        return _ranking(self.entities, self.windows, scores) | _operating(self.entities, scores)


SETS: dict[str, Callable[[Path], list[Loaded]]] = {
    "nab": lambda at: [Loaded("nab", read.load_nab(at))],
    "mscloud": lambda at: [Loaded.of("mscloud", read.load_mscloud(at))],
    "kpi": lambda at: [Loaded.of("kpi", read.load_kpi(at))],
    "smd": lambda at: [Loaded.of("smd", read.load_nodes(at, "smd"))],
    "asd": lambda at: [Loaded.of("asd", read.load_nodes(at, "asd"))],
    "jumpstarter": lambda at: [
        Loaded.of(half, read.load_nodes(at, half)) for half in ("jumpstarter_d2", "jumpstarter_d3")
    ],
    "nezha": lambda at: [Loaded("nezha", *read.load_nezha(at))],
}
"""What ``--set`` can name."""

MEASURES: dict[str, tuple[str, ...]] = {
    "nab": ("standard", "fixed_threshold"),
    "mscloud": ("recall_at_0.02", "recall_at_0.1"),
    "kpi": ("recall_at_0.02", "recall_at_0.1"),
    "smd": ("vus_pr", "recall_at_0.1"),
    "asd": ("vus_pr",),
    "jumpstarter_d2": ("vus_pr",),
    "jumpstarter_d3": ("vus_pr", "recall_at_0.1"),
    "nezha": ("top1", "top3"),
}
"""Reported as ``<set>_<figure>``; the other figures are only shown."""


def best_of(variants: Mapping[str, Figures]) -> dict[str, tuple[float, str]]:
    """Each figure of the variant that has the best of it, and which that is.

    Precision, delay and threshold go with the recall at the same rate.
    """
    best: dict[str, tuple[float, str]] = {}
    for figure in next(iter(variants.values())):
        leading = figure
        if "_at_" in figure:
            leading = f"recall_at_{figure.rpartition('_at_')[2]}"
        by = {name: np.nan_to_num(figures[leading], nan=-np.inf) for name, figures in variants.items()}
        which = max(by, key=by.__getitem__)
        best[figure] = variants[which][figure], which
    return best


def _ranking(entities: Entities, windows: Sequence[int], scores: Sequence[Floats]) -> Figures:
    """Means over the entities that have events; samples that are missing are left out."""
    vus, auc = [], []
    for entity, window, score in zip(entities, windows, scores, strict=True):
        there = np.isfinite(_first(entity))
        label = entity.label[there]
        if label.any():
            vus.append(vus_pr(label, score[there], window))
            auc.append(auc_pr(label, score[there]))
    if not vus:
        return {"vus_pr": float("nan"), "auc_pr": float("nan")}
    return {"vus_pr": float(np.mean(vus)), "auc_pr": float(np.mean(auc))}


def _window(entity: Series | Node) -> int:
    first = _first(entity)
    return period(first[np.isfinite(first)])


def _first(entity: Series | Node) -> Floats:
    return entity.values[:, 0] if isinstance(entity, Node) else entity.value


def _operating(entities: Entities, scores: Sequence[Floats]) -> Figures:
    points = operating_points(entities, scores)
    named: dict[str, Callable[[int], float]] = {
        "recall": lambda i: points[i].recall,
        "precision": lambda i: points[i].precision,
        "delay_s": lambda i: points[i].delay_s,
        "threshold": lambda i: points[i].threshold,
    }
    return {f"{name}_at_{rate}": get(i) for name, get in named.items() for i, rate in enumerate(RATES)}
