"""Nodes as a whole: which samples of theirs are looked at, and what people are told of a tick."""

import numpy as np

from edgeobs.detect.node import NodeScores
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Batch, Bools, Floats, Int64s, Joint, Scores

LOOK_S = 5.0
"""Seconds between two looks at a node as a whole, at the least: it costs as much as all of its series."""
_PARTS = 5  # series named in what a node is as a whole
_TEXT = 120  # characters of a series' name


def looked_at(time_ns: Int64s, interval_s: Floats) -> Bools:
    """One sample of each series in every `LOOK_S` seconds of its own time, whatever the batches."""
    if not len(interval_s):
        return np.ones(len(time_ns), np.bool_)
    look_ns = int(LOOK_S * SECOND)
    since = (
        time_ns - time_ns // look_ns * look_ns
    )  # NumPy divides by one number faster than it finds what is left
    return (since < interval_s * SECOND) | (interval_s >= LOOK_S)


def joint(table: SeriesTable, found: NodeScores, batch: Batch, scores: Scores, row: int) -> Joint:
    """A tick with the series that have most to do with it.

    How often its node speaks is told by the samples of the batch that closed it.
    """
    mine = slice(int(found.first[row]), int(found.first[row + 1]))
    share, series = found.share[mine], found.series[mine]
    strongest = np.argsort(-share, kind="stable")[:_PARTS]
    total = float(np.maximum(share, 0.0).sum()) or 1.0
    parts = tuple(
        (table[int(series[at])].text()[:_TEXT], float(share[at]) / total) for at in strongest.tolist()
    )
    node = int(found.node[row])
    at_ns, score, raw = int(found.time_ns[row]), float(found.score[row]), float(found.raw[row])
    usual_s = _usual_s(table.node[batch.series] == node, scores)
    return Joint(table.nodes[node].resource.place(), at_ns, score, raw, usual_s, parts)


def _usual_s(mine: Bools, scores: Scores) -> float:
    of_mine = scores.interval_s[mine] if len(scores.interval_s) else scores.interval_s
    return max(LOOK_S, float(np.median(of_mine))) if len(of_mine) else LOOK_S
