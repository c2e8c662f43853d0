"""What an answer to an OTLP/HTTP request means for it. Pure.

OpenTelemetry Protocol 1.5, *OTLP/HTTP response* and *failures*: 429, 502, 503 and 504 are worth another try,
every other 4xx and 5xx is not; Retry-After is heeded; the rest backs off exponentially, with jitter.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from edgeobs.node.settings import Sending

RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status (0: nothing, the connection failed) and what Retry-After said."""

    status: int
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sent``, ``refused`` (never again) or ``again`` after ``pause_s``."""

    what: Literal["sent", "refused", "again"]
    pause_s: float = 0.0


def judge(answer: Answer, attempt: int, settings: Sending, now_s: float, chance: float) -> Verdict:
    """What to do about the ``attempt``-th answer to a request (from 0).

    Parameters
    ----------
    now_s
        Unix seconds: Retry-After may be a date.
    chance
        In [0, 1): which part of the jitter; half of a pause is certain.

    """
    if 200 <= answer.status < 300:
        return Verdict("sent")
    if answer.status and answer.status not in RETRYABLE:
        return Verdict("refused")
    asked = seconds(answer.retry_after, now_s)
    if asked is None:
        doubled = settings.first_pause_s * 2 ** min(attempt, 30)
        asked = min(doubled, settings.longest_pause_s) * (0.5 + chance / 2)
    return Verdict("again", min(asked, settings.longest_pause_s))


def seconds(retry_after: str, now_s: float) -> float | None:
    """Retry-After (RFC 9110, 10.2.3: seconds or a date) as seconds from now, ≥ 0; None: it says nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - now_s, 0.0)
    except (ValueError, OverflowError):
        return None
