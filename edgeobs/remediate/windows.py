"""When nothing may be done, or only then: maintenance windows by the clocks on people's walls. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from edgeobs.signals import SECOND, Verdict

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00", re.ASCII)
_LOOK_AHEAD = 15  # days in which the next opening is looked for: two weeks, and a night that began before


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time of the week, as the clocks of its time zone show it: an hour that a change of clocks leaves out
    does not come, one that comes twice counts twice."""

    start: str
    """When it begins, ``HH:MM``."""

    end: str
    """When it is over, ``HH:MM``, not included; before ``start``: on the day after."""

    days: tuple[Day, ...] = DAYS
    """Days on which it begins."""

    timezone: str = "UTC"
    """An IANA time zone."""

    zones: tuple[str, ...] = ()
    """Zones it is for; empty: all."""

    allow: Literal["inside", "outside"] = "inside"
    """``inside``: what is done is done in such a window; ``outside``: nothing is done in it."""

    def text(self) -> str:
        """``sat, sun 22:00-04:00 Europe/Berlin``."""
        days = "" if set(self.days) == set(DAYS) else f"{', '.join(self.days)} "
        return f"{days}{self.start}-{self.end} {self.timezone}"


def window_of(windows: Iterable[Window], zone: str, now_ns: int) -> tuple[Verdict, str]:
    """Whether a zone may be acted upon now: outside all that forbid, inside one of those that allow."""
    mine = [each for each in windows if not each.zones or zone in each.zones]
    for each in mine:
        if each.allow == "outside" and inside(each, now_ns):
            return "held", f"nothing is done in {each.text()}"
    allowing = [each for each in mine if each.allow == "inside"]
    if not allowing:
        return (
            "allowed",
            "no maintenance window is set" if not mine else "outside the windows in which nothing is done",
        )
    found = next((each for each in allowing if inside(each, now_ns)), None)
    if found is not None:
        return "allowed", f"in the maintenance window {found.text()}"
    return "held", f"outside the maintenance windows; {_next(allowing, now_ns)}"


def inside(window: Window, now_ns: int) -> bool:
    """Whether a window is open."""
    local = datetime.fromtimestamp(now_ns / SECOND, _zone(window.timezone))
    minute, today = 60 * local.hour + local.minute, local.date()
    start, end = _minutes(window.start), _minutes(window.end)
    if start < end:
        return _begins(window, today) and start <= minute < end
    if minute >= start:
        return _begins(window, today)
    return minute < end and _begins(window, today - timedelta(days=1))


def problems(windows: Iterable[Window]) -> Iterator[tuple[str, str]]:
    """What is wrong with windows: place, and what was expected and found."""
    for number, each in enumerate(windows):
        place = f"windows[{number}]"
        try:
            _zone(each.timezone)
        except (KeyError, ValueError, OSError):
            known = "expected an IANA time zone that this machine knows (package tzdata)"
            yield f"{place}.timezone", f"{known}, found {each.timezone!r}"
        for key, time in (("start", each.start), ("end", each.end)):
            if not _TIME.fullmatch(time):
                yield f"{place}.{key}", f"expected a time of day, HH:MM up to 24:00; found {time!r}"
        if each.start in {each.end, "24:00"}:
            yield f"{place}.end", f"expected another time than start; found {each.start} to {each.end}"
        if not each.days:
            yield f"{place}.days", "expected at least one day; found none"


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _begins(window: Window, day: date) -> bool:
    return DAYS[day.weekday()] in window.days


def _minutes(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return 60 * int(hours) + int(minutes)


def _next(windows: list[Window], now_ns: int) -> str:
    """When the first of them opens, on its own clocks."""
    now = datetime.fromtimestamp(now_ns / SECOND, UTC)
    opens = [start for each in windows for start in _starts(each, now) if start.astimezone(UTC) > now]
    first = min(opens, key=lambda start: start.astimezone(UTC), default=None)
    return f"the next opens {first:%a %Y-%m-%d %H:%M} {first.tzinfo}" if first else "none opens in two weeks"


def _starts(window: Window, now: datetime) -> Iterator[datetime]:
    zone, minutes = _zone(window.timezone), _minutes(window.start)
    today = now.astimezone(zone).date()
    for number in range(_LOOK_AHEAD):
        day = today + timedelta(days=number)
        if _begins(window, day):
            yield datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=zone)
