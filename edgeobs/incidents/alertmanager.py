"""Tells every replica of Alertmanager of incidents: at once, again in time, and when they are over."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import httpx

from edgeobs.incidents.alerts import alert
from edgeobs.incidents.settings import AlertmanagerSettings
from edgeobs.signals import SECOND, Counts, Decision, Incident

_SENT = "edgeobs_alerts_sent_total"
_AT_ONCE = 100  # alerts per request
_DECISIONS = 16


class _Held(NamedTuple):
    version: int
    incident: Incident
    decisions: tuple[Decision, ...]


class AlertSender:
    """Holds the alerts of incidents and keeps every replica told. All methods belong to one event loop.

    A replica that cannot be reached is tried again with growing, jittered pauses and does not delay the
    others. What it missed it gets whole when it is back: only the last word on each incident is kept.

    Parameters
    ----------
    settings, counts
        Replicas and times; sent, failed and dropped alerts are counted by result.
    clock
        Unix nanoseconds.

    """

    def __init__(
        self, settings: AlertmanagerSettings, counts: Counts, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._settings, self._counts, self._clock = settings, counts, clock
        self._held: dict[str, _Held] = {}
        self._version = 0
        self._news = {url: asyncio.Event() for url in settings.urls}

    def offer(self, incidents: Iterable[Incident], decisions: Iterable[Decision] = ()) -> None:
        """Take in incidents that changed and new decisions; never waits."""
        for incident in incidents:
            known = self._held.get(incident.id)
            if known is None and (incident.resolved_ns or len(self._held) >= self._settings.queue):
                self._counts[_SENT, "dropped"] += not incident.resolved_ns
                continue
            self._hold(incident, known.decisions if known else ())
        for decision in decisions:
            known = self._held.get(decision.action.incident)
            if known is not None:
                self._hold(known.incident, (*known.decisions, decision)[-_DECISIONS:])
        for event in self._news.values():
            event.set()

    async def run(self) -> None:
        """Send until cancelled."""
        if not self._settings.urls:
            return
        async with (
            httpx.AsyncClient(timeout=self._settings.timeout_s) as client,
            asyncio.TaskGroup() as group,
        ):
            for url in self._settings.urls:
                group.create_task(self._keep_told(client, url))

    def _hold(self, incident: Incident, decisions: tuple[Decision, ...]) -> None:
        self._version += 1
        self._held[incident.id] = _Held(self._version, incident, decisions)

    async def _keep_told(self, client: httpx.AsyncClient, url: str) -> None:
        told: dict[str, tuple[int, int]] = {}  # incident → version, when
        pause = self._settings.retry_s
        while True:
            self._news[url].clear()
            due = self._due(told)
            if due and not await self._send(client, url, due, told):
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  jitter, no secret
                pause = min(2 * pause, self._settings.refresh_s)
                continue
            pause = self._settings.retry_s
            if len(due) < _AT_ONCE:
                await self._wait(url)

    def _due(self, told: dict[str, tuple[int, int]]) -> list[_Held]:
        """What this replica has not heard, or not lately; lets go of what is long over."""
        now = self._clock()
        again, over = int(self._settings.refresh_s * SECOND), int(self._settings.lifetime_s * SECOND)
        for key in [k for k, h in self._held.items() if 0 < h.incident.resolved_ns < now - over]:
            del self._held[key]
        for key in told.keys() - self._held.keys():
            del told[key]
        due = []
        for key, held in self._held.items():
            version, when = told.get(key, (0, 0))
            if version < held.version or (not held.incident.resolved_ns and now - when >= again):
                due.append(held)
        return due[:_AT_ONCE]

    async def _send(
        self, client: httpx.AsyncClient, url: str, due: list[_Held], told: dict[str, tuple[int, int]]
    ) -> bool:
        now = self._clock()
        lifetime, page = self._settings.lifetime_s, self._settings.page_url
        body = [alert(held.incident, held.decisions, now, lifetime, page) for held in due]
        try:
            response = await client.post(f"{url.rstrip('/')}/api/v2/alerts", json=body)
            sent = response.is_success
        except httpx.HTTPError:
            sent = False
        self._counts[_SENT, "ok" if sent else "error"] += len(due)
        if sent:
            told.update({held.incident.id: (held.version, now) for held in due})
        return sent

    async def _wait(self, url: str) -> None:
        """Until there is news, or a refresh may be due."""
        try:
            async with asyncio.timeout(self._settings.refresh_s / 4):
                await self._news[url].wait()
        except TimeoutError:
            return
