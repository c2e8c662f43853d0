"""Evidence plots: the expected range, and how a plot stays small."""

from edgeobs.signals import Point

BAND = 3.0
"""Half the width of the expected range, in standard deviations."""


def band(expected: float, spread: float) -> tuple[float, float]:
    """The expected range, low and high; NaN while either is unknown."""
    return expected - BAND * spread, expected + BAND * spread


def thinned(points: list[Point]) -> list[Point]:
    """Half the points: of every two neighbours the more surprising one."""
    pairs = zip(points[::2], points[1::2], strict=False)
    odd = points[len(points) & ~1 :]
    return [a if a.score >= b.score else b for a, b in pairs] + odd


def fitted(points: list[Point], limit: int) -> list[Point]:
    """At most ``limit`` ≥ 1 points, halved as often as needed."""
    while len(points) > max(limit, 1):
        points = thinned(points)
    return points
