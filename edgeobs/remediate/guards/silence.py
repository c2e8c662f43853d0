"""Is it the node at all: dark zones, our own isolation, and nodes that still speak."""

from edgeobs.remediate.guards.base import FINE, Said, Scene, names
from edgeobs.signals import SECOND, TELLING, UNDOING

_FROM_SILENCE = frozenset({"node_silent", "zone_dark"})
# A drain asks the node itself, a failover takes nothing before another serves.
_TAKES_FOR_DEAD = frozenset({"release"})

CHANGES_NOTHING = "it changes nothing"


def self_doubt(scene: Scene) -> Said:
    """When most zones are dark it is we who are cut off: freeze.

    One zone alone is no majority of anything; `zone_hold` holds it.
    """
    if scene.action.verb in TELLING:
        return FINE, CHANGES_NOTHING
    zones = scene.fleet.zones
    dark = scene.fleet.dark(scene.settings.zone_hold_share)
    if len(zones) > 1 and dark > scene.settings.self_doubt_share * len(zones):
        return "held", f"{dark} of {len(zones)} zones are dark: more likely we are cut off than they are"
    return FINE, f"{dark} of {len(zones)} zones are dark"


def zone_hold(scene: Scene) -> Said:
    """A zone that goes dark as a whole is its uplink's or its power's matter, not its nodes'."""
    if scene.action.verb in TELLING:
        return FINE, CHANGES_NOTHING
    cluster = scene.action.target.cluster
    for name in {scene.zone, scene.action.target.zone}:
        zone = scene.fleet.zones.get((cluster, name))
        if zone is None or not zone.dark(scene.settings.zone_hold_share):
            continue
        how = "all" if zone.silent == zone.nodes else "most"
        of = f"{zone.silent} of {zone.nodes} nodes"
        return "held", f"{how} of zone {name} is silent, {of}: the zone or its uplink is down, not one node"
    return FINE, "its zone speaks"


def alive_if_sends(scene: Scene) -> Said:
    """Nobody who still sends is taken for dead, whatever else is said of it."""
    moves = scene.action.verb in _TAKES_FOR_DEAD or scene.action.policy in _FROM_SILENCE
    moves &= scene.action.verb not in UNDOING
    window = int(scene.settings.alive_s * SECOND)
    alive = [node for node in scene.targets if node.alive(scene.now_ns, window)]
    if not (moves and alive):
        return FINE, "not taken for dead" if not moves else "not heard"
    send = "sends" if len(alive) == 1 else "send"
    return "denied" if scene.action.target.node else "held", f"{names(alive)} still {send} telemetry: alive"
