"""Verdicts as conditions on the Node object: what is to be written, if anything. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from edgeobs.node.health import Truth, Verdict


class Condition(NamedTuple):
    """One of a Node's, as core/v1 has it; times are whole Unix seconds."""

    status: Truth
    reason: str
    message: str
    transition_s: int
    heartbeat_s: int


Conditions = Mapping[str, Condition]
"""By type."""
LONGEST = 1024
"""Letters of a message."""


def updated(before: Conditions, verdicts: Mapping[str, Verdict], now_s: float) -> dict[str, Condition]:
    """The conditions as they should be.

    A transition is a change of status, not of reason or message, as people and ``kubectl wait`` take it. What
    has always been unknown is not written at all: most nodes have no such thing.
    """
    at = int(now_s)
    after = {}
    for kind, (status, reason, message) in verdicts.items():
        was = before.get(kind)
        if was is None and status == "Unknown":
            continue
        since = was.transition_s if was is not None and was.status == status else at
        after[kind] = Condition(status, reason, message[:LONGEST], since, at)
    return after


def due(written: Conditions, wanted: Conditions, heartbeat_s: float) -> dict[str, Condition]:
    """Those to be written: what changed, and all once the heartbeat is due."""
    changed = {
        kind: each for kind, each in wanted.items() if kind not in written or written[kind][:3] != each[:3]
    }
    beats = any(
        each.heartbeat_s - written[kind].heartbeat_s >= heartbeat_s
        for kind, each in wanted.items()
        if kind in written
    )
    return dict(wanted) if beats else changed


def patch(conditions: Conditions) -> dict[str, Any]:
    """A strategic merge patch of ``nodes/status``: conditions are merged by type, others' stay."""
    return {
        "status": {
            "conditions": [
                {
                    "type": kind,
                    "status": each.status,
                    "reason": each.reason,
                    "message": each.message,
                    "lastTransitionTime": _time(each.transition_s),
                    "lastHeartbeatTime": _time(each.heartbeat_s),
                }
                for kind, each in sorted(conditions.items())
            ]
        }
    }


def known(node: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, Condition]:
    """Those of these types that a Node object has; one that is not well formed counts as not there."""
    wanted = frozenset(kinds)
    found: dict[str, Condition] = {}
    for each in node.get("status", {}).get("conditions", ()):
        try:
            if each["type"] in wanted:
                found[each["type"]] = Condition(
                    each["status"],
                    each.get("reason", ""),
                    each.get("message", ""),
                    _seconds(each["lastTransitionTime"]),
                    _seconds(each["lastHeartbeatTime"]),
                )
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
