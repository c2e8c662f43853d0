"""Keeps the mirror true to the API server: carries out what `watching` says. Belongs to one event loop."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

import httpx
import structlog

from edgeobs.calls import Answer
from edgeobs.kube import trim
from edgeobs.kube.clock import Pulse, boot_ns
from edgeobs.kube.connection import MAX_BODY, TROUBLES, Pace, trouble
from edgeobs.kube.mirror import Mirror
from edgeobs.kube.pool import Pool
from edgeobs.kube.protocol import answer, refusal
from edgeobs.kube.resources import Watched
from edgeobs.kube.watching import (
    Change,
    Ended,
    Event,
    Failed,
    Heard,
    List,
    Next,
    Open,
    Opened,
    Page,
    State,
    step,
)

log = structlog.get_logger("edgeobs.kube")

PAGE = 500
"""Objects of one page of a list."""

_MAX_LINE = 16 << 20  # bytes of one event; etcd takes no object of more than some MB
_GRACE_S = 5.0  # a watch that is not closed by so much after its time hangs
_WAITED_NS = 1_000_000  # who had to wait this long for the next bytes had read all that were there
_NONSENSE = (ValueError, KeyError, TypeError, AttributeError)  # what JSON of another shape leads to
_BY_NAME = frozenset({"Node", "Lease", "PersistentVolume"})  # looked up by it


class Reflector:
    """One kind.

    Parameters
    ----------
    http
        A client with the server's URL and our credentials.
    watched, mirror, pool
        What is watched, where it is put, what shares equal parts.
    pace
        Bound on requests per second.
    rotate_s, list_s
        How long a watch stays open, and how long a page of a list may take, seconds.
    pulse
        Of the loop: after a standstill the open watch is left.

    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        watched: Watched,
        mirror: Mirror,
        pool: Pool,
        pace: Pace,
        rotate_s: float,
        list_s: float,
        pulse: Pulse,
        clock: Callable[[], int] = boot_ns,
    ) -> None:
        self._http, self._watched, self._mirror, self._pool = http, watched, mirror, pool
        self._pace, self._rotate_s, self._list_s, self._clock = pace, rotate_s, list_s, clock
        self._pages: list[Change] = []
        self._listed_ns, self._pulse = 0, pulse

    async def run(self) -> None:
        """Until cancelled."""
        state, todo = State(), Next(List())
        while True:
            await asyncio.sleep(todo.pause_s)
            if isinstance(todo.ask, Open):
                state, todo = await self._watch(state, todo.ask.version)
            else:
                token = todo.ask.token if isinstance(todo.ask, List) else ""
                state, todo = self._decide(state, await self._list(token))

    def _decide(self, state: State, event: Event) -> tuple[State, Next]:
        """The next thing to do, what was learned being put into the mirror."""
        state, todo = step(state, event, random.random())  # noqa: S311  jitter, no secret
        kind = self._watched.kind
        if isinstance(event, Failed):
            self._mirror.trouble(kind, f"{event.status} {event.reason}: {event.text}")
            log.info("watch_failed", kind=kind, status=event.status, reason=event.reason, text=event.text,
                     again_s=round(todo.pause_s, 2))  # fmt: skip
        if todo.page:
            self._pages += todo.changes
        if todo.whole:
            self._mirror.replace(kind, self._pages, self._listed_ns)
            self._pages = []
        return state, todo

    async def _list(self, token: str) -> Event:
        """One page."""
        params = {"limit": str(PAGE)} | ({"continue": token} if token else {}) | self._fields()
        try:
            await asyncio.sleep(self._pace.reserve())
            if not token:
                self._pages, self._listed_ns = [], self._clock()
            async with asyncio.timeout(self._list_s):
                status, after, body = await self._get(params)
            if status != 200:
                return _failed(answer(status, after, body))
            return self._page(json.loads(body))
        except (*TROUBLES, *_NONSENSE) as error:
            return Failed(0, "", trouble(error))

    async def _get(self, params: Mapping[str, str]) -> tuple[int, str, bytes]:
        async with self._http.stream("GET", self._watched.path, params=params) as response:
            return response.status_code, response.headers.get("Retry-After", ""), await _body(response)

    def _page(self, found: Mapping[str, Any]) -> Page:
        meta = found.get("metadata") or {}
        items = [self._change("ADDED", each) for each in found.get("items") or ()]
        kept = [each for each in items if each.item is not None]
        return Page(kept, str(meta.get("resourceVersion") or ""), str(meta.get("continue") or ""))

    async def _watch(self, state: State, version: str) -> tuple[State, Next]:
        """One watch, from its opening to its end or until it is left."""
        rotate_s = max(int(self._rotate_s * random.uniform(0.8, 1)), 1)  # noqa: S311  jitter, no secret
        params = {
            "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(rotate_s),
            "resourceVersion": version,
        } | self._fields()  # fmt: skip
        await asyncio.sleep(self._pace.reserve())
        begun = self._clock()
        try:
            async with asyncio.timeout(rotate_s + _GRACE_S), self._stream(params) as response:
                if response.status_code == 200:
                    self._mirror.watching(self._watched.kind)
                    state, failed = await self._follow(state, response)
                else:
                    after, body = response.headers.get("Retry-After", ""), await _body(response)
                    failed = _failed(answer(response.status_code, after, body))
        except TimeoutError:
            failed = Failed(0, "", f"silent, or not closed {_GRACE_S:g} s after its time")
        except TROUBLES as error:
            failed = Failed(0, "", trouble(error))
        return self._decide(state, failed or Ended((self._clock() - begun) / 1e9))

    async def _follow(self, state: State, response: httpx.Response) -> tuple[State, Failed | None]:
        """An open watch to its end, or to what makes us leave it."""
        state, _ = step(state, Opened(), 0.0)
        gaps, before = self._pulse.gaps, self._clock()
        async for lines in _lines(response):
            now = self._clock()
            if self._pulse.gaps != gaps:
                return state, Failed(0, "", "this process stood still; what the stream holds may be old")
            changes, failed = self._events(lines)
            state = self._heard(state, changes, now if now - before >= _WAITED_NS else None)
            if failed is not None:
                return state, failed
            before = self._clock()
        return state, None

    def _stream(self, params: Mapping[str, str]) -> Any:
        """A watch is sent as it is, so that every event comes at once."""
        headers = {"Accept-Encoding": "identity"}
        timeout = httpx.Timeout(self._list_s, read=None)
        return self._http.stream("GET", self._watched.path, params=params, headers=headers, timeout=timeout)

    def _heard(self, state: State, changes: list[Change], as_of_ns: int | None) -> State:
        if not changes:
            return state
        state, todo = step(state, Heard(changes), 0.0)
        self._mirror.apply(self._watched.kind, todo.changes, as_of_ns)
        return state

    def _events(self, lines: Iterable[bytes]) -> tuple[list[Change], Failed | None]:
        """The events of lines, up to an ERROR or nonsense."""
        changes: list[Change] = []
        for line in lines:
            try:
                event = json.loads(line)
                kind, found = event["type"], event["object"]
                if kind == "ERROR":
                    return changes, _failed(refusal(found))
                changes.append(self._change(kind, found))
            except _NONSENSE as error:
                return changes, Failed(0, "", f"an event that is none: {trouble(error)}")
        return changes, None

    def _change(self, kind: str, found: dict[str, Any]) -> Change:
        meta = found["metadata"]
        version = str(meta.get("resourceVersion") or "")
        if kind == "BOOKMARK":
            return Change("", "", version, None)
        found.setdefault("kind", self._watched.kind)
        uid, name = str(meta.get("uid") or ""), str(meta["name"])
        key = name if self._watched.kind in _BY_NAME else uid or f"{meta.get('namespace') or ''}/{name}"
        if kind == "DELETED":
            return Change(key, uid, version, None, gone=True)
        return Change(key, uid, version, trim.named(self._watched.trim, found, self._pool))

    def _fields(self) -> dict[str, str]:
        return {"fieldSelector": self._watched.fields} if self._watched.fields else {}


def _failed(said: Answer) -> Failed:
    return Failed(said.status, said.reason, said.text, said.retry_after_s)


async def _body(response: httpx.Response) -> bytes:
    """A whole response. Raises ValueError where it is too large."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY:
            raise ValueError(f"a page is larger than {MAX_BODY} bytes")
    return bytes(body)


async def _lines(response: httpx.Response) -> AsyncIterator[list[bytes]]:
    """The whole lines of each piece that arrives."""
    rest = b""
    async for piece in response.aiter_raw():
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _MAX_LINE:
            raise ValueError(f"an event is larger than {_MAX_LINE} bytes")
        if lines := [line for line in lines if line.strip()]:
            yield lines
