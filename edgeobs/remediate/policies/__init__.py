"""Every policy by name: incident and time → what one would do about it."""

from edgeobs.remediate.policies.base import Policy
from edgeobs.remediate.policies.disk_failing import disk_failing
from edgeobs.remediate.policies.node_silent import node_silent
from edgeobs.remediate.policies.resource_pressure import resource_pressure
from edgeobs.remediate.policies.zone_dark import zone_dark

__all__ = ["POLICIES", "Policy"]

POLICIES: dict[str, Policy] = {
    "disk_failing": disk_failing,
    "node_silent": node_silent,
    "resource_pressure": resource_pressure,
    "zone_dark": zone_dark,
}
