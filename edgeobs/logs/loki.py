"""Lines from Loki: a thin client for one question, bounded in lines, bytes and time."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from edgeobs.logs.logql import logql
from edgeobs.logs.settings import LokiSettings

__all__ = ["Loki", "LokiError", "LokiSettings", "logql"]


class LokiError(Exception):
    """Loki did not answer, not in time, or not what can be used; its text is for people."""


@dataclass(frozen=True)
class Loki:
    """Asks Loki. Safe to use from several threads: every question has a connection of its own."""

    settings: LokiSettings
    transport: httpx.BaseTransport | None = field(default=None, repr=False)  # of tests

    def lines(self, query: str, start_ns: int, end_ns: int, limit: int = 100) -> list[tuple[int, str]]:
        """The newest lines that ``query`` (LogQL) finds in [start, end), oldest first, with times in ns.

        At most ``limit`` and the ``lines`` of the settings. Raises LokiError.
        """
        if not self.settings.url:
            raise LokiError("no url of Loki is configured")
        most = max(1, min(limit, self.settings.lines))
        asked: dict[str, str | int] = {
            "query": query, "start": start_ns, "end": end_ns, "limit": most, "direction": "backward",
        }  # fmt: skip
        raw = self._ask(f"{self.settings.url.rstrip('/')}/loki/api/v1/query_range", asked)
        return self._read(raw, most)

    def _ask(self, url: str, asked: dict[str, str | int]) -> bytes:
        deadline = time.monotonic() + self.settings.timeout_s
        try:
            with (
                httpx.Client(
                    timeout=self.settings.timeout_s, transport=self.transport, trust_env=False
                ) as client,
                client.stream("GET", url, params=asked, headers=self._headers()) as answer,
            ):
                body = self._body(answer, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise LokiError(f"{url}: {type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            told = body[:200].decode("utf-8", "replace").strip()
            raise LokiError(f"{url} answered {answer.status_code}: {told}")
        return body

    def _body(self, answer: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        for piece in answer.iter_bytes():  # as it comes: a size would wait for that many, drop by drop
            body += piece
            if len(body) > self.settings.answer_bytes:
                raise LokiError(f"{answer.url}: the answer is longer than {self.settings.answer_bytes} bytes")
            if time.monotonic() > deadline:
                raise LokiError(f"{answer.url}: no whole answer within {self.settings.timeout_s:g} s")
        return bytes(body)

    def _headers(self) -> dict[str, str]:
        found = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self.settings.tenant:
            found["X-Scope-OrgID"] = self.settings.tenant
        if self.settings.token_file is not None:
            found["Authorization"] = f"Bearer {self.settings.token_file.read_text().strip()}"
        return found

    def _read(self, raw: bytes, most: int) -> list[tuple[int, str]]:
        try:
            streams: Any = json.loads(raw)["data"]["result"]
            found = [
                (int(value[0]), str(value[1])[: self.settings.line_characters])
                for stream in streams
                for value in stream["values"]
            ]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise LokiError(f"the answer is none of Loki's: {error!r}") from error
        return sorted(found)[-most:]
