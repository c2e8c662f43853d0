"""What incidents ask for, by the allow-list. Pure."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from edgeobs.agent.alone.deeds import Wish
from edgeobs.agent.alone.settings import Patterns, Settings
from edgeobs.remediate.policies.base import falling, rising
from edgeobs.signals import Evidence, Incident


def wishes(incidents: Iterable[Incident], settings: Settings) -> list[Wish]:
    """One for each target of each incident, the strongest evidence first.

    Evidence that is calm asks for nothing, and none asks for what the settings do not name.
    """
    found = (wish for incident in incidents for wish in _of(incident, settings))
    return sorted(found, key=lambda wish: (-wish.evidence.score, wish.kind, wish.target))


def _of(incident: Incident, settings: Settings) -> list[Wish]:
    strongest: dict[tuple[str, str], Wish] = {}
    for evidence in incident.evidence:
        for wish in _asked(incident, evidence, settings):
            known = strongest.get(wish[:2])
            if known is None or known.evidence.score < evidence.score:
                strongest[wish[:2]] = wish
    pods = sum(kind == "restart_pod" for kind, _ in strongest)
    return [wish._replace(among=max(pods, 1)) for wish in strongest.values()]


def _asked(incident: Incident, evidence: Evidence, settings: Settings) -> Iterator[Wish]:
    if evidence.calm or incident.state == "resolved":
        return
    for each in settings.units:
        if fits(evidence, each.low, each.high):
            yield Wish("restart_unit", each.unit, incident, evidence)
    whose = evidence.resource
    for pods in settings.pods:
        if whose.pod and whose.namespace == pods.namespace and fits(evidence, pods.low, pods.high):
            yield Wish("restart_pod", f"{whose.namespace}/{whose.pod}", incident, evidence)


def fits(evidence: Evidence, low: Patterns, high: Patterns) -> bool:
    """Whether it is a series of these, and off in that direction: a service that comes back is one too."""
    asked = low if falling(evidence) else high if rising(evidence) else ()
    names = evidence.name, evidence.text
    plain = [pattern.replace("[", "[[]") for pattern in asked]  # a bracket stands for itself
    return any(fnmatchcase(name, pattern) for pattern in plain for name in names)
