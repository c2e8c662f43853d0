"""A zone that went dark: what one would like to do at once, and what the guard is there to hold."""

from edgeobs.remediate.policies.base import action, still_absent
from edgeobs.signals import Action, Incident


def zone_dark(incident: Incident, now_ns: int) -> list[Action]:
    """Fail over from the zone: one proposal for it all, none for each of its nodes."""
    if incident.scope != "zone":
        return []
    for each in incident.evidence:
        if still_absent(each, "zone", now_ns):
            patch = (("/metadata/annotations/edgeobs.io~1failover-from", incident.place.zone),)
            reason = f"zone {incident.place.zone} has gone dark: {each.text}"
            return [action("zone_dark", "failover", incident, patch, reason)]
    return []
