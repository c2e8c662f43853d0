"""Whether an incident that was read holds what such fields hold: its JSON may be anything. Pure."""

from collections.abc import Iterable

from edgeobs.signals import Evidence, Incident

_LATEST_NS = (1 << 63) - 1


def sound(incident: Incident) -> bool:
    """Whether it can be kept and shown: times that are times, numbers, and text that can be sent."""
    told = incident.evidence
    times = [incident.opened_ns, incident.updated_ns, incident.resolved_ns]
    times += [at for each in told for at in (each.onset_ns, each.last_ns)]
    numbers: list[object] = [incident.score, *(each.share for each in incident.suspects)]
    numbers += [number for each in told for number in _numbers(each)]
    texts: list[object] = [incident.id, incident.scope, incident.state, incident.title, *incident.place]
    texts += [text for each in incident.suspects for text in (each.kind, each.name, each.reason, *each.place)]
    texts += [text for each in told for text in _texts(each)]
    flags = [incident.simulated, *(each.calm for each in told)]
    return (
        all(type(at) is int and 0 <= at <= _LATEST_NS for at in times)
        and all(type(number) is float or _small(number) for number in numbers)
        and all(type(flag) is bool for flag in flags)
        and _sendable(texts)
    )


def _numbers(evidence: Evidence) -> Iterable[object]:
    yield from (
        evidence.score,
        evidence.weight,
        evidence.value,
        evidence.expected,
        evidence.low,
        evidence.high,
    )
    yield from (share for _, share in evidence.parts)


def _texts(evidence: Evidence) -> Iterable[object]:
    yield from (evidence.source, evidence.text, evidence.name, evidence.unit, evidence.why, evidence.kind)
    yield from (evidence.detail, evidence.query, *evidence.resource, *evidence.traces)
    yield from (text for pair in evidence.labels for text in pair)
    yield from (text for text, _ in evidence.parts)


def _small(number: object) -> bool:
    return type(number) is int and abs(number) <= _LATEST_NS


def _sendable(texts: Iterable[object]) -> bool:
    """Half of a surrogate pair is text to Python and none to UTF-8."""
    for text in texts:
        if not isinstance(text, str):
            return False
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True
