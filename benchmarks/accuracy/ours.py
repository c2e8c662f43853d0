"""Scores of the detectors that edgeobs ships: the one place where the benchmark knows them.

All entities of a set go through one detector in order of time, as they would in a core.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.data import Node, Series
from edgeobs.detect import DETECTORS, Settings
from edgeobs.detect.node import NodeBank
from edgeobs.signals import Floats, Int32s, Int64s

DETECTOR = "series"
SAMPLES_A_CALL = 1 << 18


def score_series(series: Sequence[Series]) -> list[Floats]:
    """−log₁₀ of the tail probability of every sample; 0 for one that is missing."""
    bank = DETECTORS[DETECTOR](Settings())
    length = [len(s.time_ns) for s in series]
    number = np.repeat(np.arange(len(series), dtype=np.int32), length)
    time_ns = np.concatenate([s.time_ns for s in series])
    value = np.concatenate([s.value for s in series])
    score = np.empty(len(value))
    for rows in _calls(time_ns):
        score[rows] = bank.score_learn(number[rows], time_ns[rows], value[rows]).score
    return np.split(score, np.cumsum(length)[:-1])


def score_nodes(nodes: Sequence[Node]) -> list[tuple[Floats, Floats]]:
    """Of every tick of every node its score [n], and what each metric has to do with it [n, D]."""
    metrics = [n.values.shape[1] for n in nodes]
    home = np.repeat(np.arange(len(nodes), dtype=np.int32), metrics)
    begin = np.cumsum([0, *metrics])
    bank = NodeBank(lambda: home)
    own = [np.arange(b, b + d, dtype=np.int32) for b, d in zip(begin, metrics, strict=False)]
    number = np.concatenate([np.tile(ids, len(n.time_ns)) for ids, n in zip(own, nodes, strict=True)])
    time_ns = np.concatenate([np.repeat(n.time_ns, d) for n, d in zip(nodes, metrics, strict=True)])
    value = np.concatenate([n.values.ravel() for n in nodes])
    found = [(np.zeros(len(n.time_ns)), np.zeros(n.values.shape)) for n in nodes]
    for rows in _calls(time_ns):
        _collect(bank, nodes, begin, found, number[rows], time_ns[rows], value[rows])
    # A tick in which somebody is silent closes with the next: one that is nobody's closes the last.
    end = np.full(len(home), time_ns.max() + 1)
    _collect(bank, nodes, begin, found, np.arange(len(home), dtype=np.int32), end, np.zeros(len(home)))
    return found


def _collect(
    bank: NodeBank, nodes: Sequence[Node], begin: Int64s, found: list[tuple[Floats, Floats]],
    number: Int32s, time_ns: Int64s, value: Floats,
) -> None:  # fmt: skip
    """Feed one call, and put what comes out at its rows."""
    scores = bank.score_learn(number, time_ns, value)
    rows = np.diff(scores.first)
    for each in np.unique(scores.node).tolist():
        mine = (scores.node == each) & (scores.time_ns <= nodes[each].time_ns[-1])
        at = np.searchsorted(nodes[each].time_ns, scores.time_ns[mine])
        score, share = found[each]
        score[at] = scores.score[mine]
        inside = np.repeat(mine, rows)
        share[np.repeat(at, rows[mine]), scores.series[inside] - begin[each]] = scores.share[inside]


def _calls(time_ns: Int64s) -> list[Int64s]:
    """Rows in order of time, a call each."""
    order = np.argsort(time_ns, kind="stable")
    return [order[i : i + SAMPLES_A_CALL] for i in range(0, len(order), SAMPLES_A_CALL)]
