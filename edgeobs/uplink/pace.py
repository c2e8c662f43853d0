"""When to send next: back off while the core does not answer, come back softly, never flood. Pure.

A thousand nodes lose their core at the same moment and find it again at the same moment. So every pause has
jitter, what has waited is begun at a random time within `Settings.spread_s`, and goes at a bounded rate.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from edgeobs.uplink.parcel import Lane
from edgeobs.uplink.settings import Settings

_BURST_S = 2.0  # of the rate, that may go at once
_CUT_S = 30.0  # without an answer: it was a cut, and others were cut off too

What = Literal["taken", "again", "refused"]
REFUSED = frozenset({400, 413, 415, 422})
"""The core read the parcel and will never take it. Any other failure is not about the parcel."""


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the way to the core. Times are seconds of a clock that only rises."""

    failures: int = 0  # in a row
    failing_s: float = 0.0  # when the first of them was
    not_before_s: float = 0.0  # nothing is sent before
    rest_from_s: float = 0.0  # nothing of the lane `rest` is sent before
    room: float = 0.0  # bytes of the lane `rest` that may go at once; below 0: after a pause
    room_s: float = 0.0  # when that was so
    asked_s: float | None = None  # when the last attempt ended; None: there was none yet
    silent_s: float | None = None  # when the first of those ended that were cut; None: the last was not

    @property
    def up(self) -> bool:
        """Whether the last answer was one."""
        return not self.failures


class Silence(NamedTuple):
    """Whether the core answers at all. A refusal is an answer, and so is a proxy's."""

    asked: bool  # anything was sent since we run
    silent: bool  # the last attempt had no answer, for no reason of ours
    for_s: float  # how long there has been none, seconds; 0 while it answers
    asked_s: float  # how long ago the last attempt ended, seconds

    @property
    def answers(self) -> bool:
        """Whether it was asked, and said anything."""
        return self.asked and not self.silent


class Pause(NamedTuple):
    """How long to wait before sending, seconds, and why."""

    seconds: float
    reason: str


def judge(status: int) -> What:
    """What an HTTP status means for the parcel that was sent; 0: there was no answer."""
    if 200 <= status < 300:
        return "taken"
    return "refused" if status in REFUSED else "again"


def pace(link: Link, lane: Lane, now_s: float, settings: Settings) -> Pause:
    """How long a parcel of this lane has to wait."""
    if link.not_before_s > now_s:
        return Pause(link.not_before_s - now_s, "the core did not take the last one")
    if lane == "first":
        return Pause(0.0, "incidents do not wait")
    if link.rest_from_s > now_s:
        return Pause(link.rest_from_s - now_s, "the core has just come back, to all at once")
    room = _room(link, now_s, settings)
    if room < 0:
        return Pause(-room / _rate(settings), "the rate limit")
    return Pause(0.0, "there is room")


def after(
    link: Link, lane: Lane, sent: int, status: int, asked_s: float | None, now_s: float, chance: float,
    settings: Settings, *, cut: bool = False,
) -> Link:  # fmt: skip
    """What is known after an attempt.

    Parameters
    ----------
    sent
        Bytes of the parcel.
    status
        HTTP status; 0: there was no answer.
    asked_s
        Seconds that the core asked to wait; None: it did not.
    chance
        In [0, 1): which part of the jitter.
    cut
        Nothing came back, for a reason that is not ours.

    """
    room = _room(link, now_s, settings) - (sent if lane == "rest" else 0)
    first_s = now_s if link.silent_s is None else link.silent_s
    silent_s = first_s if cut else None
    link = replace(link, room=room, room_s=now_s, asked_s=now_s, silent_s=silent_s)
    if judge(status) == "again":
        doubled = settings.first_pause_s * 2 ** min(link.failures, 30)
        pause = min(doubled, settings.longest_pause_s) * (0.5 + chance / 2)
        if asked_s is not None:
            pause = min(max(asked_s, 0.0) * (1.0 + chance / 2), settings.longest_pause_s)
        since = link.failing_s if link.failures else now_s
        return replace(link, failures=link.failures + 1, failing_s=since, not_before_s=now_s + pause)
    was_cut = link.failures > 0 and now_s - link.failing_s >= _CUT_S
    rest_from_s = now_s + chance * settings.spread_s if was_cut else link.rest_from_s
    return replace(link, failures=0, failing_s=0.0, not_before_s=now_s, rest_from_s=rest_from_s)


def silence(link: Link, now_s: float) -> Silence:
    """How long the core has not answered, as far as is known."""
    for_s = 0.0 if link.silent_s is None else now_s - link.silent_s
    asked_s = 0.0 if link.asked_s is None else now_s - link.asked_s
    return Silence(link.asked_s is not None, link.silent_s is not None, for_s, asked_s)


def _rate(settings: Settings) -> float:
    return settings.rate_kib_per_s * 1024


def _room(link: Link, now_s: float, settings: Settings) -> float:
    filled = link.room + max(now_s - link.room_s, 0.0) * _rate(settings)
    return min(filled, _BURST_S * _rate(settings))
