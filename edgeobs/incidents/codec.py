"""Incidents, decisions, outcomes and alerts as rows: JSON, and the plots as packed numbers. Pure."""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from itertools import islice
from struct import Struct
from typing import Any

from edgeobs.signals import (
    Action,
    Check,
    Decision,
    Evidence,
    ExternalAlert,
    Incident,
    Labels,
    Outcome,
    Point,
    Resource,
    Suspect,
)

_POINT = Struct("<q4d")
_EVIDENCE = tuple(field.name for field in fields(Evidence) if field.name != "points")
_INCIDENT = tuple(field.name for field in fields(Incident) if field.name != "evidence")


def write_incident(incident: Incident) -> tuple[str, bytes]:
    """JSON without the plots, and all plots one after the other, 40 bytes a point."""
    body: dict[str, Any] = {name: getattr(incident, name) for name in _INCIDENT}
    body["evidence"] = [
        {name: getattr(each, name) for name in _EVIDENCE} | {"points": len(each.points)}
        for each in incident.evidence
    ]
    plots = b"".join(_POINT.pack(*point) for each in incident.evidence for point in each.points)
    return json.dumps(body, separators=(",", ":")), plots


def read_incident(text: str, plots: bytes) -> Incident:
    """The inverse. Raises ValueError, KeyError or TypeError for a row that is none."""
    body = json.loads(text)
    points = map(Point._make, _POINT.iter_unpack(plots))
    evidence = tuple(
        Evidence(
            **each
            | {
                "labels": _labels(each["labels"]),
                "points": tuple(islice(points, each["points"])),
                "parts": tuple((text, share) for text, share in each.get("parts", ())),
                "resource": Resource(*each.get("resource", ())),
                "traces": tuple(each.get("traces", ())),
            }
        )
        for each in body["evidence"]
    )
    suspects = tuple(
        Suspect(kind, name, Resource(*place), share, reason)
        for kind, name, place, share, reason in body.get("suspects", ())
    )
    place = Resource(*body["place"])
    return Incident(**body | {"place": place, "evidence": evidence, "suspects": suspects})


def write_decision(decision: Decision) -> str:
    """JSON."""
    return json.dumps(asdict(decision), separators=(",", ":"))


def read_decision(text: str) -> Decision:
    """The inverse. Raises ValueError, KeyError or TypeError for a row that is none."""
    body = json.loads(text)
    action = body["action"]
    action |= {"target": Resource(*action["target"]), "patch": _labels(action["patch"])}
    checks = tuple(Check(*check) for check in body["checks"])
    return Decision(**body | {"action": Action(**action), "checks": checks})


def write_outcome(outcome: Outcome) -> str:
    """JSON."""
    return json.dumps(asdict(outcome), separators=(",", ":"))


def read_outcome(text: str) -> Outcome:
    """The inverse. Raises ValueError or TypeError for a row that is none."""
    return Outcome(**json.loads(text))


def write_alert(alert: ExternalAlert) -> str:
    """JSON."""
    return json.dumps(alert, separators=(",", ":"))


def read_alert(text: str) -> ExternalAlert:
    """The inverse. Raises ValueError or TypeError for a row that is none."""
    fingerprint, status, place, name, summary, starts_ns, ends_ns, *labels = json.loads(text)
    kept = _labels(labels[0]) if labels else ()
    return ExternalAlert(fingerprint, status, Resource(*place), name, summary, starts_ns, ends_ns, kept)


def _labels(pairs: Iterable[Iterable[str]]) -> Labels:
    return tuple((name, value) for name, value in pairs)
