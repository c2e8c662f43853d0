"""What is remembered of logs as arrays, and back: numbers, and text as bytes with offsets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.logs.drain import Path
from edgeobs.logs.evidence import Evidence
from edgeobs.logs.workloads import Workloads
from edgeobs.signals import Resource, Source

Arrays = dict[str, NDArray[Any]]

VERSION = 1
_OF_BOOK = ("severity", "lines", "used", "stamped")
_TEXTS = ("born", "words", "path", "example")


class _UnfitError(ValueError):
    """With the reason, for people."""


def state(workloads: Workloads, evidence: Evidence) -> Arrays:
    """Copies; templates and workloads are numbered anew, in order, without gaps."""
    book = workloads.book
    evidence.reserve(len(book.owner), len(workloads.heard))
    owners = workloads.owners()
    numbers = np.flatnonzero(book.owner[: len(book.ids)] >= 0)
    names = numbers.tolist()
    place = np.zeros(len(workloads.heard) + 1, np.int32)
    place[owners] = np.arange(len(owners))
    keys = {number: key for key, number in workloads.numbers.items()}
    trees = [workloads.miners[owner].tree for owner in book.owner[numbers].tolist()]
    both = list(zip(names, trees, strict=True))
    found: Arrays = {"version": np.array([VERSION]), "owner": place[book.owner[numbers]]}
    found |= _packed("key", ("\n".join(keys[int(w)]).encode() for w in owners))
    found |= _packed("source", (_source_text(workloads.source.get(int(w))) for w in owners))
    found |= _packed("born", (" ".join(book.born[n]).encode() for n in names))
    found |= _packed("words", (" ".join(tree.words[n]).encode() for n, tree in both))
    found |= _packed("path", (" ".join(map(str, tree.path[n])).encode() for n, tree in both))
    found |= _packed("example", (book.example[n] for n in names))
    found |= {name: getattr(book, name)[numbers] for name in _OF_BOOK}
    for name, column in _by_template(evidence).items():
        found[name] = column[numbers]
    for name, column in _by_workload(workloads, evidence).items():
        found[name] = column[owners]
    return found


def restore(state: Mapping[str, NDArray[Any]], workloads: Workloads, evidence: Evidence) -> None:
    """Fill what is new and empty. Raises ValueError where it is no state of ours, or too large."""
    try:
        if state["version"].tolist() != [VERSION]:
            raise _UnfitError(f"logs: version {state['version'].tolist()}, not {VERSION}")
        keys, sources = _unpacked("key", state), _unpacked("source", state)
        texts = {name: _unpacked(name, state) for name in _TEXTS}
        _fit(workloads, len(keys), len(texts["born"]))
        for key, source in zip(keys, sources, strict=True):
            principal, namespace, name = key.decode().split("\n")
            number = workloads.add((principal, namespace, name), 0)
            known = _source(source)
            if known is not None:
                workloads.source[number] = known
        _add_templates(state, texts, workloads)
        evidence.reserve(len(workloads.book.owner), len(workloads.heard))
        _fill(_by_template(evidence), state, len(texts["born"]))
        _fill(_by_workload(workloads, evidence), state, len(keys))
        _fill({name: getattr(workloads.book, name) for name in _OF_BOOK}, state, len(texts["born"]))
    except _UnfitError:
        raise
    except (KeyError, IndexError, TypeError, OverflowError, ValueError) as error:
        raise ValueError(f"logs: not a state of logs: {error!r}") from error


def _by_template(evidence: Evidence) -> Arrays:
    novelty, silence, variety = evidence.novelty, evidence.silence, evidence.variety
    return {
        "novelty_ticks": novelty.ticks,
        "novelty_first": novelty.first,
        "novelty_severe": novelty.severe,
        "silence_last": silence.last,
        "silence_longest": silence.longest,
        "silence_returns": silence.returns,
        "variety_places": variety.places,
        "variety_history": variety.history,
        "variety_looks": variety.looks,
    }


def _by_workload(workloads: Workloads, evidence: Evidence) -> Arrays:
    gaps = evidence.silence_of_all
    return {
        "clock": workloads.clock,
        "spoken": workloads.spoken,
        "heard": workloads.heard,
        "novelty_gone": evidence.novelty.gone,
        "all_last": gaps.last,
        "all_longest": gaps.longest,
        "all_returns": gaps.returns,
    }


def _fit(workloads: Workloads, keys: int, templates: int) -> None:
    settings = workloads.settings
    if keys > settings.workloads:
        raise _UnfitError(f"logs: {keys} workloads in the snapshot, the limit is {settings.workloads}")
    if templates > settings.templates:
        raise _UnfitError(f"logs: {templates} templates in the snapshot, the limit is {settings.templates}")


def _add_templates(
    state: Mapping[str, NDArray[Any]], texts: Mapping[str, Sequence[bytes]], workloads: Workloads
) -> None:
    book = workloads.book
    for owner, born, words, path, example in zip(
        state["owner"].tolist(), *(texts[name] for name in _TEXTS), strict=True
    ):
        miner = workloads.miners[owner]
        line = tuple(born.decode().split(" "))
        number = book.add(owner, line, example, 0)
        miner.born[line] = number
        miner.tree.add(number, tuple(words.decode().split(" ")), _path(path.decode()))


def _path(text: str) -> Path:
    length, *words = text.split(" ")
    return (int(length), *words)


def _fill(columns: Arrays, state: Mapping[str, NDArray[Any]], rows: int) -> None:
    for name, column in columns.items():
        if state[name].shape != (rows, *column.shape[1:]):
            raise _UnfitError(f"logs: {name} has shape {state[name].shape} for {rows} rows")
        column[:rows] = state[name]


def _packed(name: str, texts: Iterable[bytes]) -> Arrays:
    pieces = list(texts)
    offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return {name: np.frombuffer(b"".join(pieces), np.uint8).copy(), f"{name}_at": offsets}


def _unpacked(name: str, state: Mapping[str, NDArray[Any]]) -> list[bytes]:
    text, offsets = state[name].tobytes(), state[f"{name}_at"].tolist()
    if offsets[:1] != [0] or offsets[-1] != len(text) or offsets != sorted(offsets):
        raise _UnfitError(f"logs: offsets of {name} do not fit its text")
    return [text[begin:end] for begin, end in pairwise(offsets)]


def _source_text(source: Source | None) -> bytes:
    return json.dumps(source).encode() if source else b""


def _source(text: bytes) -> Source | None:
    if not text:
        return None
    attributes, resource = json.loads(text)
    return Source(tuple((str(k), str(v)) for k, v in attributes), Resource(*map(str, resource)))
