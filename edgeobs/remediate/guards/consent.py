"""May it be done at all: switches, opt-in, and what must be known. Whatever is missing denies."""

from edgeobs.remediate.guards.base import FINE, Said, Scene, names
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, UNDOING, Verb

YEAR_NS = 365 * 86_400 * SECOND


def journal(scene: Scene) -> Said:
    """Nothing is done that could not be written down first."""
    problem = scene.fleet.journal
    return (
        ("denied", f"decisions cannot be recorded: {problem}")
        if problem
        else (FINE, "decisions are recorded")
    )


def policy(scene: Scene) -> Said:
    """Only a policy that is in force may ask."""
    name = scene.action.policy
    return (FINE, f"policy {name}") if name in scene.policies else ("denied", f"there is no policy {name!r}")


def verb(scene: Scene) -> Said:
    """Each verb has a switch."""
    name = scene.action.verb
    if name in scene.settings.verbs:
        return FINE, f"{name} is switched on"
    return "denied", f"{name} is switched off"


def paused(scene: Scene) -> Said:
    """One switch holds everything."""
    if scene.settings.pause or scene.fleet.paused:
        return "held", scene.fleet.paused or "remediation is paused"
    return FINE, "not paused"


def leader(scene: Scene) -> Said:
    """Of several replicas one acts."""
    return ("held", scene.fleet.leader) if scene.fleet.leader else (FINE, "we lead")


def fresh_view(scene: Scene) -> Said:
    """Nothing is decided on what the cluster was long ago."""
    age_ns, stale_ns = scene.fleet.age_ns, scene.fleet.stale_ns
    stale = stale_reason(age_ns, stale_ns)
    return ("held", stale) if stale else (FINE, f"the cluster as of {age_ns // SECOND} s ago")


def stale_reason(age_ns: int, stale_ns: int) -> str:
    """Why a view of the cluster is no view; empty: it is one."""
    if age_ns <= stale_ns:
        return ""
    if age_ns > YEAR_NS:
        return "the cluster has not been read yet"
    return f"what is known of the cluster is {age_ns // SECOND} s old, more than {stale_ns // SECOND} s"


def person(scene: Scene) -> Said:
    """Where a person undid what we did, nothing follows for the same incident."""
    undid = scene.ledger.hands_off.get(scene.action.incident, "")
    if undid and scene.action.verb not in UNDOING:
        return "denied", f"hands off for this incident: {undid}"
    return FINE, "nobody interfered"


def known_node(scene: Scene) -> Said:
    """The cluster must list what is acted upon."""
    target = scene.action.target
    if not scene.targets:
        return "denied", f"the cluster knows no node of {target.node or f'zone {target.zone}'}"
    unlisted = [node for node in scene.targets if not node.listed]
    return ("denied", f"the cluster does not list {names(unlisted)}") if unlisted else (FINE, "listed")


def opted_in(scene: Scene) -> Said:
    """Only nodes that opted in; of a zone, all."""
    missing = [node for node in scene.targets if not node.opted_in]
    if missing or not scene.targets:
        who, key = names(missing) if missing else "the target", scene.settings.opt_in
        return "denied", f"{who} has not opted in: no label or annotation {key} is 'enabled'"
    return FINE, "opted in"


def zone_label_known(scene: Scene) -> Said:
    """Without a zone there is no zone budget."""
    missing = [node for node in scene.targets if not node.zone]
    if missing or not scene.targets:
        who = names(missing) if missing else "the target"
        return "denied", f"{who} has no label {scene.settings.zone_label}: its zone's budget is unknown"
    return FINE, f"zone {scene.zone}"


def dry_run(scene: Scene) -> Said:
    """Forbids nothing; says that nothing will be changed."""
    return FINE, "nothing will be changed" if is_dry(scene) else "will be carried out"


def is_dry(scene: Scene) -> bool:
    """Dry unless both the global switch and the verb's own say otherwise."""
    return dry(scene.settings, scene.action.verb)


def dry(settings: Settings, verb: Verb) -> bool:
    """The same of a verb. What takes back is live with whatever is."""
    live = bool(settings.live) if verb in UNDOING else verb in settings.live
    return settings.dry_run or not live
