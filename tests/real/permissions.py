"""What a manifest of RBAC grants, and what an account did with it by the API server's audit log."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.real.api import Object, documents

READS = frozenset({"get", "list", "watch"})


class Grant(NamedTuple):
    """One verb on one resource; ``space`` empty: everywhere, ``name`` empty: whatever its name."""

    verb: str
    group: str
    resource: str  # with its subresource
    space: str
    name: str


def granted(manifest: Path) -> frozenset[Grant]:
    """Every single permission of the roles in it."""
    found = set()
    for role in documents(manifest):
        if role["kind"] not in {"Role", "ClusterRole"}:
            continue
        space = role["metadata"].get("namespace", "")
        for rule in role["rules"]:
            names = rule.get("resourceNames") or [""]
            found |= {
                Grant(verb, group, resource, space, name)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in names
            }
    return frozenset(found)


def denied(audit: Iterable[Object]) -> list[str]:
    """Requests that were not permitted."""
    return [
        f"{event['verb']} {event['requestURI']}"
        for event in audit
        if event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        or event.get("responseStatus", {}).get("code") == 403
    ]


def used(audit: Iterable[Object], grants: Collection[Grant]) -> tuple[set[Grant], list[str]]:
    """The grants that requests needed; and requests for which none is, so that they came by another role."""
    found: set[Grant] = set()
    beyond = []
    for event in audit:
        of = event.get("objectRef")
        if of is None:  # what every authenticated account may ask: versions, lists of resources
            continue
        resource = "/".join(part for part in (of["resource"], of.get("subresource", "")) if part)
        wanted = [
            Grant(event["verb"], of.get("apiGroup", ""), resource, space, name)
            for space in {"", of.get("namespace", "")}
            for name in {"", of.get("name", "")}
        ]
        matching = [each for each in wanted if each in grants]
        found.update(matching)
        if not matching:
            beyond.append(f"{event['verb']} {event['requestURI']}")
    return found, beyond
