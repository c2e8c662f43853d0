"""List, then watch: what to do next after whatever happened. Pure.

Semantics: Kubernetes API concepts, *Efficient detection of changes*, *Watch bookmarks*, *410 Gone responses*.
A list without a resourceVersion is the most recent state; a watch goes on from its version. Versions of one
kind are compared as KEP-5504 has it, where they are decimal numbers without leading zeros; others are opaque,
and the order of the stream counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

FIRST_S, CEILING_S = 0.5, 30.0
"""The first pause after a failure is drawn from [0, ``FIRST_S``), doubling up to the ceiling: full jitter."""

_STEADY_S = 1.0  # a watch that lasted so long may be opened again at once
_LOST = frozenset({"Expired", "Gone", "ResourceVersionTooLarge"})


class Change(NamedTuple):
    """An event of a watch, its object trimmed. ``item`` None: it is nothing that we hold."""

    key: str
    uid: str
    version: str
    item: Any
    gone: bool = False  # deleted


class Page(NamedTuple):
    """A page of a list came. ``more`` is the token of the next; empty: it was the last."""

    items: Sequence[Change]
    version: str
    more: str = ""


class Opened(NamedTuple):
    """The server took the watch."""


class Heard(NamedTuple):
    """Events came, and versions of bookmarks (as changes without a key), in the order of the stream."""

    changes: Sequence[Change]


class Ended(NamedTuple):
    """The server closed the watch, as it does when its time is over."""

    lasted_s: float


class Failed(NamedTuple):
    """No answer (status 0, silence too), a refusal, an ERROR event, or nonsense."""

    status: int
    reason: str = ""
    text: str = ""
    retry_after_s: float = 0.0


Event = Page | Opened | Heard | Ended | Failed


class List(NamedTuple):
    """Ask for a page; without a token for the first."""

    token: str = ""


class Open(NamedTuple):
    """Watch from a version on."""

    version: str


class Read(NamedTuple):
    """Read on from the open watch."""


@dataclass(frozen=True, slots=True)
class State:
    """What a reflector remembers."""

    version: str | None = None  # where a watch goes on; None: list first
    listing: str | None = None  # the version of the list that is being paged
    listed: str = ""  # the version of the last whole list: it tells all that is no newer
    failures: int = 0  # in a row
    spoke: bool = False  # the open watch has shown an event or a bookmark


@dataclass(frozen=True, slots=True)
class Next:
    """What to do: take in ``changes`` (all of the kind, where ``whole``), pause, then ``ask``."""

    ask: List | Open | Read
    pause_s: float = 0.0
    changes: Sequence[Change] = ()
    page: bool = False  # the changes are a page of a list: kept until it is whole
    whole: bool = False  # the list is whole: its pages replace everything
    heard: bool = False  # the stream spoke: what is held is as of now


def step(state: State, event: Event, chance: float) -> tuple[State, Next]:
    """What follows an event; ``chance`` in [0, 1) draws the jitter. To begin: ``State()``, ask ``List()``."""
    match event:
        case Page():
            return _page(state, event)
        case Opened():
            return replace(state, spoke=False), Next(Read())
        case Heard():
            return _heard(state, event)
        case Ended():
            return _ended(state, event, chance)
        case Failed():
            if event.status in {400, 410} or event.reason in _LOST:
                state = replace(state, version=None)
            return _later(state, chance, event.retry_after_s)


def _page(state: State, page: Page) -> tuple[State, Next]:
    first = page.version if state.listing is None else state.listing
    if page.more:
        return replace(state, listing=first), Next(List(page.more), changes=page.items, page=True)
    state = State(version=first, listed=first, failures=state.failures)
    return state, Next(Open(first), changes=page.items, page=True, whole=True)


def _heard(state: State, heard: Heard) -> tuple[State, Next]:
    """What the last list told already is left out; of the rest, late events are for `takes` to judge."""
    version = state.version or ""
    for change in heard.changes:
        version = change.version if newer(change.version, version) else version
    changes = [each for each in heard.changes if each.key and newer(each.version, state.listed)]
    return State(version=version, listed=state.listed, spoke=True), Next(Read(), changes=changes, heard=True)


def takes(change: Change, uid: str, version: str, *, held: bool, buried: bool) -> bool:
    """Whether an event tells something new of its object, however late or often it comes.

    Parameters
    ----------
    uid, version
        Of what is held under its key.
    held
        Whether anything is.
    buried
        Whether the event's object was deleted before: a UID never comes back.

    """
    if buried:
        return False
    if not held:
        return True
    if change.gone and change.uid == uid:
        return True
    return newer(change.version, version) and not (change.gone and uid != change.uid)


def _ended(state: State, ended: Ended, chance: float) -> tuple[State, Next]:
    if ended.lasted_s < _STEADY_S:
        return _later(state, chance, 0.0)
    if state.spoke and state.version is not None:
        return state, Next(Open(state.version))
    # A server without bookmarks confirms nothing while it is quiet; a list does.
    return replace(state, version=None), Next(List(), chance * FIRST_S)


def newer(version: str, than: str) -> bool:
    """Whether a version follows another; where they cannot be compared the stream is believed."""
    if _ordinal(version) and _ordinal(than):
        return (len(version), version) > (len(than), than)
    return version != than or not version


def _ordinal(version: str) -> bool:
    return version.isascii() and version.isdigit() and (version[0] != "0" or version == "0")


def _later(state: State, chance: float, asked_s: float) -> tuple[State, Next]:
    """Again after a pause with full jitter; never sooner than the server asked for."""
    most = min(CEILING_S, FIRST_S * 2 ** min(state.failures, 20))
    pause = chance * most + min(asked_s, CEILING_S)
    state = replace(state, failures=state.failures + 1, listing=None, spoke=False)
    return state, Next(List() if state.version is None else Open(state.version), pause)
