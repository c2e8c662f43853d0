"""The page, the read-only API behind it, health and the exposition of edgeobs' own metrics."""

from edgeobs.web.reader import (
    Archive,
    Call,
    Desk,
    Explained,
    Line,
    Node,
    Operation,
    Published,
    Reader,
    Refused,
    Said,
    State,
    Status,
    Step,
    Zone,
    node_state,
    zone_state,
)
from edgeobs.web.settings import Settings

__all__ = [
    "Archive",
    "Call",
    "Desk",
    "Explained",
    "Line",
    "Node",
    "Operation",
    "Published",
    "Reader",
    "Refused",
    "Said",
    "Settings",
    "State",
    "Status",
    "Step",
    "Zone",
    "node_state",
    "zone_state",
]
