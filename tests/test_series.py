"""The series table: ids are dense, never shared, used again only after expiry."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgeobs.series import SeriesTable
from edgeobs.signals import Identity, Kind, Resource, Source

LIMIT = 12


def identity(number: int, node: str = "n1") -> Identity:
    source = Source((("k8s.node.name", node),), Resource(node=node))
    return Identity(source, f"metric_{number}", (("device", "sda"),), Kind.GAUGE)


def test_same_identity_same_id_and_a_difference_anywhere_another_one() -> None:
    table = SeriesTable(100)
    first = identity(1)
    variants = [
        first,
        first._replace(name="other"),
        first._replace(labels=(("device", "sdb"),)),
        first._replace(kind=Kind.COUNTER),
        first._replace(unit="By"),
        first._replace(source=Source((("k8s.node.name", "n1"), ("x", "y")), Resource(node="n1"))),
    ]
    ids = [table.intern(v, 0, 1) for v in variants]
    assert len(set(ids)) == len(variants)
    assert [table.intern(v, 5, 2) for v in variants] == ids
    assert table.owned[5] == 0


def test_full_table_refuses_new_series_and_knows_the_old_ones() -> None:
    table = SeriesTable(LIMIT)
    ids = [table.intern(identity(n), 0, 1) for n in range(LIMIT)]
    assert table.intern(identity(LIMIT), 0, 1) is None
    assert table.intern(identity(3), 0, 1) == ids[3]


def test_sources_that_share_a_node_share_its_number_and_nameless_ones_have_none() -> None:
    table = SeriesTable(10)
    a = table.intern(identity(1, "n1"), 0, 1)
    b = table.intern(identity(2, "n1"), 0, 1)
    c = table.intern(identity(1, "n2"), 0, 1)
    d = table.intern(identity(1, ""), 0, 1)
    assert a is not None
    assert b is not None
    assert c is not None
    assert d is not None
    assert table.node[a] == table.node[b] != table.node[c]
    assert table.node[d] == -1


def test_expiry_forgets_the_idle_alone_and_raises_the_epoch() -> None:
    table = SeriesTable(10)
    old, fresh = table.intern(identity(1), 0, 10), table.intern(identity(2), 0, 20)
    assert table.expire(20).tolist() == [old]
    assert table.epoch == 1
    assert fresh is not None
    assert table[fresh] == identity(2)
    with pytest.raises(KeyError):
        table[old or 0]
    assert table.expire(20).size == 0
    assert table.epoch == 1


def test_derived_series_is_told_from_its_parent() -> None:
    table = SeriesTable(10)
    parent = table.intern(identity(1), 3, 1)
    assert parent is not None
    child = table.derive(parent, "p99", Kind.GAUGE, "s", 2)
    assert child is not None
    assert table[child].name == "metric_1:p99"
    assert table.node[child] == table.node[parent]
    assert table.owned[3] == 2


def test_labels_that_many_series_have_are_held_once_and_let_go_with_the_last() -> None:
    table = SeriesTable(10)
    numbers = [table.intern(identity(n, f"n{n}"), 0, 1) for n in range(3)]
    parent = numbers[0]
    assert parent is not None
    numbers.append(table.derive(parent, "p99", Kind.GAUGE, "s", 1))
    assert len({id(table[n].labels) for n in numbers if n is not None}) == 1
    assert len({id(pair) for n in numbers if n is not None for pair in table[n].labels}) == 1
    table.drop(n for n in numbers if n is not None)
    for shared in (table._labels, table._pairs, table._words, table._sources):
        assert not shared


def test_nodes_have_a_cap_and_their_ids_are_used_again() -> None:
    table = SeriesTable(10, max_nodes=2)
    one, two = table.intern(identity(1, "n1"), 0, 1), table.intern(identity(1, "n2"), 0, 1)
    assert one is not None
    assert two is not None
    assert table.intern(identity(1, "n3"), 0, 1) is None
    assert table.intern(identity(2, "n2"), 0, 1) is not None
    assert table.intern(identity(2, ""), 0, 1) is not None, "a series without a node needs no room"
    freed = int(table.node[one])
    table.drop([one])
    table.drop_nodes([freed])
    again = SeriesTable(10, max_nodes=2)
    again.restore(table.state(), [0])
    for each in (table, again):
        three = each.intern(identity(1, "n3"), 0, 1)
        assert three is not None
        assert each.node[three] == freed
        assert each.node[two] != freed
        assert each.intern(identity(1, "n1"), 0, 1) is None


class TableMachine(RuleBasedStateMachine):
    """Against a plain dictionary, under any order of arrivals and expiries."""

    def __init__(self) -> None:
        super().__init__()
        self.table = SeriesTable(LIMIT)
        self.model: dict[Identity, int] = {}
        self.now = 1

    @rule(number=st.integers(0, 30), node=st.sampled_from(["a", "b", ""]), owner=st.integers(0, 2))
    def intern(self, number: int, node: str, owner: int) -> None:
        self.now += 1
        wanted = identity(number, node)
        got = self.table.intern(wanted, owner, self.now)
        if wanted in self.model:
            assert got == self.model[wanted]
        elif len(self.model) == LIMIT:
            assert got is None
        else:
            assert got is not None
            assert got not in self.model.values()
            self.model[wanted] = got

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        gone = data.draw(st.lists(st.sampled_from(sorted(self.model.values())), unique=True))
        self.table.drop(gone)
        self.model = {i: n for i, n in self.model.items() if n not in gone}

    @rule()
    def restart(self) -> None:
        state = self.table.state()
        self.table = SeriesTable(LIMIT)
        self.table.restore(state, [0, 1, 2])

    @invariant()
    def the_same_as_the_model(self) -> None:
        assert self.table.ids() == self.model
        assert len(self.table) == len(self.model) <= LIMIT
        assert sum(self.table.owned.values()) == len(self.model)
        for wanted, number in self.model.items():
            assert self.table[number] == wanted
            node = self.table.node[number]
            place = wanted.source.resource.place()
            assert node == self.table.by_place.get(place, -1)


TestTable = TableMachine.TestCase
