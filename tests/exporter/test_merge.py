"""Several processes' metrics as one: sums that lose nothing, whoever ended and in whatever order."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.exporter.merge import Snapshot, folded, merged, since
from tests.exporter.snapshots import counted, taken, told

workers = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
        st.lists(st.sampled_from([0.5, 1.5, 9.0]), max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(workers, st.data())
def test_who_ended_counts_as_who_is_alive(
    seen: list[tuple[dict[str, int], list[float]]], data: st.DataObject
) -> None:
    snapshots = [taken(number, *each) for number, each in enumerate(seen)]
    dead = data.draw(st.sets(st.sampled_from(range(len(snapshots))), max_size=len(snapshots) - 1))
    order = data.draw(st.permutations(sorted(dead)))
    ended: Snapshot | None = None
    for number in order:
        ended = json.loads(json.dumps(folded(ended, snapshots[number], {}, 100)))
    alive = [each for number, each in enumerate(snapshots) if number not in dead]
    assert counted(merged(alive, ended)) == counted(merged(snapshots))
    everything = taken(99, {w: sum(c.get(w, 0) for c, _ in seen) for w in {w for c, _ in seen for w in c}},
                       [value for _, values in seen for value in values])  # fmt: skip
    assert counted(merged(snapshots)) == counted(merged([everything]))


def test_gauges_as_declared() -> None:
    found = told(merged([taken(0, {}, [], 3.0), taken(1, {}, [], 1.0)]))
    assert found["dev_each_ratio[('worker', '0')]"] == 3
    assert found["dev_each_ratio[('worker', '1')]"] == 1
    assert [found[f"dev_{how}_ratio[]"] for how in ("sum", "min", "max", "newest")] == [4, 1, 3, 1]


def test_who_ended_has_no_gauges() -> None:
    ended = folded(None, taken(0, {"a": 1}, [], 3.0), {}, 100)
    found = told(merged([taken(1, {}, [], 1.0)], ended))
    assert found["dev_asks_total[('who', 'a')]"] == 1
    assert found["dev_sum_ratio[]"] == 1
    assert "dev_each_ratio[('worker', '0')]" not in found


def test_an_older_version_with_other_buckets_is_left_out() -> None:
    old, new = taken(0, {"a": 1}, [0.5]), taken(1, {"a": 2}, [0.5])
    for family in old["families"]:
        for sample in family["samples"]:
            if sample[1].get("le") == "2.0":
                sample[1]["le"] = "3.0"
    found = told(merged([old, new]))
    assert found["dev_took_seconds_bucket[('le', '+Inf'), ('who', 'a')]"] == 1
    assert found["dev_asks_total[('who', 'a')]"] == 3


def test_what_ended_stays_below_the_cap() -> None:
    ended: Snapshot | None = None
    for number in range(5):
        ended = folded(ended, taken(number, {f"w{number}": 2, "a": 1}, []), {"dev_asks": 2}, 100)
    assert ended is not None
    found = counted(merged([], ended))
    asks = {name: value for name, value in found.items() if "dev_asks" in name}
    assert len(asks) == 3
    assert sum(asks.values()) == 15
    assert asks["dev_asks_total[('who', '_overflow')]"] > 0


def test_folding_names_whose_it_took() -> None:
    ended: Snapshot | None = None
    for number in range(150):
        ended = folded(ended, {**taken(0, {}, []), "id": f"id{number}"}, {}, 10)
    assert ended is not None
    assert ended["folded"] == [f"id{number}" for number in range(50, 150)]


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_child_tells_only_what_it_counted_itself(before: int, after: int) -> None:
    fork = taken(0, {"a": before}, [0.5] * before)
    now = taken(0, {"a": before + after, "b": after}, [0.5] * before + [1.5] * after)
    found = counted(merged([since(now, fork)]))
    assert found["dev_asks_total[('who', 'a')]"] == after
    assert found.get("dev_took_seconds_count[('who', 'a')]", 0) == after
    assert found["dev_frame_bytes_sum[]"] == 1.5 * after
    assert since(now, None) == now


def test_the_youngest_exemplar_is_kept() -> None:
    first, second = taken(0, {"a": 1}, []), taken(1, {"a": 1}, [])
    for number, each in enumerate((second, first)):
        for family in each["families"]:
            if family["name"] == "dev_asks":
                family["samples"][0][3] = [{"trace_id": str(number)}, 1.0, 1000.5 + number]
    [family] = [each for each in merged([first, second]) if each.name == "dev_asks"]
    exemplar = family.samples[0].exemplar
    assert exemplar is not None
    assert (exemplar.labels, float(exemplar.timestamp or 0)) == ({"trace_id": "1"}, 1001.5)
