"""What people said, and when they let anything be done."""

from edgeobs.objects import Node
from edgeobs.remediate.guards.base import FINE, Said, Scene
from edgeobs.remediate.marks import APPROVE, VETO
from edgeobs.remediate.windows import window_of

ALL = "*"
"""As a veto on a node: of whatever incident."""


def vetoed(scene: Scene) -> Said:
    """A person forbade it: what is about an incident, or whatever is about a node."""
    incident = scene.action.incident
    word = scene.fleet.vetoed.get(incident)
    if word:
        return "denied", f"vetoed {word}"
    refused = next((node for node in scene.targets if vetoes(node.veto, incident)), None)
    if refused is None:
        return FINE, "no veto"
    return "denied", f"vetoed by an annotation of {refused.name}: {VETO}={refused.veto}"


def approved(scene: Scene) -> Said:
    """What moves or ends other people's work waits for a person's word."""
    verb, incident = scene.action.verb, scene.action.incident
    if verb not in scene.settings.approve:
        return FINE, f"{verb} needs no approval"
    given = scene.fleet.approved
    word = given.get((incident, verb)) or given.get((incident, ""))
    if word:
        return FINE, word
    node = scene.action.target.node
    note = f", or kubectl annotate node {node} {APPROVE}={incident}" if node else ""
    return "held", f"{verb} waits for a person: edgeobs approve {incident}, the page{note}"


def window(scene: Scene) -> Said:
    """Maintenance windows; a word to people changes nothing, and is said at any time."""
    if scene.action.verb == "notify":
        return FINE, "notify changes nothing"
    return window_of(scene.settings.windows, scene.zone, scene.now_ns)


def vetoes(note: str, incident: str) -> bool:
    """Whether a node's annotation forbids what is about an incident."""
    return note.strip() == ALL or (bool(incident) and note.strip() == incident)


def veto_on(node: Node | None, incident: str) -> str:
    """By which annotation of a node, read live, it is forbidden; empty: by none."""
    note = node.annotations.get(VETO, "") if node else ""
    return f"vetoed by an annotation of {node.name}: {VETO}={note}" if node and vetoes(note, incident) else ""
