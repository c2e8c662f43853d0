"""Times and durations as promtool and Grafana take them; pure."""

import re
from datetime import UTC, datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_LONGEST_S = 9e9


class TimeError(ValueError):
    """The text is no time or duration; the message says what was expected."""


def seconds(text: str) -> float:
    """A duration above 0: ``15``, ``15s``, ``1h30m``. TimeError."""
    try:
        found = float(text)
    except ValueError:
        parts = _PART.findall(text)
        whole = "".join(number + unit for number, unit in parts) == text
        found = sum(int(number) * _UNITS[unit] for number, unit in parts) if whole else 0.0
    if not 0 < found < _LONGEST_S:
        raise TimeError(f"expected a duration such as 15s or 1h30m, found {text!r}")
    return found


def moment(text: str, now_s: float) -> float:
    """Unix seconds: ``1700000000``, ``2024-03-01T12:00:00Z`` (UTC where no zone is said), ``now-6h``.

    Raises TimeError.
    """
    if text == "now":
        return now_s
    if text.startswith("now-"):
        return now_s - seconds(text[4:])
    try:
        found = float(text)
    except ValueError:
        found = _date(text)
    if not 0 <= found < _LONGEST_S:
        raise TimeError(f"expected a time between 1970 and 2255, found {text!r}")
    return found


def _date(text: str) -> float:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(f"expected Unix seconds, RFC 3339, now or now-6h, found {text!r}") from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
