"""Snapshots: whole or refused with the reason, never half."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs import snapshot
from edgeobs.series import SeriesTable, TableState
from edgeobs.signals import Identity, Kind, Resource, Source

TEXT = st.text(max_size=12)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda d: tuple(sorted(d.items())))
IDENTITIES = st.builds(
    Identity,
    st.builds(Source, PAIRS, st.builds(Resource, TEXT, TEXT, TEXT)),
    TEXT,
    PAIRS,
    st.sampled_from(Kind),
    TEXT,
)


def filled(identities: list[Identity]) -> SeriesTable:
    table = SeriesTable(1000)
    for number, identity in enumerate(identities):
        table.intern(identity, number % 2, 1000 + number)
    return table


@settings(max_examples=60, deadline=None)
@given(identities=st.lists(IDENTITIES, max_size=20), gone=st.sets(st.integers(0, 19)))
def test_round_trip_keeps_every_id(
    tmp_path_factory: pytest.TempPathFactory, identities: list[Identity], gone: set[int]
) -> None:
    path = tmp_path_factory.mktemp("snapshot") / "state"
    table = filled(identities)
    table.drop(n for n in gone if n < len(table.identities))
    stages = {"detect": {"mean": np.arange(3.0)}, "features": {"last": np.array([[1, 2]])}}
    snapshot.write(path, table.state(), ["loopback", "site"], stages)
    state, principals, found = snapshot.read(path)
    again = SeriesTable(1000)
    again.restore(state, [0, 1])
    assert again.ids() == table.ids()
    assert again.owned == table.owned
    assert [again.node[n] for n in again.ids().values()] == [table.node[n] for n in table.ids().values()]
    assert again.nodes == table.nodes
    assert principals == ["loopback", "site"]
    assert found["detect"]["mean"].tolist() == [0.0, 1.0, 2.0]
    assert found["features"]["last"].tolist() == [[1, 2]]


def test_cut_anywhere_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    identity = Identity(Source((), Resource(node="n")), "up", (), Kind.GAUGE)
    snapshot.write(path, filled([identity]).state(), [], {"detect": {"mean": np.arange(50.0)}})
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(snapshot.SnapshotError, match="state"):
            snapshot.read(path)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flip") / "state"
    identity = Identity(Source((), Resource(node="n")), "up", (), Kind.GAUGE)
    snapshot.write(path, filled([identity]).state(), [], {"detect": {"mean": np.arange(50.0)}})
    body = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(body) * 8 - 1))
    body[place // 8] ^= 1 << place % 8
    path.write_bytes(body)
    try:
        table, _, stages = snapshot.read(path)
    except snapshot.SnapshotError:
        return
    assert table.identities == [identity]
    assert stages["detect"]["mean"].tolist() == list(np.arange(50.0))


def test_another_schema_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    monkeypatch.setattr(snapshot, "SCHEMA", 99)
    snapshot.write(path, SeriesTable(1).state(), [], {})
    monkeypatch.undo()
    with pytest.raises(snapshot.SnapshotError, match="schema 99"):
        snapshot.read(path)


def test_a_failed_write_leaves_the_old_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    snapshot.write(path, SeriesTable(1).state(), ["old"], {})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        snapshot.write(path, SeriesTable(1).state(), ["new"], {})
    monkeypatch.undo()
    assert snapshot.read(path)[1] == ["old"]


def test_a_table_that_is_too_small_stays_empty() -> None:
    state: TableState = filled(
        [Identity(Source((), Resource()), f"m{n}", (), Kind.GAUGE) for n in range(5)]
    ).state()
    table = SeriesTable(4)
    with pytest.raises(ValueError, match="limit is 4"):
        table.restore(state, [0, 0])
    assert len(table) == 0
