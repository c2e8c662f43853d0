"""What edgeobs leaves on a node that it acted upon: one taint, a few annotations. Pure.

The marks are all that another replica, or one that lost its journal, needs to know; and they are how we tell
what is ours from what a person did.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from edgeobs.calls import Call
from edgeobs.objects import Node, Ref, Taint
from edgeobs.signals import SECOND

MANAGER = "edgeobs"
"""Our field manager."""

PREFIX = "edgeobs.io/"
TAINT = f"{PREFIX}remediation"
"""Key of the taint that goes with our cordon; its value is the incident."""

PRESSURE = f"{PREFIX}pressure"
"""Key of the taint that only asks to prefer other nodes."""

OUT_OF_SERVICE = Taint("node.kubernetes.io/out-of-service", "edgeobs", "NoExecute")
"""Kubernetes' own for a node that is shut down; the value tells that we put it."""

OURS = (TAINT, PRESSURE)
OPERATION, INCIDENT, REASON, SINCE, UNTIL, BY = (
    PREFIX + word for word in ("operation", "incident", "reason", "since", "until", "by")
)
_MARKS = (OPERATION, INCIDENT, REASON, UNTIL, BY)  # all but `SINCE`, which outlives them
_ALL = frozenset(_MARKS)
MAX_REASON = 512
"""Characters of a reason at most."""

NOTE = f"{PREFIX}note"
"""A note for people; no mark: nothing is under way because of it."""


VETO, APPROVE = f"{PREFIX}veto", f"{PREFIX}approve"
"""What people write on a node: an incident's id, a veto also ``*``."""


class Marks(NamedTuple):
    """Ours on a node."""

    operation: str
    incident: str
    reason: str
    since_ns: int  # when; 0: cannot be read
    until_ns: int  # after this, whoever leads may take them away; 0: cannot be read
    by: str  # which replica


def read(node: Node) -> Marks | None:
    """The marks on a node; None when there are none. Half of them, or marks that make no sense, are marks."""
    notes = node.annotations
    if _ALL.isdisjoint(notes) and not (node.taints and ours(node)):
        return None
    operation, incident, reason, since, until, by = (
        notes.get(key, "") for key in (OPERATION, INCIDENT, REASON, SINCE, UNTIL, BY)
    )
    return Marks(operation, incident, reason, _ns(since), _ns(until), by)


def acted_ns(node: Node) -> int:
    """When edgeobs last acted on a node, as the node itself has it; 0: never. Outlives the other marks."""
    return _ns(node.annotations.get(SINCE, ""))


def ours(node: Node) -> tuple[Taint, ...]:
    """Our taints on a node."""
    return tuple(taint for taint in node.taints if _is_ours(taint))


def cordoned(node: Node, incident: str) -> bool:
    """Whether it is cordoned, and by us for this incident."""
    return node.unschedulable and has(node, cordon_taint(incident))


def cordon_taint(incident: str) -> Taint:
    """The taint that goes with our cordon."""
    return Taint(TAINT, incident, "NoSchedule")


def has(node: Node, taint: Taint) -> bool:
    """Whether it has a taint, whenever it was added."""
    return any(each[:3] == taint[:3] for each in node.taints)


def touched(node: Node, incident: str) -> str:
    """What a person did to a cordon of ours; empty: nothing, it is as we left it.

    To be asked of a node on which a cordon was put for this incident.
    """
    mine = has(node, cordon_taint(incident))
    if not node.unschedulable:
        return "it was uncordoned by somebody else" if mine else "it was uncordoned, and our marks taken away"
    if not mine:
        return "our taint was taken away by somebody else"
    if node.cordoned_by not in ("", MANAGER):
        return f"it was cordoned anew by {node.cordoned_by}"
    if node.annotations.get(INCIDENT) != incident:
        return "our annotations were changed by somebody else"
    return ""


def notes(operation: str, incident: str, reason: str, by: str, now_ns: int, until_ns: int) -> dict[str, str]:
    """The annotations to put."""
    text = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
    return {
        OPERATION: operation, INCIDENT: incident, REASON: text, BY: by,
        SINCE: _text(now_ns), UNTIL: _text(until_ns),
    }  # fmt: skip


def put(node: Node, taint: Taint, annotations: dict[str, str], *, unschedulable: bool, says: str) -> Call:
    """The patch that marks a node with a taint, and cordons it where asked for."""
    spec: dict[str, Any] = {"taints": [_json(each) for each in (*_without(node, taint.key), taint)]}
    if unschedulable:
        spec["unschedulable"] = True
    return _patch(node, {"metadata": {"annotations": annotations}, "spec": spec}, says)


def add(node: Node, taint: Taint, says: str) -> Call:
    """The patch that adds one more taint to a node that is marked already."""
    taints = [_json(each) for each in (*_without(node, taint.key), taint)]
    return _patch(node, {"spec": {"taints": taints}}, says)


def clear(node: Node, *, schedulable: bool, says: str) -> Call:
    """The patch that takes our marks away, and makes schedulable where asked for.

    ``edgeobs.io/since`` stays: rates and cool-downs of another replica look at it.
    """
    left = [_json(each) for each in node.taints if not _is_ours(each)]
    spec: dict[str, Any] = {"taints": left or None}
    if schedulable:
        spec["unschedulable"] = None
    gone = {key: None for key in _MARKS if key in node.annotations}
    return _patch(node, {"metadata": {"annotations": gone}, "spec": spec} if gone else {"spec": spec}, says)


def _patch(node: Node, body: dict[str, Any], says: str) -> Call:
    # A list is replaced whole by a merge patch, so the version must be the one that was read.
    return Call("patch", Ref("Node", "", node.name, node.uid), body, version=node.version, says=says)


def _without(node: Node, *keys: str) -> list[Taint]:
    return [taint for taint in node.taints if taint.key not in keys]


def _is_ours(taint: Taint) -> bool:
    return taint.key in OURS or taint[:2] == OUT_OF_SERVICE[:2]


def _json(taint: Taint) -> dict[str, str]:
    whole = {"key": taint.key, "value": taint.value, "effect": taint.effect, "timeAdded": taint.added}
    return {key: value for key, value in whole.items() if value}


def _text(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ns(text: str) -> int:
    if not text:
        return 0
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()) * SECOND
    except (ValueError, OverflowError):
        return 0
