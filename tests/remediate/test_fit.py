"""What would leave a node fits elsewhere, or it is said why not."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.objects import (
    Claim,
    Inventory,
    Node,
    Pod,
    PodTerm,
    Quota,
    Requirement,
    Spread,
    Taint,
    Toleration,
)
from edgeobs.remediate.fit import fit

ZONE = "topology.kubernetes.io/zone"
GPU = Taint("gpu", "x", "NoSchedule")
ANY = Toleration("", "Exists", "", "")
WEB = (Requirement("app", "In", ("web",)),)
SSD = (Requirement("disk", "In", ("ssd",)),)


def a_node(name: str, *, cpu: int = 1000, pods: int = 10, zone: str = "a", **more: object) -> Node:
    labels = {ZONE: zone, "kubernetes.io/hostname": name}
    amounts = {"cpu": cpu, "memory": 1 << 30, "pods": pods}
    return replace(Node(name, labels=labels, ready="True", allocatable=amounts), **more)  # type: ignore[arg-type]


def a_pod(name: str, node: str = "old", cpu: int = 100, **more: object) -> Pod:
    plain = Pod(
        "shop", name, uid=name, node=node, phase="Running", labels={"app": "web"}, requests={"cpu": cpu}
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def cluster(*nodes: Node, pods: tuple[Pod, ...] = (), **more: object) -> Inventory:
    every = {node.name: node for node in (a_node("old"), *nodes)}
    return replace(Inventory(every, pods), **more)  # type: ignore[arg-type]


def asked(pod: Pod, inventory: Inventory, **more: object) -> str:
    """Why a pod of the old node does not fit; empty: it does."""
    found = fit([pod], replace(inventory, pods=(*inventory.pods, pod)), without={"old"}, **more)  # type: ignore[arg-type]
    return found.homeless[0].reason if found.homeless else ""


def test_what_fits_goes_to_the_emptiest_node() -> None:
    busy = a_pod("busy", "full", 700)
    found = fit([a_pod("p")], cluster(a_node("full"), a_node("idle"), pods=(busy,)), without={"old"})
    assert found.placed == {"p": "idle"}
    assert found.whole


@pytest.mark.parametrize(
    ("pod", "node", "reason"),
    [
        (a_pod("p", cpu=1001), a_node("new"), "1 node: not enough cpu"),
        (a_pod("p", requests={"nvidia.com/gpu": 1}), a_node("new"), "1 node: not enough nvidia.com/gpu"),
        (a_pod("p"), a_node("new", pods=0), "1 node: not enough pods"),
        (a_pod("p"), a_node("new", ready="Unknown"), "1 node: node not ready or cordoned"),
        (a_pod("p"), a_node("new", unschedulable=True), "1 node: node not ready or cordoned"),
        (a_pod("p"), a_node("new", deleting=True), "1 node: node not ready or cordoned"),
        (a_pod("p"), a_node("new", taints=(GPU,)), "1 node: taint gpu is not tolerated"),
        (a_pod("p", node_selector=SSD), a_node("new"), "1 node: nodeSelector or nodeAffinity"),
        (a_pod("p", node_affinity=(SSD,)), a_node("new"), "1 node: nodeSelector or nodeAffinity"),
        (a_pod("p", claims=("data",)), a_node("new"), "its claim data is not there"),
    ],
)  # fmt: skip
def test_a_node_that_does_not_suit_is_named_with_its_reason(pod: Pod, node: Node, reason: str) -> None:
    assert asked(pod, cluster(node)) == reason


@pytest.mark.parametrize(
    ("pod", "node"),
    [
        (a_pod("p", tolerations=(Toleration("gpu", "Exists", "", ""),)), {"taints": (GPU,)}),
        (a_pod("p", tolerations=(ANY,)), {"taints": (Taint("any", "", "NoExecute"),)}),
        (a_pod("p"), {"taints": (Taint("soft", "", "PreferNoSchedule"),)}),
        (a_pod("p", node_selector=SSD), {"labels": {"disk": "ssd"}}),
        (a_pod("p", node_affinity=(WEB, SSD)), {"labels": {"disk": "ssd"}}),
        (a_pod("p", node_affinity=((Requirement("gen", "Gt", ("3",)),),)), {"labels": {"gen": "4"}}),
    ],
)  # fmt: skip
def test_what_is_tolerated_or_wanted_fits(pod: Pod, node: dict[str, object]) -> None:
    assert asked(pod, cluster(a_node("new", **node))) == ""  # type: ignore[arg-type]


def test_a_volume_that_is_bound_elsewhere_keeps_its_pod() -> None:
    here = (Requirement("kubernetes.io/hostname", "In", ("old",)),)
    claim = Claim("shop", "data", "pv-1", (here,))
    inventory = cluster(a_node("new"), claims=(claim,))
    assert asked(a_pod("p", claims=("data",)), inventory) == "1 node: its volume cannot be reached from there"
    anywhere = replace(inventory, claims=(replace(claim, node_affinity=()),))
    assert asked(a_pod("p", claims=("data",)), anywhere) == ""


def test_a_host_port_is_taken_once() -> None:
    taken = a_pod("other", "new", host_ports=("TCP/80",))
    assert "host port" in asked(a_pod("p", host_ports=("TCP/80",)), cluster(a_node("new"), pods=(taken,)))
    assert not asked(a_pod("p", host_ports=("TCP/81",)), cluster(a_node("new"), pods=(taken,)))


def test_anti_affinity_holds_either_way_and_between_those_that_move() -> None:
    apart = PodTerm(WEB, "kubernetes.io/hostname", ())
    there = a_pod("there", "new")
    assert "podAntiAffinity" in asked(
        a_pod("p", anti_affinity=(apart,)), cluster(a_node("new"), pods=(there,))
    )
    shy = replace(there, anti_affinity=(apart,))
    assert "podAntiAffinity of a pod" in asked(a_pod("p"), cluster(a_node("new"), pods=(shy,)))
    both = [a_pod("p", anti_affinity=(apart,)), a_pod("q", anti_affinity=(apart,))]
    found = fit(both, cluster(a_node("new"), pods=tuple(both)), without={"old"})
    assert (len(found.placed), len(found.homeless)) == (1, 1)


def test_affinity_wants_company_but_the_first_may_start_anywhere() -> None:
    own, other = PodTerm(WEB, ZONE, ()), PodTerm((Requirement("app", "In", ("db",)),), ZONE, ())
    assert asked(a_pod("p", affinity=(own,)), cluster(a_node("new"))) == ""
    assert "podAffinity" in asked(a_pod("p", affinity=(other,)), cluster(a_node("new")))
    db = a_pod("db", "near", labels={"app": "db"})
    found = fit(
        [a_pod("p", affinity=(other,))],
        cluster(a_node("far", zone="b"), a_node("near", zone="a"), pods=(db,)),
        without={"old"},
    )
    assert found.placed == {"p": "near"}


def test_spread_forbids_a_skew() -> None:
    rule = Spread(WEB, ZONE, 1)
    there = tuple(a_pod(f"w{i}", "b1") for i in range(2))
    inventory = cluster(a_node("b1", zone="b"), a_node("c1", zone="c", unschedulable=True), pods=there)
    assert "topologySpread" in asked(a_pod("p", spread=(rule,)), inventory)
    assert not asked(a_pod("p", spread=(replace_skew(rule, 3),)), inventory)


def replace_skew(rule: Spread, skew: int) -> Spread:
    return rule._replace(max_skew=skew)


def test_an_overdrawn_quota_refuses_and_a_failover_needs_room_for_both() -> None:
    quota = Quota("shop", "small", {"requests.cpu": 200, "pods": 5}, {"requests.cpu": 150, "pods": 2})
    inventory = cluster(a_node("new"), quotas=(quota,))
    assert asked(a_pod("p"), inventory) == ""
    assert "ResourceQuota small" in asked(a_pod("p"), inventory, beside=True)
    overdrawn = replace(inventory, quotas=(replace(quota, used={"pods": 6}),))
    assert "ResourceQuota small: pods 6 of 5" in asked(a_pod("p"), overdrawn)


def test_room_that_must_stay_free_is_no_room() -> None:
    assert asked(a_pod("p", cpu=950), cluster(a_node("new"))) == ""
    assert "not enough cpu" in asked(a_pod("p", cpu=950), cluster(a_node("new")), keep_free=0.1)


def test_every_pod_that_does_not_fit_is_named() -> None:
    pods = [a_pod(f"p{i}", cpu=600) for i in range(3)]
    found = fit(pods, cluster(a_node("new"), pods=tuple(pods)), without={"old"})
    assert found.reason() == (
        "2 of 3 pods fit nowhere: shop/p1: 1 node: not enough cpu; shop/p2: 1 node: not enough cpu"
    )


def test_priority_goes_first() -> None:
    pods = [a_pod("low", cpu=900), a_pod("high", cpu=500, priority=100)]
    found = fit(pods, cluster(a_node("new"), pods=tuple(pods)), without={"old"})
    assert set(found.placed) == {"high"}


pods = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 3)), max_size=12)


@given(pods, st.lists(st.integers(0, 1500), min_size=1, max_size=4))
def test_no_node_is_ever_overfilled(sizes: list[tuple[int, int]], rooms: list[int]) -> None:
    nodes = [a_node(f"n{i}", cpu=cpu, pods=4) for i, cpu in enumerate(rooms)]
    leaving = [a_pod(f"p{i}", cpu=cpu, priority=level) for i, (cpu, level) in enumerate(sizes)]
    found = fit(leaving, cluster(*nodes, pods=tuple(leaving)), without={"old"})
    assert len(found.placed) + len(found.homeless) == len(leaving)
    cpu, number = Counter[str](), Counter[str]()
    for pod in leaving:
        if pod.uid in found.placed:
            cpu[found.placed[pod.uid]] += pod.requests["cpu"]
            number[found.placed[pod.uid]] += 1
    for node in nodes:
        assert cpu[node.name] <= node.allocatable["cpu"]
        assert number[node.name] <= 4
    for each in found.homeless:  # and nobody is turned away for whom there is room still
        for node in nodes:
            room = node.allocatable["cpu"] - cpu[node.name] >= each.pod.requests["cpu"]
            assert not (room and number[node.name] < 4)
