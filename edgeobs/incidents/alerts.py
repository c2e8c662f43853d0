"""An incident as Alertmanager's v2 API wants it. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from edgeobs.incidents.intake import OWN_ALERT
from edgeobs.quantity import quantity
from edgeobs.signals import SECOND, Decision, Incident

_MAX_EVIDENCE = 5

Alert = dict[str, str | dict[str, str]]


def alert(
    incident: Incident, decisions: Sequence[Decision], now_ns: int, lifetime_s: float, page_url: str = ""
) -> Alert:
    """What to POST: labels say which incident and never change, annotations say what is known now.

    ``endsAt`` lies ``lifetime_s`` ahead while the incident holds, so that a sender that dies takes its
    alerts with it; afterwards it is when the incident was resolved.
    """
    place = incident.place
    labels = {
        "alertname": OWN_ALERT,
        "incident": incident.id,
        "scope": incident.scope,
        "severity": "critical" if incident.scope != "node" else "warning",
        "cluster": place.cluster,
        "zone": place.zone,
        "node": place.node,
        "simulated": "true" if incident.simulated else "",
    }
    annotations = {
        "summary": incident.title,
        "evidence": _evidence(incident),
        "decision": _decisions(decisions),
    }
    ends_ns = incident.resolved_ns or now_ns + int(lifetime_s * SECOND)
    body: Alert = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": rfc3339(incident.opened_ns),
        "endsAt": rfc3339(ends_ns),
    }
    if page_url:
        body["generatorURL"] = f"{page_url.rstrip('/')}/incidents/{incident.id}"
    return body


def rfc3339(time_ns: int) -> str:
    """Milliseconds are kept, never rounded up: what ends now must not end in the future."""
    moment = datetime.fromtimestamp(time_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{time_ns % SECOND // 1_000_000:03d}Z"


def _evidence(incident: Incident) -> str:
    lines = [
        f"{each.text} = {quantity(each.value, each.unit)} ({each.score:.1f} decades)"
        if each.source == "series"
        else each.text
        for each in incident.evidence[:_MAX_EVIDENCE]
    ]
    return "\n".join(lines)


def _decisions(decisions: Sequence[Decision]) -> str:
    return "\n".join(each.text() for each in decisions[-_MAX_EVIDENCE:])
