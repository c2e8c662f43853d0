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
from edgeobs.replay import Recording, RecordingError
from edgeobs.signals import SECOND, Identity

STEPS_A_CHUNK = 1_000  # Prometheus answers 11,000 at most
MAX_BODY = 256 << 20
MAX_CHUNKS = 100_000
TIMEOUT_S = 60.0
LATEST_S = 9e9  # nanoseconds of it still fit


class PrometheusError(RuntimeError):
    """It could not be asked, or answered with an error; the message says which query and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What is asked for; times in Unix milliseconds, as Prometheus counts; the step is ≥ 1."""

    queries: tuple[str, ...]
    start_ms: int
    end_ms: int
    step_ms: int


class Ask(NamedTuple):
    """One request."""

    query: str
    start_ms: int
    end_ms: int


def asks(wanted: Range) -> list[Ask]:
    """The requests that cover a range once, each bounded. RecordingError for none, or too many."""
    if wanted.end_ms < wanted.start_ms:
        raise RecordingError("--start: expected a time before --end")
    count = (wanted.end_ms - wanted.start_ms) // wanted.step_ms + 1
    chunks = range(0, count, STEPS_A_CHUNK)
    if len(chunks) * len(wanted.queries) > MAX_CHUNKS:
        raise RecordingError(f"{count} steps a query: expected a larger --step, or a shorter range")
    return [
        Ask(
            query,
            wanted.start_ms + first * wanted.step_ms,
            wanted.start_ms + (min(first + STEPS_A_CHUNK, count) - 1) * wanted.step_ms,
        )
        for query in wanted.queries
        for first in chunks
    ]


def bearer(file: Path) -> str:
    """The token in a file. Raises OSError, RecordingError."""
    token = file.read_bytes().strip()
    if not token or not token.isascii() or len(token) > 65_536 or len(token.split()) > 1:
        raise RecordingError(f"{file}: expected one token")
    return token.decode()


def fetch(url: str, wanted: Range, token: str = "", timeout_s: float = TIMEOUT_S) -> Iterator[History]:
    """Each chunk's history, in the order of `asks`. Raises PrometheusError, RecordingError."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    total = 0
    with httpx.Client(headers=headers, timeout=timeout_s) as client:
        for ask in asks(wanted):
            history = _chunk(client, url, ask, wanted.step_ms)
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


def _chunk(client: httpx.Client, url: str, ask: Ask, step_ms: int) -> History:
    place = f"{plain(url)}: query {ask.query!r}"
    times = {"start": ask.start_ms, "end": ask.end_ms, "step": step_ms}
    form = {"query": ask.query, **{key: f"{ms // 1000}.{ms % 1000:03}" for key, ms in times.items()}}
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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PrometheusError(f"{place}: HTTP {status}: no answer of a Prometheus") from error


def _history(rows: list[Any], query: str, warnings: list[str]) -> History:
    identities: list[Identity] = []
    series, stamps, values = [], [], []
    histograms = 0
    for row in rows:
        metric = row["metric"]
        histograms += len(row.get("histograms", ()))
        samples = row.get("values") or []
        if not samples:
            continue
        series.append(np.full(len(samples), len(identities), np.int32))
        identities.append(identity(metric, query))
        stamps.append(np.array([sample[0] for sample in samples], np.float64))
        values.append(np.array([float(sample[1]) for sample in samples]))
    notes = [f"{query}: {warning}" for warning in warnings]
    if histograms:
        notes.append(f"{query}: {histograms} native histograms left out")
    if not series:
        empty = Recording([], np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0))
        return History(empty, notes=notes)
    seconds = np.concatenate(stamps)
    if not (np.abs(seconds) < LATEST_S).all():  # NaN is none either
        raise ValueError("no times")
    time_ns = np.round(seconds * 1000).astype(np.int64) * (SECOND // 1000)
    return History(
        Recording(identities, np.concatenate(series), time_ns, np.concatenate(values)), notes=notes
    )


def identity(metric: dict[str, str], query: str) -> Identity:
    """The series as remote write would name it; a nameless one is called as the expression."""
    what = named(({"__name__": query} | metric).items())
    if what is None:
        raise ValueError(f"no series: {metric}")
    return Identity(what.source, what.name, what.labels, scalar_kind(what.name, UNSPECIFIED))
