"""A user's playbook: run when an alert fires that it names. Pure; `edgeobs.hooks` runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt, Le

from edgeobs.remediate.policies.base import Policy, action
from edgeobs.signals import Action, Evidence, Incident, Resource

POLICY = "playbook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """An HTTP hook or a Python function, and how far it reaches."""

    url: str = ""
    """An HTTP hook: is sent a POST with the incident and the action as JSON."""

    function: str = ""
    """A Python entry point, ``package.module:function``, run in a process of its own with the same JSON."""

    radius: Literal["node", "zone", "cluster"] = "node"
    """The declared blast radius. Budgets, opt-in and hold are asked of every node within."""

    alerts: tuple[str, ...] = ()
    """Names of the Alertmanager alerts that call it."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that such an alert must have as well."""

    repeatable: bool = False
    """Whether it may be run again where it is not known whether it ran: after a crash, without an answer."""

    timeout_s: Annotated[float, Gt(0), Le(3600)] = 30.0
    """How long it may take, seconds; a function is ended then."""

    token_file: Path | None = None
    """File with a bearer token for the hook."""


def policy_of(playbooks: Mapping[str, Playbook]) -> Policy:
    """The policy that calls the first playbook, by name, that an alert of the incident asks for."""

    def called(incident: Incident, now_ns: int) -> list[Action]:  # noqa: ARG001  every policy has it
        for name, playbook in sorted(playbooks.items()):
            for each in incident.evidence:
                if _asks(each, playbook):
                    patch, reason = (("playbook", name),), f"{each.text}: run {name}"
                    made = action(POLICY, "playbook", incident, patch, reason)
                    return [replace(made, target=_target(made, playbook))]
        return []

    return called


def _asks(evidence: Evidence, playbook: Playbook) -> bool:
    if evidence.source != "alert" or evidence.calm or evidence.name not in playbook.alerts:
        return False
    labels = dict(evidence.labels)
    return all(labels.get(key) == value for key, value in playbook.labels.items())


def _target(made: Action, playbook: Playbook) -> Resource:
    if playbook.radius == "node":
        return made.target
    zone = made.target.zone if playbook.radius == "zone" else ""
    return Resource(made.target.cluster, zone)
