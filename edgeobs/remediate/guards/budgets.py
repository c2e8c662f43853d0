"""How much at once, how often. A budget that is not set denies; one that is used up holds.

What takes back gives back what was spent, and what only tells takes nothing: neither is asked for a budget.
What counts as spent is what this replica allowed, and what the cluster's own marks say, whichever replica put
them.
"""

from collections.abc import Iterable
from math import ceil

from edgeobs.remediate.fleet import NodeView
from edgeobs.remediate.guards.base import FINE, Said, Scene
from edgeobs.remediate.ledger import HOUR_NS, SETTLE_NS, STEP_NS
from edgeobs.signals import SECOND, TELLING, UNDOING


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
    if free(scene):
        return FINE, FREE
    zones = {node.zone for node in scene.targets} | {scene.action.target.zone}
    cluster = scene.action.target.cluster
    marked = frozenset[str]().union(*(scene.fleet.tally(cluster, zone).busy for zone in zones))
    busy = marked | _in_flight(scene, zones)
    return _fits(busy, scene, most, f"zone {scene.zone}")


def cluster_budget(scene: Scene) -> Said:
    """A share of the cluster's nodes in flight, rounded up, less those that are not ready: as Karpenter does.

    A share of those that are there: not of nodes long gone, never heard, or heard hardly once.
    """
    share = scene.settings.cluster_share
    if share is None:
        return "denied", "no share of the cluster is set"
    if free(scene):
        return FINE, FREE
    tally = scene.fleet.tally(scene.action.target.cluster)
    size, busy = tally.size, tally.busy | tally.unready | _in_flight(scene)
    return _fits(busy, scene, most_of(share, size), f"the cluster ({share:.0%} of {size} nodes, rounded up)")


def most_of(share: float, size: int) -> int:
    """A share of so many, rounded up; what is a whole number but for a float's last bits stays one."""
    return ceil(round(share * size, 9))


def hourly_rate(scene: Scene) -> Said:
    """So many actions in any hour."""
    most = scene.settings.per_hour
    if most is None:
        return "denied", "no rate per hour is set"
    if free(scene):
        return FINE, FREE
    lately = len(scene.ledger.since(HOUR_NS)) + _by_others(scene)
    if lately + 1 > most:
        return "held", f"{lately} actions in the last hour, the budget is {most}"
    return FINE, f"{lately} of {most} actions in the last hour"


def cooldown(scene: Scene) -> Said:
    """A node that another incident had acted upon is left to settle."""
    least = scene.settings.cooldown_s
    if least is None:
        return "denied", "no cool-down is set"
    if free(scene):
        return FINE, FREE
    names = {node.name for node in scene.targets}
    for past in scene.ledger.since(int(least * SECOND)):
        target = past.action.target
        same = target.cluster == scene.action.target.cluster and target.node in names
        if same and past.action.incident != scene.action.incident:
            ago = scene.ledger.age(past) // SECOND
            return "held", f"{past.action.verb} of {target.node} {ago} s ago: it cools down for {least:g} s"
    for node in _marked_by_others(scene, scene.targets):
        ago_s = (scene.now_ns - node.acted_ns) // SECOND
        if ago_s < least:
            return "held", f"{node.name} was acted upon {ago_s} s ago: it cools down for {least:g} s"
    return FINE, "no action on it lately"


def back_off(scene: Scene) -> Said:
    """Where an action did not help, another incident waits, longer each time."""
    for node in scene.targets:
        last = scene.ledger.back_off.get((node.cluster, node.name))
        if last is None or last.incident == scene.action.incident or free(scene):
            continue
        left = last.until_ns - scene.ledger.steady_ns
        if left > 0:
            return "held", f"what was done on {node.name} last did not help: nothing for {left // SECOND} s"
    return FINE, "nothing that was done on it was in vain lately"


FREE = "it takes nothing away"


def free(scene: Scene) -> bool:
    """Whether it costs nothing: it takes back what we did, or only tells people something."""
    return scene.action.verb in UNDOING | TELLING


def _by_others(scene: Scene) -> int:
    nodes = _marked_by_others(scene, scene.fleet.tally(scene.action.target.cluster).acted)
    return sum(scene.now_ns - node.acted_ns < HOUR_NS for node in nodes)


def _marked_by_others(scene: Scene, nodes: Iterable[NodeView]) -> list[NodeView]:
    """Nodes on which another replica acted, or we did before all we remember, as their marks say."""
    ours = {(past.action.target.cluster, past.action.target.node) for past in scene.ledger.past}
    return [node for node in nodes if node.acted_ns and (node.cluster, node.name) not in ours]


def _in_flight(scene: Scene, zones: set[str] | None = None) -> set[str]:
    """The nodes of these zones, or of the cluster, in flight by our ledger, listed still or not."""
    cluster, found = scene.action.target.cluster, set[str]()
    for target in scene.ledger.in_flight():
        if target.cluster != cluster:
            continue
        nodes = scene.fleet.targets(target)
        if target.node and (zones is None or target.zone in zones):
            found.add(target.node)
        found |= {n.name for n in nodes if zones is None or (n.zone or n.telemetry_zone) in zones}
    return found


def _fits(busy: frozenset[str], scene: Scene, most: int, where: str) -> Said:
    after = busy | {node.name for node in scene.targets}
    if len(after) <= most:
        return FINE, f"{len(after)} of {most} nodes of {where} in flight with it"
    others = sorted(busy - {node.name for node in scene.targets})
    already = (
        f"{others[0]}{f' and {len(others) - 1} more' if len(others) > 1 else ''} already" if others else "it"
    )
    return "held", f"{already} in flight: {len(after)} nodes of {where} would be, the budget is {most}"
