"""Which candidate comes first, and why: pod against caller, workload, node, zone and link."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.causes import Clue, Member, Settings, rank
from edgeobs.signals import Edge
from tests.causes.conftest import ALL_MEMBERS, CALLS, HOMES, clue

Site = tuple[list[Member], list[Edge]]


@pytest.fixture
def site(members: list[Member], edges: list[Edge]) -> Site:
    return members, edges


def names(clues: list[Clue], site: Site, settings: Settings | None = None) -> list[str]:
    return [cause.name() for cause in rank(clues, *site, settings)]


def test_nothing_has_no_cause(site: Site) -> None:
    assert rank([], *site) == ()
    assert rank([clue("cart-1", 0.0)], *site) == ()


def test_a_caller_that_is_more_surprising_is_a_victim_of_what_it_calls(site: Site) -> None:
    odd = [clue("front-1", 9), clue("cart-1", 8), clue("stock-1", 7)]
    assert names(odd, site)[0] == "stock-1"
    alone = names(odd, (site[0], []))
    assert alone[0] != "stock-1"


def test_a_callee_that_is_hardly_surprising_takes_little_blame(site: Site) -> None:
    assert names([clue("front-1", 10), clue("cart-1", 2.1)], site)[0] == "front-1"


def test_signals_that_agree_are_worth_more_than_one_twice(site: Site) -> None:
    twice = [clue("ship-1", 5, "log"), clue("ship-1", 4.9, "log")]
    both = [clue("cart-2", 4, "log"), clue("cart-2", 4, "trace")]
    assert names(twice + both, site)[0] == "cart-2"


def test_the_earlier_of_two_alike_comes_first(site: Site) -> None:
    causes = rank([clue("ship-1", 6, after_s=90), clue("cart-2", 6)], *site)
    assert [cause.name() for cause in causes] == ["cart-2", "ship-1"]
    assert "the first to change" in causes[0].reason
    assert "90 s after the first" in causes[1].reason


def test_one_absurd_score_does_not_outvote_two_sound_ones(site: Site) -> None:
    odd = [clue("ship-1", 20), clue("cart-2", 8, "log"), clue("cart-2", 8, "trace")]
    assert names(odd, site)[0] == "cart-2"


def test_what_no_request_passes_through_is_the_cause_of_none(site: Site) -> None:
    odd = [clue("lone-1", 9), clue("ship-1", 4)]
    assert names(odd, site)[0] == "ship-1"
    assert names(odd, (site[0], []))[0] == "lone-1"


def test_a_node_is_named_where_all_on_it_suffer_alike(site: Site) -> None:
    odd = [clue("cart-2", 6), clue("mail-1", 5), clue("lone-1", 9)]
    first = rank(odd, *site)[0]
    assert (first.kind, first.name()) == ("node", "node edge-3")
    assert "3 of 3 here suffer together" in first.reason


def test_a_chain_of_calls_on_one_node_is_no_news_of_the_node(site: Site) -> None:
    odd = [clue("front-2", 6), clue("pay-1", 5), clue("ship-1", 6)]
    assert names(odd, site)[0] == "ship-1"
    assert names(odd, (site[0], []))[0] == "node edge-2"


def test_a_node_is_not_named_for_one_pod_that_makes_it_busy(site: Site) -> None:
    first, *_ = rank([clue("edge-2", 7), clue("pay-1", 9)], *site)
    assert first.name() == "pay-1"
    assert "it explains what is seen of edge-2" in first.reason


def test_a_node_that_is_worse_than_its_one_ill_pod_is_the_cause(site: Site) -> None:
    first, second, *_ = rank([clue("edge-2", 12), clue("pay-1", 3)], *site)
    assert (first.name(), second.name()) == ("node edge-2", "pay-1")


def test_a_pod_that_suffers_from_its_nodes_disk_is_not_the_cause(site: Site) -> None:
    disk = clue("edge-2", 12)
    suffers = [clue("pay-1", 12, "log", after_s=5), clue("pay-1", 9, "trace", after_s=10)]
    first, second, *_ = rank([disk, *suffers], *site)
    assert (first.name(), second.name()) == ("node edge-2", "pay-1")
    assert "it explains what is seen of pay-1" in first.reason
    assert "edge-2" not in second.reason


def test_a_pod_that_began_before_its_node_is_not_explained_by_it(site: Site) -> None:
    early = [clue("pay-1", 12, "log"), clue("pay-1", 9, "trace")]
    assert names([clue("edge-2", 12, after_s=60), *early], site)[0] == "pay-1"


def test_a_pod_that_is_more_surprising_than_its_node_is_not_explained_by_it(site: Site) -> None:
    odd = [clue("pay-1", 11, "log", after_s=5), clue("pay-1", 9, "trace", after_s=10)]
    assert names([clue("edge-2", 5), *odd], site)[0] == "pay-1"


def test_a_node_with_news_of_its_own_and_calm_pods_is_the_cause(site: Site) -> None:
    assert names([clue("edge-2", 7)], site) == ["node edge-2"]


def test_a_workload_is_named_where_its_pods_suffer_on_different_nodes(site: Site) -> None:
    first = rank([clue("cart-1", 6), clue("cart-2", 6)], *site)[0]
    assert (first.kind, first.place.workload, first.place.node) == ("workload", "cart", "")


def test_a_zone_is_named_where_its_nodes_suffer(site: Site) -> None:
    odd = [clue(name, 6) for name, (_, zone) in HOMES.items() if zone == "a"]
    assert names(odd, site)[0] == "zone a"


def test_one_strong_pod_and_noise_beside_it_is_a_pod(site: Site) -> None:
    odd = [clue("pay-1", 12), clue("front-2", 2.1), clue("ship-1", 2.1)]
    assert names(odd, site)[0] == "pay-1"


def test_a_link_is_named_where_neither_side_is_seen_by_others(site: Site) -> None:
    first = rank([clue("cart-1", 8, "trace", callee="stock")], *site)[0]
    assert (first.kind, first.callee) == ("link", "stock")
    assert first.name() == "the link from cart-1 to stock"


def test_a_way_that_all_callers_find_slow_is_the_callees(site: Site) -> None:
    odd = [clue("cart-1", 8, "trace", callee="stock"), clue("mail-1", 8, "trace", callee="stock")]
    assert names(odd, site)[0] == "stock-1"


def test_a_caller_for_whom_all_ways_are_slow_is_itself_the_cause(site: Site) -> None:
    odd = [clue("front-1", 8, "trace", callee="cart"), clue("front-1", 8, "trace", callee="pay")]
    assert names(odd, site)[0] == "front-1"


def test_links_need_no_graph(members: list[Member]) -> None:
    causes = rank([clue("cart-1", 8, "trace", callee="stock")], members, [])
    assert {cause.kind for cause in causes} == {"link", "pod"}


def test_rings_of_calls_end(members: list[Member]) -> None:
    ring = [Edge(a, b, 1, 0, 0, 0, ()) for a, b in [("cart", "pay"), ("pay", "ship"), ("ship", "cart")]]
    odd = [clue("cart-1", 6), clue("pay-1", 6), clue("ship-1", 7)]
    causes = rank(odd, members, [*ring, Edge("cart", "cart", 1, 0, 0, 0, ())])
    assert causes[0].name() == "ship-1"


def test_weak_clues_decide_where_there_are_no_strong_ones(site: Site) -> None:
    assert names([clue("ship-1", 1.5), clue("cart-1", 0.5)], site) == ["ship-1"]
    assert "ship-1" not in names([clue("ship-1", 1.5), clue("cart-2", 9)], site)


def test_belief_falls_with_what_speaks_for_others(site: Site) -> None:
    alone = rank([clue("ship-1", 8)], *site)[0]
    rivals = rank([clue("ship-1", 8), clue("cart-2", 7.5)], *site)[0]
    assert alone.share == 1.0
    assert alone.reason.startswith("very likely (100%)")
    assert 0.5 < rivals.share < 0.7
    assert rivals.reason.startswith("likely")


def test_what_is_told_is_bounded(site: Site) -> None:
    odd = [clue(name, 8) for name in HOMES]
    assert len(rank(odd, *site, Settings(candidates=3))) == 3


def test_the_reason_names_the_best_clue_of_each_signal_and_the_callers(site: Site) -> None:
    odd = [clue("cart-1", 5, "log"), clue("stock-1", 7, "trace"), clue("stock-1", 5, "log")]
    reason = rank(odd, *site)[0].reason
    assert "(trace, 7.0 decades)" in reason
    assert "(log, 5.0 decades)" in reason
    assert "called by cart-1" in reason


@st.composite
def clues(draw: st.DrawFn) -> list[Clue]:
    callees = st.sampled_from(["", "", *sorted({callee for _, callee in CALLS})])
    one = st.builds(
        clue,
        st.sampled_from([*HOMES, "edge-1", "edge-3"]),
        st.floats(0, 20),
        st.sampled_from(["metric", "log", "trace", "absence", "alert"]),
        st.floats(0, 600),
    )
    made = draw(st.lists(one, max_size=12))
    return [each._replace(callee=draw(callees)) if each.place.pod else each for each in made]


GRAPH = [Edge(caller, callee, 1.0, 0.0, 0.01, 0.1, ()) for caller, callee in CALLS]


@settings(max_examples=40)
@given(clues())
def test_shares_are_of_a_whole_and_fall(made: list[Clue]) -> None:
    causes = rank(made, ALL_MEMBERS, GRAPH)
    assert not causes or sum(cause.share for cause in causes) == pytest.approx(1.0)
    assert all(a.score >= b.score and a.share >= b.share for a, b in pairwise(causes))
    assert all(cause.score > 0 and cause.reason for cause in causes)


@settings(max_examples=40)
@given(clues(), st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_told_changes_nothing(made: list[Clue], dice: object) -> None:
    shuffled = [list(each) for each in (made, ALL_MEMBERS, GRAPH)]
    for each in shuffled:
        dice.shuffle(each)  # type: ignore[attr-defined]
    before, after = rank(made, ALL_MEMBERS, GRAPH), rank(*shuffled)  # type: ignore[arg-type]
    assert [(c.kind, c.name()) for c in before] == [(c.kind, c.name()) for c in after]
    assert [c.score for c in before] == pytest.approx([c.score for c in after])


@settings(max_examples=40)
@given(clues())
def test_a_shift_of_all_clocks_changes_nothing(made: list[Clue]) -> None:
    later = [each._replace(onset_ns=each.onset_ns + 10**15) for each in made]
    assert [c.score for c in rank(made, ALL_MEMBERS, GRAPH)] == [
        c.score for c in rank(later, ALL_MEMBERS, GRAPH)
    ]


def test_more_surprise_never_hurts_who_is_first_by_it() -> None:
    made = [clue("ship-1", 5), clue("cart-2", 5), clue("mail-1", 4)]
    for which in range(3):
        more = [each._replace(decades=11.0) if i == which else each for i, each in enumerate(made)]
        assert rank(more, ALL_MEMBERS, [])[0].place == more[which].place


def test_all_orders_of_three_rivals_are_ranked_alike(site: Site) -> None:
    made = [clue("ship-1", 6), clue("cart-2", 6), clue("front-2", 6)]
    assert len({tuple(names(list(order), site)) for order in permutations(made)}) == 1
