"""What an answer to an OTLP/HTTP request means for what was sent. Pure.

OpenTelemetry Protocol 1.5, *OTLP/HTTP response* and *failures*: 429, 502, 503 and 504 are worth another try,
every other 4xx and 5xx is not; Retry-After is heeded; the rest backs off exponentially, with jitter.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

AGAIN = frozenset({429, 502, 503, 504})
FIRST_S, LONGEST_S = 1.0, 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status (0: nothing did) and what Retry-After said; else why there is none."""

    status: int
    retry_after: str = ""
    why: str = ""
    rejected: int = 0  # points that a server left out of what it took


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sent``, ``refused`` (it will never be taken), or ``again`` after ``pause_s``."""

    what: Literal["sent", "refused", "again"]
    pause_s: float = 0.0


def judge(answer: Answer, attempt: int, now_s: float, chance: float) -> Verdict:
    """What to do after the ``attempt``-th failure in a row (from 0).

    ``now_s`` are Unix seconds, for a Retry-After that is a date; ``chance`` in [0, 1) is the jitter, which is
    half of a pause.
    """
    if 200 <= answer.status < 300:
        return Verdict("sent")
    if answer.status and answer.status not in AGAIN:
        return Verdict("refused")
    asked = _seconds(answer.retry_after, now_s)
    if asked is None:
        asked = min(FIRST_S * 2 ** min(attempt, 30), LONGEST_S) * (0.5 + chance / 2)
    return Verdict("again", min(asked, LONGEST_S))


def _seconds(text: str, now_s: float) -> float | None:
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(parsedate_to_datetime(text).timestamp() - now_s, 0.0)
    except (ValueError, OverflowError, TypeError):
        return None
