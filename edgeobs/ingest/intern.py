"""Who may become a series."""

from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Labels, Principal

FORBIDDEN = -2
LIMIT = -3
INVALID = -4

REASONS = {FORBIDDEN: "forbidden", LIMIT: "limit", INVALID: "invalid"}
"""A refusal → the key of `Points.rejected`."""


class Interner:
    """Identity → series id, within the caps.

    Parameters
    ----------
    table
        Holds the cap on all series.
    max_identity_bytes
        Characters of name, unit, labels and resource attributes together; more is invalid.

    """

    def __init__(self, table: SeriesTable, max_identity_bytes: int = 16_384) -> None:
        self.table = table
        self.max_identity_bytes = max_identity_bytes

    def admit(self, principal: Principal, identity: Identity, now_ns: int) -> int:
        """A series id (≥ 0), or FORBIDDEN (not its node), LIMIT (over a cap), INVALID (nameless or too long).

        A sender that is held to certain nodes must name one: a series without a node is forbidden to it.
        """
        nodes = principal.nodes
        if nodes is not None and identity.source.resource.node not in nodes:
            return FORBIDDEN
        known = self.table.find(identity)
        if known is not None:
            return known
        if not identity.name or _length(identity) > self.max_identity_bytes:
            return INVALID
        if self.table.owned[principal.id] >= principal.max_series:
            return LIMIT
        number = self.table.intern(identity, principal.id, now_ns)
        return LIMIT if number is None else number


def _length(identity: Identity) -> int:
    return (
        len(identity.name)
        + len(identity.unit)
        + _pairs_length(identity.labels)
        + _pairs_length(identity.source.attributes)
    )


def _pairs_length(pairs: Labels) -> int:
    return sum(len(k) + len(v) for k, v in pairs)
