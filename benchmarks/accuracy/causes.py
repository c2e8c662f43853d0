"""Which node is at fault: the rank of the one that was broken, once something was broken."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.accuracy.data import MINUTE, Fault, Node
from edgeobs.signals import Floats

WINDOW_NS = 5 * MINUTE
"""After the injection: Nezha's faults last about three minutes, and its rates trail by one or two."""
LEAST_PAST = 15
"""Samples of the broken node before the fault: a cold start that has seen fewer knows no normal yet."""


class Ranked(NamedTuple):
    """Share of faults whose node is first, and among the first three."""

    top1: float
    top3: float
    ranks: tuple[int, ...]  # of every fault that counts, in order of time; 1 is first


def ranked(
    nodes: Sequence[Node], faults: Sequence[Fault], scores: Sequence[Floats], window_ns: int = WINDOW_NS
) -> Ranked:
    """Nodes by their highest score in (injection, injection + window]; ties count against us."""
    ranks = []
    for fault in faults:
        broken = next(i for i, node in enumerate(nodes) if node.name == fault.node)
        if np.sum(nodes[broken].time_ns <= fault.time_ns) < LEAST_PAST:
            continue
        highest = np.array(
            [_highest(n, s, fault.time_ns, window_ns) for n, s in zip(nodes, scores, strict=True)]
        )
        ranks.append(int(np.sum(highest >= highest[broken])))
    place = np.array(ranks)
    return Ranked(float(np.mean(place <= 1)), float(np.mean(place <= 3)), tuple(ranks))


def _highest(node: Node, score: Floats, begin: int, window_ns: int) -> float:
    inside = (node.time_ns > begin) & (node.time_ns <= begin + window_ns)
    return float(score[inside].max(initial=-np.inf))
