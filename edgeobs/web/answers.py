"""What the engine publishes → what the API answers. Pure."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from edgeobs import signals
from edgeobs.signals import IncidentState, Resource
from edgeobs.web import reader
from edgeobs.web.models import (
    Action,
    Check,
    Control,
    Decision,
    Evidence,
    Explanation,
    Fleet,
    Incident,
    IncidentDetail,
    Node,
    Operation,
    Part,
    Place,
    Point,
    Receiver,
    Status,
    Step,
    Story,
    Suspect,
    Word,
    Zone,
    ZoneNodes,
)


def seconds(ns: int) -> float | None:
    """Unix seconds; None for 0, which means unknown."""
    return ns / signals.SECOND if ns else None


def zone_id(cluster: str, zone: str) -> str:
    """A zone's id, safe in a URL whatever the names hold."""
    return f"{quote(cluster, safe='')}/{quote(zone, safe='')}"


@lru_cache(16_384)  # asked of every node at every change
def node_id(place: Resource) -> str:
    """A node's id, safe in a URL whatever the names hold."""
    return f"{zone_id(place.cluster, place.zone)}/{quote(place.node, safe='')}"


def place(where: Resource) -> Place:
    """A place with its ids."""
    return Place(
        cluster=where.cluster,
        zone=where.zone,
        node=where.node,
        node_id=node_id(where) if where.node else "",
        zone_id=zone_id(where.cluster, where.zone),
    )


def node(published: reader.Node) -> Node:
    """A node as the API answers it."""
    return Node(
        id=node_id(published.place),
        zone_id=zone_id(published.place.cluster, published.place.zone),
        name=published.place.node,
        state=published.state,
        heart=published.heart,
        score=published.score,
        simulated=published.simulated,
        series=published.series,
        heard_s=seconds(published.heard_ns),
        incident_ids=published.incident_ids,
        sends=published.sends,
    )


def zone(published: reader.Zone) -> Zone:
    """A zone without its nodes."""
    return Zone(
        id=zone_id(published.cluster, published.name),
        cluster=published.cluster,
        name=published.name,
        state=published.state,
    )


def fleet(published: reader.Published) -> Fleet:
    """Zones with their nodes."""
    zones = tuple(
        ZoneNodes(**dict(zone(each)), nodes=tuple(node(one) for one in each.nodes))
        for each in published.fleet
    )
    return Fleet(version=published.version, now_s=seconds(published.now_ns), zones=zones)


def incident(published: signals.Incident) -> Incident:
    """An incident without its evidence."""
    return Incident(
        id=published.id,
        scope=published.scope,
        place=place(published.place),
        state=published.state,
        opened_s=seconds(published.opened_ns),
        updated_s=seconds(published.updated_ns),
        resolved_s=seconds(published.resolved_ns),
        score=published.score,
        title=published.title,
        evidence_count=len(published.evidence),
        simulated=published.simulated,
    )


def incident_detail(published: signals.Incident) -> IncidentDetail:
    """An incident with its evidence."""
    return IncidentDetail(
        **dict(incident(published)),
        suspects=tuple(
            Suspect(kind=each.kind, name=each.name, share=each.share, reason=each.reason)
            for each in published.suspects
        ),
        evidence=tuple(evidence(each) for each in published.evidence),
    )


def evidence(published: signals.Evidence) -> Evidence:
    """Evidence with its plot."""
    return Evidence(
        source=published.source,
        text=published.text,
        brief=published.brief(),
        name=published.name,
        labels=dict(published.labels),
        unit=published.unit,
        onset_s=seconds(published.onset_ns),
        last_s=seconds(published.last_ns),
        score=published.score,
        weight=published.weight,
        value=published.value,
        expected=published.expected,
        low=published.low,
        high=published.high,
        calm=published.calm,
        why=published.why,
        parts=tuple(Part(series=text, share=share) for text, share in published.parts),
        points=tuple(
            Point(time_s=seconds(p.time_ns), value=p.value, low=p.low, high=p.high, score=p.score)
            for p in published.points
        ),
        kind=published.kind,
        whose=published.whose() if published.kind else "",
        pod=published.resource.pod,
        detail=published.detail,
        query=published.query,
        traces=published.traces,
    )


def decision(published: signals.Decision) -> Decision:
    """A decision with its action and every check."""
    action = published.action
    return Decision(
        id=published.id,
        text=published.text(),
        verdict=published.verdict,
        rule=published.rule,
        reason=published.reason,
        dry_run=published.dry_run,
        decided_s=seconds(published.decided_ns),
        latency_ms=_latency(published),
        action=Action(
            verb=action.verb,
            target=place(action.target),
            patch=dict(action.patch),
            reason=action.reason,
            policy=action.policy,
            incident_id=action.incident,
        ),
        checks=tuple(Check(**check._asdict()) for check in published.checks),
    )


def operation(published: reader.Operation) -> Operation:
    """What is being done, or was."""
    where = published.place.node or f"zone {published.place.zone}"
    reason = f": {published.reason}" if published.reason else ""
    return Operation(
        id=published.id,
        text=f"{published.verb} {where}: {published.state}{reason}",
        verb=published.verb,
        target=place(published.place),
        state=published.state,
        reason=published.reason,
        incident_id=published.incident,
        begun_s=seconds(published.begun_ns),
        updated_s=seconds(published.updated_ns),
        deadline_s=seconds(published.deadline_ns),
        undoes=published.undoes,
        helped=published.helped,
        standing=published.standing,
    )


def story(steps: Iterable[reader.Step]) -> Story:
    """What was done, step by step."""
    return Story(
        steps=tuple(Step(at_s=seconds(each.at_ns), kind=each.kind, text=each.text) for each in steps)
    )


def word(published: reader.Said) -> Word:
    """What a person said of an incident."""
    return Word(
        what="veto" if published.what == "veto" else "approve",
        by=published.by,
        why=published.why,
        at_s=seconds(published.at_ns),
        until_s=seconds(published.until_ns),
        incident_id=published.incident,
        verb=published.verb,
    )


def control(published: reader.Published, how: str) -> Control:
    """What people said; ``how`` they could say more here, empty where they may."""
    status = published.status
    words = tuple(word(each) for each in published.words)
    return Control(changeable=not how, how=how, paused=status.paused, approve=status.approve, words=words)


def explanation(published: reader.Explained) -> Explanation:
    """What would be done about a node."""
    return Explanation(
        facts=dict(published.facts),
        proposed=tuple(decision(each) for each in published.proposed),
        verbs=tuple(decision(each) for each in published.verbs),
    )


def _latency(decision: signals.Decision) -> float | None:
    if not decision.evidence_ns or not decision.recorded_ns:
        return None
    return (decision.recorded_ns - decision.evidence_ns) / 1e6


def status(published: reader.Status) -> Status:
    """The status."""
    plain = {name: getattr(published, name) for name in Status.model_fields if name != "receivers"}
    receivers = tuple(Receiver(protocol=p, address=a) for p, a in published.receivers)
    return Status(**plain, receivers=receivers)


def chosen(
    incidents: Iterable[signals.Incident], state: Literal["active"] | IncidentState | None, limit: int
) -> list[Incident]:
    """The first ``limit`` incidents in a state; ``active`` is any but resolved."""
    fits = (
        each
        for each in incidents
        if state is None or each.state == state or (state == "active" and each.state != "resolved")
    )
    return [incident(each) for each, _ in zip(fits, range(limit), strict=False)]
