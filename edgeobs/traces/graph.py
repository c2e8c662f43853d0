"""The service graph as plain data for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeobs.signals import Edge

OUTSIDE = "outside"
"""The name of whoever calls from outside, in the graph."""


def graph(edges: Sequence[Edge], scores: Mapping[int, float], threshold: float) -> dict[str, Any]:
    """Services and who calls whom, ready for JSON.

    Parameters
    ----------
    edges
        Of `Traces.edges`.
    scores
        The recent score of a series by id, in decades; those not there count as 0.
    threshold
        Score from which an edge is anomalous.

    Returns
    -------
    dict
        ``services``: ``name``, ``rate`` (calls a second that reach it), ``error_ratio``, ``anomalous`` (of
        the edges that lead to it one is); ``edges``: as `Edge`, durations in seconds or null, with ``score``
        and ``anomalous``, the most surprising first. Equal input gives equal output.

    """
    drawn = [
        _edge(edge, max((scores.get(s, 0.0) for s in edge.series), default=0.0), threshold) for edge in edges
    ]
    drawn.sort(key=lambda e: (-e["score"], e["caller"], e["callee"]))
    names = sorted({e[end] for e in drawn for end in ("caller", "callee")} - {OUTSIDE})
    return {"services": [_service(name, drawn) for name in names], "edges": drawn}


def _edge(edge: Edge, score: float, threshold: float) -> dict[str, Any]:
    return {
        "caller": edge.caller or OUTSIDE,
        "callee": edge.callee,
        "rate": edge.rate,
        "error_ratio": edge.error_ratio,
        "p50_s": _known(edge.p50_s),
        "p99_s": _known(edge.p99_s),
        "score": score,
        "anomalous": score >= threshold,
        "series": list(edge.series),
        "traces": list(edge.traces),
    }


def _service(name: str, edges: Sequence[dict[str, Any]]) -> dict[str, Any]:
    into = [e for e in edges if e["callee"] == name]
    rate = sum(e["rate"] for e in into)
    failing = sum(e["rate"] * e["error_ratio"] for e in into)
    return {
        "name": name,
        "rate": rate,
        "error_ratio": failing / rate if rate else 0.0,
        "anomalous": any(e["anomalous"] for e in into),
    }


def _known(seconds: float) -> float | None:
    return None if seconds != seconds else seconds  # noqa: PLR0124 - NaN is no JSON
