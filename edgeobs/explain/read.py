"""A node's series out of a core's snapshot: what is known of each, and what is to come."""

import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeobs import snapshot
from edgeobs.detect import Settings
from edgeobs.detect.bank import SeriesBank
from edgeobs.detect.explain import Explanation
from edgeobs.detect.sample import LAST
from edgeobs.explain.text import plain
from edgeobs.signals import SECOND, Identity, Resource

STAGE = "detect.series"
AHEAD_S = (300, 900, 1800, 3600)
"""Seconds after a series' last sample at which it is forecast."""
_NEAR = 5  # names that an error offers


class Unreadable(ValueError):
    """There is no snapshot that can be used; the message says where it was looked for, and why."""


class Unknown(LookupError):
    """No such node, or no such series of it; the message has the nearest names."""


class Ahead(NamedTuple):
    """What is expected of a series ``in_s`` seconds after its last sample; NaN: it is too young."""

    in_s: int
    expected: float
    spread: float


class Told(NamedTuple):
    """One series: its last sample, what that would score were it to come again, and what is to come."""

    identity: Identity
    at_ns: int
    found: Explanation
    ahead: tuple[Ahead, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a snapshot holds of series."""

    path: Path
    identities: list[Identity | None]  # by series id
    bank: SeriesBank


def read(folder: Path, settings: Settings) -> Learned:
    """The snapshot in a core's data directory. Raises Unreadable."""
    path = folder / snapshot.NAME
    try:
        table, _, stages = snapshot.read(path)
        bank = SeriesBank(settings, fast=False, home=lambda number: _home(table.identities[number]))
        if STAGE not in stages:
            raise Unreadable(f"{path}: holds nothing of the detector of series ({STAGE})")
        bank.restore(stages[STAGE])
    except FileNotFoundError as error:
        raise Unreadable(
            f"{path}: no snapshot there; a core writes one every engine.snapshot_interval_s and when it ends "
            "(say where with --config or --data-dir)"
        ) from error
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    except ValueError as error:
        told = str(error)
        raise Unreadable(told if told.startswith(str(path)) else f"{path}: {told}") from error
    return Learned(path, table.identities, bank)


def _home(identity: Identity | None) -> Resource:
    if identity is None:
        raise KeyError(identity)
    return identity.source.resource


def of_node(learned: Learned, node: str, metric: str = "") -> list[Told]:
    """The series of a node that have shown something, the most surprising first.

    Parameters
    ----------
    node
        Its name, or with its zone before it: ``zone/node``. Raises Unknown for any other.
    metric
        Shell-style pattern of names, or of ``name{label="value"}``; empty: all. Unknown when it fits none.

    """
    mine = {
        number: identity
        for number, identity in enumerate(learned.identities)
        if identity is not None and node in _names(identity)
    }
    if not mine or not node:
        known = {_names(identity)[0] for identity in learned.identities if identity is not None} - {""}
        raise Unknown(f"{node!r}: no such node in {learned.path}; {_nearest(node, known)}")
    chosen = [number for number, identity in mine.items() if not metric or _fits(identity, metric)]
    if not chosen:
        known = {identity.text() for identity in mine.values()} | {each.name for each in mine.values()}
        raise Unknown(f"{metric!r}: no such series of {node}; {_nearest(metric, known)}")
    memory = learned.bank.memory
    heard = [number for number in chosen if number < len(memory) and memory.at_ns[number] > 0]
    told = [_told(learned.bank, number, mine[number]) for number in heard]
    return sorted(told, key=lambda each: (-each.found.score, -each.found.joined, each.identity.text()))


def _names(identity: Identity) -> tuple[str, str]:
    place = identity.source.resource
    return place.node, f"{place.zone}/{place.node}"


def _fits(identity: Identity, metric: str) -> bool:
    text = identity.text()
    return metric in {identity.name, text} or fnmatchcase(identity.name, metric) or fnmatchcase(text, metric)


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=_NEAR, cutoff=0.4)
    if near:
        return plain(f"nearest: {', '.join(near)}")
    some = ", ".join(sorted(known)[:_NEAR])
    return (
        f"there are {len(known)}: {some}{', …' if len(known) > _NEAR else ''}" if known else "there is none"
    )


def _told(bank: SeriesBank, number: int, identity: Identity) -> Told:
    at_ns, last = int(bank.memory.at_ns[number]), float(bank.memory.reals[number, LAST])
    found = bank.explain(number, at_ns, last)
    found = bank.explain(number, at_ns + int(found.interval_s * SECOND), last)
    times = at_ns + np.array(AHEAD_S, np.int64) * SECOND
    expected, spread = bank.forecast(np.full(len(times), number, np.int32), times)
    ahead = zip(AHEAD_S, expected.tolist(), spread.tolist(), strict=True)
    return Told(identity, at_ns, found, tuple(Ahead(*each) for each in ahead))
