"""Reads the core's API as anyone may."""

from typing import Any

import httpx

from edgeobs.demo.verdict import Decided, Seen
from edgeobs.quantity import quantity


class Api:
    """The core's page and API at ``url``. Every method raises httpx.HTTPError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=3.0, trust_env=False)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def ready(self) -> bool:
        """Whether it would serve senders; False too when nothing listens yet."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def incidents(self) -> list[Seen]:
        """All that are kept, oldest first."""
        return [_seen(each) for each in reversed(self._get("/api/v1/incidents", limit=1000))]

    def decisions(self) -> list[Decided]:
        """All that are kept, oldest first."""
        return [_decided(each) for each in reversed(self._get("/api/v1/decisions", limit=1000))]

    def evidence(self, incident: str, number: int = 3) -> list[str]:
        """The strongest evidence for an incident, a line each."""
        found = self._get(f"/api/v1/incidents/{incident}")["evidence"]
        return [_line(each) for each in found[:number]]

    def _get(self, path: str, **query: int) -> Any:
        answer = self._client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()


def _seen(body: dict[str, Any]) -> Seen:
    place = body["place"]
    return Seen(
        id=body["id"],
        scope=body["scope"],
        zone=place["zone"],
        node=place["node"],
        opened_s=body["opened_s"] or 0.0,
        resolved_s=body["resolved_s"],
        title=body["title"],
    )


def _decided(body: dict[str, Any]) -> Decided:
    action = body["action"]
    return Decided(
        id=body["id"],
        incident=action["incident_id"],
        verb=action["verb"],
        zone=action["target"]["zone"],
        node=action["target"]["node"],
        verdict=body["verdict"],
        rule=body["rule"],
        dry_run=body["dry_run"],
        decided_s=body["decided_s"] or 0.0,
        text=body["text"],
        latency_ms=body.get("latency_ms"),
    )


def _line(body: dict[str, Any]) -> str:
    """One piece of evidence: what, how much, what was expected, how surprising."""
    if body["source"] != "series" or body["value"] is None:
        return str(body["text"])
    low, high, unit = body["low"], body["high"], body["unit"]
    known = low is not None and high is not None
    expected = f" (expected {quantity(low, unit)} to {quantity(high, unit)})" if known else ""
    score = f", score {body['score']:.1f}" if body["score"] is not None else ""
    return f"{body['brief']}: {quantity(body['value'], unit)}{expected}{score}"
