"""What nodes' agents told late, as the inbox gives it and the page shows it."""

from typing import Literal, NamedTuple

from edgeobs.signals import Incident, Labels

Ended = Literal["resolved", "unknown"]
"""Of a late incident: its end was told, or nobody knows whether it still holds."""


class Late(NamedTuple):
    """An incident that an agent raised while it was cut off, as it last told it. Nothing acts on it."""

    node: str  # whose agent
    incident: Incident
    delivered_ns: int  # first


class Peak(NamedTuple):
    """What a summary says of a series that was surprising."""

    name: str
    labels: Labels
    unit: str
    since_ns: int  # of the first sample
    until_ns: int  # and of the last
    samples: int
    mean: float
    largest: float
    score: float  # of the most surprising sample, decades
