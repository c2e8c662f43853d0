"""How much at once, how often. A budget that is not set denies; one that is used up holds."""

from edgeobs.remediate.fleet import NodeView
from edgeobs.remediate.guards.base import FINE, Said, Scene
from edgeobs.remediate.ledger import HOUR_NS, SETTLE_NS, STEP_NS
from edgeobs.signals import SECOND


def clock(scene: Scene) -> Said:
    """A step of our clock, or a standstill: what is known is old, and how old is not known."""
    if scene.ledger.steady_ns >= scene.ledger.settled_ns:
        return FINE, "our clock runs steadily"
    held = f"nothing new for {SETTLE_NS // SECOND} s"
    return "held", f"our clock went back, or by more than {STEP_NS // SECOND} s at once: {held}"


def zone_budget(scene: Scene) -> Said:
    """So many nodes of a zone in flight, this one included."""
    most = scene.settings.nodes_per_zone
    if most is None:
        return "denied", "no budget of nodes per zone is set"
    zones = {node.zone for node in scene.targets} | {scene.action.target.zone}
    nodes = [n for zone in zones for n in scene.fleet.zone(scene.action.target.cluster, zone)]
    busy = _busy(scene, nodes, zones)
    return _fits(busy, scene, most, f"zone {scene.zone}")


def cluster_budget(scene: Scene) -> Said:
    """A share of the cluster's nodes in flight: rounded down, but one where the share is above 0.

    A share of those that are there: not of nodes long gone, never heard, or heard hardly once.
    """
    share = scene.settings.cluster_share
    if share is None:
        return "denied", "no share of the cluster is set"
    nodes = scene.fleet.cluster(scene.action.target.cluster)
    size = sum(node.listed and node.counts and node.state != "young" for node in nodes)
    most = max(int(share * size), share > 0)
    busy = _busy(scene, [node for node in nodes if node.listed])
    return _fits(busy, scene, most, f"the cluster ({share:.0%} of {size} nodes)")


def hourly_rate(scene: Scene) -> Said:
    """So many actions in any hour."""
    most = scene.settings.per_hour
    if most is None:
        return "denied", "no rate per hour is set"
    lately = scene.ledger.since(HOUR_NS)
    if len(lately) + 1 > most:
        return "held", f"{len(lately)} actions in the last hour, the budget is {most}"
    return FINE, f"{len(lately)} of {most} actions in the last hour"


def cooldown(scene: Scene) -> Said:
    """A node that another incident had acted upon is left to settle."""
    least = scene.settings.cooldown_s
    if least is None:
        return "denied", "no cool-down is set"
    names = {node.name for node in scene.targets}
    for past in scene.ledger.since(int(least * SECOND)):
        target = past.action.target
        same = target.cluster == scene.action.target.cluster and target.node in names
        if same and past.action.incident != scene.action.incident:
            ago = scene.ledger.age(past) // SECOND
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
