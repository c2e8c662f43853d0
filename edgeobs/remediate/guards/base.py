"""What a rule sees and says."""

from collections.abc import Callable
from typing import NamedTuple

from edgeobs.remediate.fleet import FleetView, NodeView
from edgeobs.remediate.ledger import Ledger
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Action, Verdict


class Scene(NamedTuple):
    """Everything a rule may look at."""

    action: Action
    targets: list[NodeView]  # the nodes it is about
    fleet: FleetView
    ledger: Ledger
    settings: Settings
    policies: frozenset[str]
    now_ns: int

    @property
    def zone(self) -> str:
        """The zone it is about, as the cluster names it where it does."""
        labelled = {node.zone for node in self.targets if node.zone}
        return labelled.pop() if len(labelled) == 1 else self.action.target.zone


Said = tuple[Verdict, str]

Rule = Callable[[Scene], Said]
"""Pure: allowed, held (may change by itself) or denied, and why."""

FINE: Verdict = "allowed"


def names(nodes: list[NodeView]) -> str:
    """``edge-01``, or ``edge-01 and 4 more``."""
    first = min(node.name for node in nodes)
    return f"{first} and {len(nodes) - 1} more" if len(nodes) > 1 else first
