"""Before every mutation: is it still the same target, and may it still be done? Pure.

A target that is another by now ends the operation: that takes a new decision. What may change by itself
waits.
"""

from collections.abc import Callable, Iterable

from edgeobs.objects import Node
from edgeobs.remediate import marks
from edgeobs.remediate.fleet import opted
from edgeobs.remediate.guards import RULES, Scene, budgets, consent, people
from edgeobs.remediate.ledger import Ledger
from edgeobs.remediate.operation import STALE_NS, Do, End, Facts, Operation, Procedure, Wait
from edgeobs.signals import SECOND, UNDOING

AGAIN_NS = 2 * SECOND
"""How often what is held is asked again."""

SAME = ("self_doubt", "zone_hold", "alive_if_sends")
"""Rules of the guard that are asked again with the newest telemetry."""

WIDE = ("vetoed", "known_node", "opted_in")
"""The same, of what is about more than one node: each of them is asked, as the watched cache has it."""

Said = End | Wait | None
Ask = Callable[[Operation, Facts, int], Said]


def recheck(operation: Operation, procedure: Procedure, facts: Facts, do: Do, now_ns: int) -> Said:
    """None: go on. The order is that in which a reason is told."""
    for ask in _ASKED:
        said = ask(operation, facts, now_ns)
        if said is not None:
            return said
    said = _budget(operation, facts, now_ns) if procedure.takes else None
    if said is not None:
        return said
    again = facts.again_ns(do.call.ref)
    return Wait(again, f"{do.call.ref} said: not before") if again > now_ns else None


def _switched(operation: Operation, facts: Facts, now_ns: int) -> Said:
    action, settings, switches = operation.action, facts.settings, facts.switches
    if consent.dry(settings, action.verb):
        return End("cancelled", f"{action.verb} is not live any more")
    if action.verb not in settings.verbs:
        return End("cancelled", f"{action.verb} is switched off")
    if action.incident in switches.vetoed:
        return End("cancelled", f"vetoed: {switches.vetoed[action.incident]}")
    if refused := people.veto_on(facts.nodes.get(action.target.node), action.incident):
        return End("cancelled", refused)
    if settings.pause or switches.paused:
        return _wait(now_ns, switches.paused or "remediation is paused")
    return None


