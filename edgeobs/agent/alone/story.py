"""What was done alone, as part of what the core is told of the incident it was done for. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from math import nan

from edgeobs.agent.alone.deeds import Deed, State
from edgeobs.signals import SECOND, Evidence, Incident

NAME = "agent_action"
"""The name of the evidence that tells it."""

_DID = {"restart_unit": "restart of", "restart_pod": "restart of pod"}
_ENDED: dict[State, str] = {
    "intended": "under way",
    "done": "done, and watched",
    "failed": "it failed",
    "refused": "nothing was done",
    "unknown": "whether it was done is not known",
    "helped": "it helped",
    "in_vain": "it did not help; nothing more is tried before the core is back",
}


def brief(deed: Deed) -> str:
    """``restart of k3s-agent.service: it helped``; for a title and a line of the log."""
    why = f": {deed.text}" if deed.text else ""
    return f"{_DID.get(deed.kind, deed.kind)} {deed.target}: {_ENDED[deed.state]}{why}"


def text(deed: Deed) -> str:
    """The whole sentence: what, when, cut off for how long, because of what, and what came of it."""
    at = datetime.fromtimestamp(deed.decision.decided_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"done by the agent alone at {at}, {deed.decision.action.reason}; {brief(deed)}"


def told(incident: Incident, deeds: Iterable[Deed]) -> Incident:
    """The incident with what was done for it: in its title, and as evidence that weighs nothing."""
    mine = [deed for deed in deeds if deed.incident.id == incident.id]
    if not mine:
        return incident
    title = "; ".join([incident.title, *(f"alone: {brief(deed)}" for deed in mine)])
    return replace(incident, title=title, evidence=(*incident.evidence, *map(_evidence, mine)))


def _evidence(deed: Deed) -> Evidence:
    began_ns = deed.decision.decided_ns
    return Evidence(
        source="sign", text=text(deed), name=NAME,
        labels=(("action", deed.kind), ("result", deed.state), ("target", deed.target)), unit="",
        onset_ns=began_ns, last_ns=max(deed.changed_ns, began_ns), score=0.0, weight=0.0, value=nan,
        expected=nan, low=nan, high=nan, calm=True,
    )  # fmt: skip
