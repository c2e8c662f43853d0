"""The page, the read-only API behind it, health and the exposition of edgeobs' own metrics."""

from edgeobs.web.reader import Node, Published, Reader, State, Status, Zone, node_state, zone_state
from edgeobs.web.settings import Settings

__all__ = [
    "Node",
    "Published",
    "Reader",
    "Settings",
    "State",
    "Status",
    "Zone",
    "node_state",
    "zone_state",
]
