"""Names in the settings that nothing in the cluster has: most likely misspelt. Pure."""

from edgeobs.remediate.fleet import FleetView
from edgeobs.remediate.settings import Settings

_NAMED = 5  # in one line


def unmatched(settings: Settings, fleet: FleetView) -> list[str]:
    """A line for each; none while no node is known."""
    nodes = [node for node in fleet.nodes.values() if node.listed]
    if not nodes:
        return []
    found = []
    if not any(node.opted_in for node in nodes):
        found.append(f"no node has opted in: none has the label or annotation {settings.opt_in}=enabled")
    without = sorted(node.name for node in nodes if not node.zone)
    if without:
        more = f" and {len(without) - _NAMED} more" if len(without) > _NAMED else ""
        found.append(
            f"{len(without)} of {len(nodes)} nodes have no label {settings.zone_label} and are left alone: "
            f"{', '.join(without[:_NAMED])}{more}"
        )
    zones = {node.zone for node in nodes} | {node.telemetry_zone for node in nodes}
    found += [
        f"remediate.windows[{number}].zones: no node is of zone {zone!r}"
        for number, window in enumerate(settings.windows)
        for zone in window.zones
        if zone not in zones
    ]
    return found