def _led(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    return _wait(now_ns, facts.switches.leader) if facts.switches.leader else None


def _fresh(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    stale = consent.stale_reason(facts.mirror_age_ns, facts.mirror_stale_ns)
    if stale:
        return _wait(now_ns, stale)
    if facts.inventory.read_ns < facts.switches.led_since_ns:
        return _wait(now_ns, "the cluster was not read anew since we lead")
    if facts.fleet_age_ns > STALE_NS:
        return _wait(now_ns, f"what telemetry says is {facts.fleet_age_ns // SECOND} s old")
    return None


def _still_wrong(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    """What is begun, or goes on, is for an incident that goes on; nothing is taken back into a new one."""
    action, target = operation.action, operation.action.target
    if action.verb not in UNDOING:
        return None if facts.incident is not None else End("cancelled", "its incident is over")
    for new in facts.incidents.values():
        same = new.place.node == target.node and (bool(target.node) or new.place.zone == target.zone)
        if same and new.place.cluster == target.cluster and new.opened_ns > operation.begun_ns:
            return End("cancelled", f"something is wrong there again: {new.id}")
    return None


def _same_node(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    name = operation.action.target.node
    if not name:
        return None
    node, uid = facts.nodes.get(name), operation.memo.get("uid", "")
    if node is None:
        return None  # the procedure knows what that means
    if not uid:
        return End("cancelled", f"which node {name} was when it was decided is not on record")
    if node.uid != uid:
        return End("cancelled", f"{name} is another node by now, of the same name")
    return None


def _deleting(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    node = facts.nodes.get(operation.action.target.node)
    if node is not None and node.deleting:
        return End("cancelled", f"{node.name} is being deleted")
    return None


def _opted_in(operation: Operation, facts: Facts, now_ns: int) -> Said:  # noqa: ARG001
    node = facts.nodes.get(operation.action.target.node)
    if node is None or opted(node, facts.settings):
        return None
    return End("cancelled", f"{node.name} has not opted in any more")


def _in_time(operation: Operation, facts: Facts, now_ns: int) -> Said:
    """What is begun is carried to its end; nothing is begun outside the windows, or on a vetoed node."""
    if operation.state != "intended":
        return None
    return _asked(("vetoed", "window"), operation, facts, now_ns)


def _as_telemetry_says(operation: Operation, facts: Facts, now_ns: int) -> Said:
    """The guard's own rules about silence, for what takes anything away; and about all nodes of a zone."""
    undoing, one = operation.action.verb in UNDOING, bool(operation.action.target.node)
    wide = () if one else WIDE[:1] if undoing else WIDE
    return _asked(wide + (() if undoing else SAME), operation, facts, now_ns)


def _asked(rules: Iterable[str], operation: Operation, facts: Facts, now_ns: int) -> Said:
    action = operation.action
    targets = facts.fleet.targets(action.target)
    scene = Scene(action, targets, facts.fleet, Ledger(), facts.settings, frozenset(), now_ns)
    for name in rules:
        verdict, reason = RULES[name](scene)
        if verdict == "denied":
            return End("cancelled", reason)
        if verdict == "held":
            return _wait(now_ns, reason)
    return None


def _budget(operation: Operation, facts: Facts, now_ns: int) -> Said:
    """Of what is begun: a node that is marked is spent already, and a zone has no marks that would tell."""
    name = operation.action.target.node
    if not name:
        begins = operation.state == "intended"
        return (
            _asked(("zone_budget", "cluster_budget", "hourly_rate"), operation, facts, now_ns)
            if begins
            else None
        )
    target = facts.nodes.get(name)
    if target is None or marks.read(target) is not None:
        return None
    return _budgets(operation, facts, target, now_ns)


def _budgets(operation: Operation, facts: Facts, target: Node, now_ns: int) -> Said:
    """By the cluster's own marks and cordons: whoever put them, they are spent."""
    settings, zone_of = facts.settings, facts.settings.zone_label
    nodes = facts.inventory.nodes.values()
    others = [node for node in nodes if node.name != target.name]
    busy = {node.name for node in others if node.unschedulable or marks.read(node)}
    zone = target.labels.get(zone_of, "")
    if not zone:
        return End("cancelled", f"{target.name} has no label {zone_of} any more")
    in_zone = sum(node.name in busy for node in others if node.labels.get(zone_of) == zone)
    lately = sum(_recent(node, operation, now_ns) for node in others)
    share = _share(settings.cluster_share, len(others) + 1)
    ask: Iterable[tuple[str, int, int | None]] = (
        (f"nodes of zone {zone} are marked or cordoned", in_zone, settings.nodes_per_zone),
        ("nodes of the cluster are marked or cordoned", len(busy), share),
        ("nodes were acted upon in the last hour", lately, settings.per_hour),
    )
    for what, number, most in ask:
        if most is None:
            return End("cancelled", f"no budget is set any more: {what}")
        if number + 1 > most:
            return _wait(now_ns, f"{number} {what} already, the budget is {most}")
    return None


def _share(share: float | None, size: int) -> int | None:
    return None if share is None else budgets.most_of(share, size)


def _recent(node: Node, operation: Operation, now_ns: int) -> bool:
    since = marks.acted_ns(node)
    found = marks.read(node)
    same = found is not None and found.incident == operation.action.incident
    return bool(since) and now_ns - since < 3600 * SECOND and not same


def _wait(now_ns: int, reason: str) -> Wait:
    return Wait(now_ns + AGAIN_NS, reason)


_ASKED: tuple[Ask, ...] = (
    _switched, _in_time, _led, _fresh, _still_wrong, _same_node, _deleting, _opted_in, _as_telemetry_says
)  # fmt: skip
