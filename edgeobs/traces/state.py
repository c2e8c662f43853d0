"""The state of the stage as arrays, and back."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.signals import Int64s, Resource, Source
from edgeobs.traces.register import Register
from edgeobs.traces.sketch import Sketch, units
from edgeobs.traces.tally import Interval
from edgeobs.traces.units import Link, Operation

if TYPE_CHECKING:
    from edgeobs.traces.stage import Traces

_SCHEMA = 1
_REGISTERS = ("sources", "operations", "edges", "nodes")


def dumped(stage: "Traces") -> dict[str, NDArray[Any]]:
    """Copies of all that a restart should not lose."""
    own = stage.units
    registers: list[Register[Any]] = [own.sources, own.operations, own.edges, own.nodes]
    names = {
        name: [None if key is None else list(key) for key in register.keys]
        for name, register in zip(_REGISTERS, registers, strict=True)
    }
    names["kept"] = [[unit, list(traces)] for unit, traces in stage.kept.all().items()]
    state: dict[str, NDArray[Any]] = {
        "schema": np.array([_SCHEMA]),
        "interval_ns": np.array([stage.interval_ns]),
        "names": np.frombuffer(json.dumps(names).encode(), np.uint8).copy(),
        "clocks": stage.clocks.rows(),
        "closed_ns": stage.tally.closed_ns.copy(),
        "answered_ns": own.answered_ns.copy(),
        "last_ns": stage.given.last_ns.copy(),
    }
    for name, register in zip(_REGISTERS, registers, strict=True):
        size = len(register.keys)
        state[f"{name}_owner"] = np.array(register.owner, np.int64)
        state[f"{name}_heard"] = register.heard_ns[:size].copy()
        state[f"{name}_first"] = register.first_ns[:size].copy()
    return state | _open(stage.tally.open.values())


def loaded(stage: "Traces", state: Mapping[str, NDArray[Any]]) -> None:
    """Fill a fresh stage; ValueError with the reason when that does not fit, and the stage is then spoilt.

    Other settings are no error, for what other stages learned must not be lost for them: with intervals of
    another length those that were open are left out, and where there is no room for all, none is taken up.
    """
    try:
        _load(stage, state)
    except (KeyError, TypeError, IndexError, AttributeError) as wrong:
        raise ValueError(f"traces: missing or of another kind: {wrong!r}") from wrong
    except ValueError as wrong:
        raise ValueError(f"traces: {wrong}") from wrong


def _load(stage: "Traces", state: Mapping[str, NDArray[Any]]) -> None:
    if state["schema"].tolist() != [_SCHEMA]:
        raise ValueError(f"schema {state['schema'].tolist()}, expected [{_SCHEMA}]")
    own, names = stage.units, json.loads(state["names"].tobytes())
    if max(len(names[name]) for name in _REGISTERS) > own.sources.limit:
        return
    _register(own.sources, "sources", state, [_source(row) for row in names["sources"]])
    _register(own.operations, "operations", state, [r and Operation(*r) for r in names["operations"]])
    _register(own.edges, "edges", state, [row and Link(*row) for row in names["edges"]])
    _register(own.nodes, "nodes", state, [row and Resource(*row) for row in names["nodes"]])
    for key in (*own.operations.keys, *own.edges.keys):
        if key is not None:
            own.sources[key.source]
    own.place()
    own.answered_ns = _column(state, "answered_ns", len(own.edges.keys))
    stage.clocks.load(state["clocks"].astype(np.int64).reshape(-1, 5))
    stage.kept.load({int(unit): tuple(traces) for unit, traces in names["kept"]})
    stage.tally.closed_ns = state["closed_ns"].astype(np.int64)
    stage.given.told(np.arange(len(state["last_ns"])), 0)
    stage.given.last_ns[: len(state["last_ns"])] = state["last_ns"]
    for unit in (*np.flatnonzero(stage.given.last_ns).tolist(), *stage.kept.all()):
        own.source_of(unit)
    if state["interval_ns"].tolist() == [stage.interval_ns]:
        _reopen(stage, state)


def _register(register: Register[Any], name: str, state: Mapping[str, NDArray[Any]], keys: list[Any]) -> None:
    size = len(keys)
    owner = _column(state, f"{name}_owner", size).tolist()
    heard, first = _column(state, f"{name}_heard", size), _column(state, f"{name}_first", size)
    register.load(keys, owner, heard, first)


def _column(state: Mapping[str, NDArray[Any]], name: str, least: int) -> Int64s:
    column = state[name].astype(np.int64)
    if column.ndim != 1 or len(column) < least:
        raise ValueError(f"{name} has {column.shape}, expected {least} or more")
    return column


def _source(row: list[Any] | None) -> Source | None:
    if row is None:
        return None
    attributes, resource = row
    return Source(tuple((key, value) for key, value in attributes), Resource(*resource))


def _open(intervals: Iterable[Interval]) -> dict[str, NDArray[Any]]:
    """The counts of open intervals, ragged."""
    each = [(i.begin_ns, i.opened_ns, i.counted()) for i in intervals]
    parts = [c for _, _, c in each] or [Sketch.none()]
    return {
        "open": np.array([(b, o, len(c.key)) for b, o, c in each], np.int64).reshape(-1, 3),
        "open_key": np.concatenate([c.key for c in parts]),
        "open_count": np.concatenate([c.calls for c in parts]),
    }


def _reopen(stage: "Traces", state: Mapping[str, NDArray[Any]]) -> None:
    key, count = state["open_key"].astype(np.int64), state["open_count"].astype(np.int64)
    sizes, at = state["open"][:, 2], 0
    if key.shape != count.shape or sizes.sum() != len(key) or (sizes < 0).any() or (count < 1).any():
        raise ValueError("open intervals do not belong together")
    for begin, opened, size in state["open"].tolist():
        counted = Sketch(key[at : at + size], count[at : at + size])
        for unit in np.unique(units(counted)).tolist():
            stage.units.source_of(unit)
        stage.tally.open[begin] = Interval(begin, opened, counted)
        at += size
