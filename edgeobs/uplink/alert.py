"""An incident of a node as the foreign alert that the core takes it for. Pure."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from edgeobs.signals import SECOND, Incident

SENT_BY = "edgeobs-agent"


def in_time(incident: Incident, now_ns: int, late_s: float) -> bool:
    """Whether the core may still act on it: it holds, and its last change is not long past."""
    return incident.state != "resolved" and now_ns - incident.updated_ns <= late_s * SECOND


def webhook(incidents: Sequence[Incident]) -> bytes:
    """Alertmanager's message, version 4, as `ingest.alertmanager_webhook` reads it."""
    alerts = [
        {
            "status": "resolved" if incident.state == "resolved" else "firing",
            "labels": {
                "alertname": "EdgeIncident",
                "cluster": incident.place.cluster,
                "zone": incident.place.zone,
                "node": incident.place.node,
                "incident": incident.id,
                "sent_by": SENT_BY,
            },
            "annotations": {"summary": incident.title[:16_384]},
            "startsAt": _time(incident.opened_ns),
            **({"endsAt": _time(incident.resolved_ns)} if incident.resolved_ns else {}),
            "fingerprint": incident.id[:64],
        }
        for incident in incidents
    ]
    return json.dumps({"version": "4", "alerts": alerts}).encode()


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).isoformat()
