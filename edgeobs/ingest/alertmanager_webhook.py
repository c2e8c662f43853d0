"""Alertmanager's webhook, version 4 → `ExternalAlert`s.

Source: Alertmanager's documentation, *webhook_config*. Fields that it may add are ignored.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen
from pydantic import AwareDatetime, BaseModel, ValidationError

from edgeobs.ingest.errors import Malformed
from edgeobs.signals import SECOND, ExternalAlert, Principal, Resource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONES = ("zone", "topology_kubernetes_io_zone")
_MOST = 64  # labels of an alert that are kept
_NODES = ("node", "nodename", "kubernetes_node")

_Text = Annotated[str, MaxLen(16_384)]
_Pairs = Annotated[dict[_Text, _Text], MaxLen(256)]


class _Alert(BaseModel, strict=True):
    status: Literal["firing", "resolved"]
    labels: _Pairs
    annotations: _Pairs = {}
    startsAt: AwareDatetime  # noqa: N815 – Alertmanager's own name
    endsAt: AwareDatetime = datetime.min.replace(tzinfo=UTC)  # noqa: N815 – as above
    fingerprint: Annotated[str, MinLen(1), MaxLen(64)]


class _Message(BaseModel, strict=True):
    version: Literal["4"]
    alerts: Annotated[list[_Alert], MaxLen(10_000)]


def parse(body: bytes | bytearray, principal: Principal) -> tuple[list[ExternalAlert], int]:
    """The alerts of a message that its sender may speak of, and how many others were left out.

    A sender that may speak for some nodes alone may not speak of zones or clusters.

    Raises
    ------
    Malformed
        Not a message of version 4; names the path, what was expected and what was found.

    """
    try:
        message = _Message.model_validate_json(body)
    except ValidationError as error:
        raise Malformed(_first(error)) from None
    alerts = [_external(alert) for alert in message.alerts]
    permitted = [a for a in alerts if principal.nodes is None or a.place.node in principal.nodes]
    return permitted, len(alerts) - len(permitted)


def _external(alert: _Alert) -> ExternalAlert:
    firing = alert.status == "firing"
    return ExternalAlert(
        fingerprint=alert.fingerprint,
        status=alert.status,
        place=place(alert.labels),
        name=alert.labels.get("alertname", ""),
        summary=alert.annotations.get("summary") or alert.annotations.get("description", ""),
        starts_ns=_ns(alert.startsAt),
        ends_ns=0 if firing else _ns(alert.endsAt),
        labels=tuple(sorted(pair for pair in alert.labels.items() if pair[0] != "alertname"))[:_MOST],
    )


def place(labels: dict[str, str]) -> Resource:
    """Where an alert is: from the labels cluster, zone, node, or else instance without its port."""
    node = next((labels[name] for name in _NODES if labels.get(name)), "") or _host(
        labels.get("instance", "")
    )
    zone = next((labels[name] for name in _ZONES if labels.get(name)), "")
    return Resource(labels.get("cluster", ""), zone, node)


def _host(instance: str) -> str:
    if instance.startswith("["):
        return instance[1:].partition("]")[0]
    host, _, port = instance.rpartition(":")
    return host if host and port.isdecimal() and ":" not in host else instance


def _ns(time: datetime) -> int:
    """Unix nanoseconds; 0 for Go's zero time and anything else before 1970."""
    past = time - _EPOCH
    return max(0, (past.days * 86_400 + past.seconds) * SECOND + past.microseconds * 1000)


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)[0]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in found["loc"]).lstrip(".")
    value = repr(found["input"])[:60]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"webhook: {path or 'body'}: {found['msg']}, found {value}{more}"
