"""How much at once, how often. A budget that is not set denies; one that is used up holds."""

from edgeobs.remediate.fleet import NodeView
from edgeobs.remediate.guards.base import FINE, Said, Scene
from edgeobs.remediate.ledger import HOUR_NS
from edgeobs.signals import SECOND


def zone_budget(scene: Scene) -> Said:
    """So many nodes of a zone in flight, this one included."""
    most = scene.settings.nodes_per_zone
    if most is None:
        return "denied", "no budget of nodes per zone is set"
    zone = [n for n in scene.fleet.nodes.values() if n.cluster == scene.action.target.cluster]
    zones = {node.zone for node in scene.targets} | {scene.action.target.zone}
    busy = _busy(scene, [n for n in zone if (n.zone or n.telemetry_zone) in zones], zones)
    return _fits(busy, scene, most, f"zone {scene.zone}")


def cluster_budget(scene: Scene) -> Said:
    """A share of the cluster's nodes in flight: rounded down, but one where the share is above 0."""
    share = scene.settings.cluster_share
    if share is None:
        return "denied", "no share of the cluster is set"
    nodes = [n for n in scene.fleet.nodes.values() if n.cluster == scene.action.target.cluster and n.listed]
    most = max(int(share * len(nodes)), share > 0)
    return _fits(_busy(scene, nodes), scene, most, f"the cluster ({share:.0%} of {len(nodes)} nodes)")


def hourly_rate(scene: Scene) -> Said:
    """So many actions in any hour."""
    most = scene.settings.per_hour
    if most is None:
        return "denied", "no rate per hour is set"
    lately = [d for d in scene.ledger.past if d.decided_ns > scene.now_ns - HOUR_NS]
    if len(lately) + 1 > most:
        return "held", f"{len(lately)} actions in the last hour, the budget is {most}"
    return FINE, f"{len(lately)} of {most} actions in the last hour"


def cooldown(scene: Scene) -> Said:
    """A node that another incident had acted upon is left to settle."""
    least = scene.settings.cooldown_s
    if least is None:
        return "denied", "no cool-down is set"
    since = scene.now_ns - int(least * SECOND)
    names = {node.name for node in scene.targets}
    for past in scene.ledger.past:
        target = past.action.target
        same = target.cluster == scene.action.target.cluster and target.node in names
        if same and past.decided_ns > since and past.action.incident != scene.action.incident:
            ago = (scene.now_ns - past.decided_ns) // SECOND
            return "held", f"{past.action.verb} of {target.node} {ago} s ago: it cools down for {least:g} s"
    return FINE, "no action on it lately"


def _busy(scene: Scene, nodes: list[NodeView], zones: set[str] | None = None) -> set[str]:
    """The nodes among these that are cordoned by anybody, or in flight by our ledger, listed still or not."""
    busy = {node.name for node in nodes if node.cordoned}
    known = {node.name for node in nodes}
    for target in scene.ledger.in_flight():
        if target.cluster != scene.action.target.cluster:
            continue
        if not target.node:
            busy |= {n.name for n in nodes if (n.zone or n.telemetry_zone) == target.zone}
        elif zones is None or target.node in known or target.zone in zones:
            busy.add(target.node)
    return busy


def _fits(busy: set[str], scene: Scene, most: int, where: str) -> Said:
    after = busy | {node.name for node in scene.targets}
    if len(after) <= most:
        return FINE, f"{len(after)} of {most} nodes of {where} in flight with it"
    others = sorted(busy - {node.name for node in scene.targets})
    already = (
        f"{others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''} already" if others else "it"
    )
    return "held", f"{already} in flight: {len(after)} nodes of {where} would be, the budget is {most}"
