"""A small site: three nodes in two zones, a shop of services, and who calls whom."""

import pytest

from edgeobs.causes import Clue, Member
from edgeobs.signals import SECOND, Edge, Resource

HOMES = {
    "front-1": ("edge-1", "a"), "cart-1": ("edge-1", "a"), "stock-1": ("edge-1", "a"),
    "front-2": ("edge-2", "a"), "pay-1": ("edge-2", "a"), "ship-1": ("edge-2", "a"),
    "cart-2": ("edge-3", "b"), "mail-1": ("edge-3", "b"), "lone-1": ("edge-3", "b"),
}  # fmt: skip
CALLS = [
    ("", "front"), ("front", "cart"), ("front", "pay"), ("cart", "stock"), ("pay", "ship"), ("ship", "mail"),
    ("mail", "stock"),
]  # fmt: skip


def pod(name: str) -> Resource:
    """Where a pod of the site is."""
    node, zone = HOMES[name]
    return Resource("c", zone, node, "shop", name.rsplit("-", 1)[0], name)


ALL_MEMBERS = [Member(pod(name), name.rsplit("-", 1)[0]) for name in HOMES]


@pytest.fixture
def members() -> list[Member]:
    """All nine pods."""
    return list(ALL_MEMBERS)


@pytest.fixture
def edges() -> list[Edge]:
    """Who calls whom; nobody calls lone."""
    return [Edge(caller, callee, 1.0, 0.0, 0.01, 0.1, ()) for caller, callee in CALLS]


def clue(name: str, decades: float, signal: str = "metric", after_s: float = 0, callee: str = "") -> Clue:
    """Something surprising of a pod, or of a node by its own name."""
    place = pod(name) if name in HOMES else Resource("c", "b" if name == "edge-3" else "a", name)
    onset = int((1000 + after_s) * SECOND)
    return Clue(place, signal, f"{name} is odd", onset, decades, callee)  # type: ignore[arg-type]
