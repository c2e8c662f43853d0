"""Incidents → actions: what policies find, as far up their ladders as an incident has come. Pure."""

from collections.abc import Iterable, Mapping

from edgeobs.remediate.ledger import Key, Ledger
from edgeobs.remediate.operation import Operation
from edgeobs.remediate.policies import POLICIES, Policy
from edgeobs.remediate.policies.ladder import Asked, Past, Rung, climb
from edgeobs.remediate.policies.playbook import POLICY, policy_of
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Action, Incident, Verb

_NEVER = Past(0, None)


def never(incident: str, verb: Verb) -> Past:  # noqa: ARG001  an `Asked` that knows nothing
    """Nothing was ever done."""
    return _NEVER


def policies_of(settings: Settings) -> dict[str, Policy]:
    """The policies in force."""
    return POLICIES | ({POLICY: policy_of(settings.playbooks)} if settings.playbooks else {})


def propose(
    incidents: Iterable[Incident],
    now_ns: int,
    policies: Mapping[str, Policy] = POLICIES,
    ladders: Mapping[str, tuple[Rung, ...]] | None = None,
    past: Asked = never,
) -> list[Action]:
    """What every policy would do about every incident that is not resolved."""
    rungs = ladders or {}
    return [
        action
        for incident in incidents
        if incident.state != "resolved"
        for name, policy in policies.items()
        for action in climb(policy(incident, now_ns), rungs.get(name, ()), past, now_ns)
    ]


def past_of(ledger: Ledger, operations: Mapping[str, Operation]) -> Asked:
    """What has become of an incident's rungs: really, or as far as a dry run can tell."""

    def past(incident: str, verb: Verb) -> Past:
        decision = ledger.allowed.get(Key(incident, verb))
        if decision is None:
            return _NEVER
        if decision.dry_run:
            return Past(decision.decided_ns, None)
        operation = operations.get(decision.id)
        if operation is None or not operation.over or operation.state == "cancelled":
            return _NEVER
        return Past(operation.updated_ns, operation.memo.get("helped"))

    return past


def problems(settings: Settings) -> Iterable[tuple[str, str]]:
    """What is wrong with ladders and playbooks: place, and what was expected and found."""
    known = ", ".join(sorted(POLICIES))
    for name in settings.ladders:
        if name not in POLICIES:
            yield f"ladders.{name}", f"expected one of the policies {known}; found {name!r}"
    for name, book in settings.playbooks.items():
        if bool(book.url) == bool(book.function):
            yield f"playbooks.{name}", "expected either url or function; found both or neither"
        elif book.url and not book.url.startswith(("http://", "https://")):
            yield f"playbooks.{name}.url", f"expected an http:// or https:// URL; found {book.url!r}"
        elif book.function and not _named(book.function):
            yield f"playbooks.{name}.function", f"expected package.module:function; found {book.function!r}"
        if not book.alerts:
            yield f"playbooks.{name}.alerts", "expected at least one alert's name: nothing would call it"


def _named(function: str) -> bool:
    module, colon, name = function.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))
