"""What would be done about an incident, whether it may be, and what came of it."""

from edgeobs.remediate.cluster import MemoryCluster
from edgeobs.remediate.conduct import dry, outcome
from edgeobs.remediate.fleet import ClusterView, FleetView, NodeView, ZoneView, fleet_view
from edgeobs.remediate.guard import Guard
from edgeobs.remediate.ledger import Ledger
from edgeobs.remediate.operation import Operation, Switches
from edgeobs.remediate.policies import POLICIES, Policy
from edgeobs.remediate.proposing import propose
from edgeobs.remediate.remediation import Remediation
from edgeobs.remediate.settings import Settings

__all__ = [
    "POLICIES",
    "ClusterView",
    "FleetView",
    "Guard",
    "Ledger",
    "MemoryCluster",
    "NodeView",
    "Operation",
    "Policy",
    "Remediation",
    "Settings",
    "Switches",
    "ZoneView",
    "dry",
    "fleet_view",
    "outcome",
    "propose",
]
