"""History from a Prometheus by its query-range API, in chunks that are bounded on both sides.

Series get the identity that remote write would have given them. Float samples only: native histograms are
left out and counted. Source: Prometheus's HTTP API, *Range queries*.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import numpy as np

from edgeobs.backtest.read import MAX_SAMPLES, History
from edgeobs.ingest.remote_write_series import UNSPECIFIED, named, scalar_kind
from edgeobs.replay import Recording
from edgeobs.signals import SECOND, Identity

STEPS_A_CHUNK = 1_000  # Prometheus answers 11,000 at most
MAX_BODY = 256 << 20
MAX_CHUNKS = 100_000
TIMEOUT_S = 60.0


class PrometheusError(RuntimeError):
    """It could not be asked, or answered with an error; the message says which query and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What is asked for; times in Unix seconds."""

    queries: tuple[str, ...]
    start_s: float
    end_s: float
    step_s: float


class Ask(NamedTuple):
    """One request."""

    query: str
    start_s: float
    end_s: float


def asks(wanted: Range) -> list[Ask]:
    """The requests that cover a range once, each bounded. Raises PrometheusError when there are too many."""
    if wanted.end_s < wanted.start_s:
        raise PrometheusError("--start: expected a time before --end")
    count = int((wanted.end_s - wanted.start_s) / wanted.step_s + 1e-9) + 1
    chunks = range(0, count, STEPS_A_CHUNK)
    if len(chunks) * len(wanted.queries) > MAX_CHUNKS:
        raise PrometheusError(f"{count} steps a query: expected a larger --step, or a shorter range")
    return [
        Ask(
            query,
            wanted.start_s + first * wanted.step_s,
            wanted.start_s + (min(first + STEPS_A_CHUNK, count) - 1) * wanted.step_s,
        )
        for query in wanted.queries
        for first in chunks
    ]


def bearer(file: Path) -> str:
    """The token in a file. Raises OSError, PrometheusError."""
    token = file.read_bytes().strip()
    if not token or not token.isascii() or len(token) > 65_536 or len(token.split()) > 1:
        raise PrometheusError(f"{file}: expected one token")
    return token.decode()


def fetch(url: str, wanted: Range, token: str = "", timeout_s: float = TIMEOUT_S) -> Iterator[History]:
    """Each chunk's history, in the order of `asks`. Raises PrometheusError."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    total = 0
    with httpx.Client(headers=headers, timeout=timeout_s) as client:
        for ask in asks(wanted):
            history = _chunk(client, url, ask, wanted.step_s)
            total += len(history.recording.series)
            if total > MAX_SAMPLES:
                raise PrometheusError(
                    f"{plain(url)}: more than {MAX_SAMPLES} samples: narrow the queries, or raise --step"
                )
            yield history


def plain(url: str) -> str:
    """An address for people: without what it may hold of a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _chunk(client: httpx.Client, url: str, ask: Ask, step_s: float) -> History:
    place = f"{plain(url)}: query {ask.query!r}"
    form = {"query": ask.query, "start": repr(ask.start_s), "end": repr(ask.end_s), "step": repr(step_s)}
    body = bytearray()
    try:
        with client.stream("POST", f"{url.rstrip('/')}/api/v1/query_range", data=form) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_BODY:
                    raise PrometheusError(
                        f"{place}: answers more than {MAX_BODY >> 20} MiB at once: narrow it"
                    )
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PrometheusError(f"{place}: {str(error) or type(error).__name__}") from error
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            raise PrometheusError(f"{place}: {answer.get('errorType', 'error')}: {answer.get('error', '')}")
        data = answer["data"]
        if data["resultType"] != "matrix":
            raise PrometheusError(f"{place}: expected a matrix, found {data['resultType']}")
        return _history(data["result"], ask.query, answer.get("warnings") or [])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise PrometheusError(f"{place}: HTTP {status}: no answer of a Prometheus") from error


def _history(rows: list[Any], query: str, warnings: list[str]) -> History:
    identities: list[Identity] = []
    series, stamps, values = [], [], []
    histograms = 0
    for row in rows:
        histograms += len(row.get("histograms", ()))
        samples = row.get("values") or []
        if not samples:
            continue
        series.append(np.full(len(samples), len(identities), np.int32))
        identities.append(identity(row["metric"], query))
        stamps.append(np.array([sample[0] for sample in samples], np.float64))
        values.append(np.array([float(sample[1]) for sample in samples]))
    notes = [f"{query}: {warning}" for warning in warnings]
    if histograms:
        notes.append(f"{query}: {histograms} native histograms left out")
    if not series:
        empty = Recording([], np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
        return History(empty, notes=notes)
    milliseconds = np.round(np.concatenate(stamps) * 1000).astype(np.int64)
    time_ns = milliseconds * (SECOND // 1000)
    return History(
        Recording(identities, np.concatenate(series), time_ns, np.concatenate(values)), notes=notes
    )


def identity(metric: dict[str, str], query: str) -> Identity:
    """The series as remote write would name it; a nameless one is called as the expression."""
    what = named(({"__name__": query} | metric).items())
    if what is None:
        raise ValueError(f"no series: {metric}")
    return Identity(what.source, what.name, what.labels, scalar_kind(what.name, UNSPECIFIED))
