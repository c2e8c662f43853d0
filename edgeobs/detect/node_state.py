"""What a bank of nodes remembers as a few flat columns, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeobs.detect import algebra
from edgeobs.detect import ticks as t
from edgeobs.detect.contract import State
from edgeobs.detect.seats import Node, turn

_SCHEMA = 2
_PARTS = Node._fields
_COLUMNS = {"seat": np.int16, "home": np.int32, "begun": np.float64}


def packed(nodes: Mapping[int, Node], columns: State) -> State:
    """A copy."""
    state: State = {
        "schema": np.array([_SCHEMA]),
        **{name: column.copy() for name, column in columns.items()},
    }
    state["nodes"] = np.array(
        [[number, len(node.reals)] for number, node in nodes.items()], np.int64
    ).reshape(-1, 2)
    for part in _PARTS:
        empty = getattr(Node.empty(0), part).reshape(-1)[:0]
        state[part] = np.concatenate([empty, *(getattr(node, part).reshape(-1) for node in nodes.values())])
    return state


def unpacked(state: State) -> tuple[dict[int, Node], dict[str, Any]]:
    """Nodes and columns; ValueError with the reason when they do not fit."""
    if "schema" in state and state["schema"].tolist() == [1]:
        state = _from_1(state)
    if "schema" not in state or state["schema"].tolist() != [_SCHEMA]:
        raise ValueError(f"nodes: expected schema {_SCHEMA}, found {state.get('schema')}")
    for name in (*_PARTS, *_COLUMNS, "nodes"):
        if name not in state:
            raise ValueError(f"nodes: {name} is missing")
        if state[name].dtype.kind not in "iuf" or not np.isfinite(state[name]).all():
            raise ValueError(f"nodes: {name} is not finite numbers")
    columns = {name: state[name].astype(kind) for name, kind in _COLUMNS.items()}
    if columns["seat"].ndim != 1 or any(len(c) != len(columns["seat"]) for c in columns.values()):
        raise ValueError("nodes: columns by series are not of one length")
    if columns["home"].ndim != 1 or columns["begun"].shape[1:] != (2,):
        raise ValueError("nodes: columns by series are not of the right width")
    if (columns["begun"][:, 1] < 0).any() or (columns["home"] < -1).any():
        raise ValueError("nodes: columns by series hold what cannot be")
    nodes = _nodes(state)
    _agree(nodes, columns)
    return nodes, columns


def _from_1(state: State) -> State:
    """Schema 1 had the covariance in a square, an inverse in the making below it, and one that held."""
    made: dict[str, list[Any]] = {"triangle": [], "inverses": [], "scales": []}
    try:
        numbers, seats = state["nodes"].astype(np.int64).reshape(-1, 2).T.tolist()
        clock = state["clock"].reshape(-1, t.CLOCK).copy()
        ends = np.cumsum(9 * np.square(seats), dtype=np.int64)
        squares, inverses = np.split(state["square"], ends), np.split(state["inverse"], ends // 3)
        for k, count in enumerate(seats):
            node, holds = Node.empty(count), int(clock[k, t.INVERTED]) % 2
            weights = inverses[k].reshape(3 * count, count).astype(np.float32)
            node.inverses[holds], node.scales[holds] = algebra.whole(weights)
            square = squares[k].reshape(3 * count, 3 * count)
            made["triangle"].append(square[algebra.places(3 * count)])
            made["inverses"].append(node.inverses.reshape(-1))
            made["scales"].append(node.scales.reshape(-1))
        clock[:, t.LEFT], clock[:, t.TURN] = 0, [turn(number) for number in numbers]
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ValueError(f"nodes: schema 1, and it does not fit: {error}") from error
    parts = {name: np.concatenate([np.zeros(0), *found]) for name, found in made.items()}
    return state | parts | {"clock": clock.reshape(-1), "schema": np.array([_SCHEMA])}


def _nodes(state: State) -> dict[int, Node]:
    index = state["nodes"].astype(np.int64)
    if index.ndim != 2 or index.shape[1] != 2 or ((index[:, 1] < 1) | (index[:, 1] > t.SEATS)).any():
        raise ValueError(f"nodes: {index.shape}, expected rows of a number and at most {t.SEATS} seats")
    nodes: dict[int, Node] = {}
    used = dict.fromkeys(_PARTS, 0)
    for number, seats in index.tolist():
        node = nodes[number] = Node.empty(seats)
        for part in _PARTS:
            room = getattr(node, part)
            flat = state[part][used[part] : used[part] + room.size]
            if state[part].ndim != 1 or flat.size != room.size:
                raise ValueError(f"nodes: {part} is cut short")
            room[...] = flat.reshape(room.shape)
            used[part] += room.size
    for part in _PARTS:
        if used[part] != state[part].size:
            raise ValueError(f"nodes: {part} has {state[part].size} values, expected {used[part]}")
    if len(nodes) != len(index):
        raise ValueError("nodes: one node twice")
    return nodes


def _agree(nodes: Mapping[int, Node], columns: Mapping[str, Any]) -> None:
    """Seats and series name each other, and nothing points outside."""
    seated = np.flatnonzero(columns["seat"] >= 0)
    taken = sum(int((node.stamps[:, t.SERIES] >= 0).sum()) for node in nodes.values())
    for number, home, seat in zip(
        seated.tolist(), columns["home"][seated].tolist(), columns["seat"][seated].tolist(), strict=True
    ):
        node = nodes.get(home)
        if node is None or seat >= len(node.reals) or node.stamps[seat, t.SERIES] != number:
            raise ValueError(f"nodes: series {number} has no seat {seat} at node {home}")
    if taken != len(seated) or (columns["seat"] < -2).any():
        raise ValueError(f"nodes: {taken} seats taken, {len(seated)} series have one")
    for number, node in nodes.items():
        if not _possible(node):
            raise ValueError(f"nodes: what is remembered of node {number} is impossible")


def _possible(node: Node) -> bool:
    clock, seats = node.clock, len(node.reals)
    live, turn = int(clock[t.LIVE]), int(clock[t.TURN])
    if not (0 <= live <= seats and 0 <= turn < t.TURNS):
        return False
    if clock[t.OPEN_NS] > 0 and not (node.stamps[:live, t.MARK] & (t.HERE | t.KEPT)).any():
        return False
    never_negative = [t.VARIANCE, t.SIZE, t.N, t.STEP, t.PRECISION, t.NOW, t.R0, t.R1, t.R2]
    times = [t.OPEN_NS, t.CLOSED_NS, t.INTERVAL_NS, t.TICKS, t.LEFT, t.INVERTED]
    return bool(
        (clock[times] >= 0).all()
        and (node.reals[:, never_negative] >= 0).all()
        and (node.scales >= 0).all()
        and (node.own[[t.BASE, t.THRESHOLD, t.EXCESS]] > 0).all()
    )
