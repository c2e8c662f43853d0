"""What the demo reads from a cluster, played here by its answers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeobs.calls import Unreachable
from edgeobs.demo.faults import Fault
from edgeobs.demo.witness import Witness

DISK = Fault("disk", "edge-17", 1012.0, 1087.0)
Object = dict[str, Any]


def node(name: str, *, ours: bool = False, unschedulable: bool = False) -> Object:
    taints = [{"key": "edgeobs.io/remediation", "value": "inc-1", "effect": "NoSchedule"}] if ours else []
    notes = {"edgeobs.io/reason": "its disk is failing"} if ours else {}
    spec = {"taints": taints} | ({"unschedulable": True} if unschedulable else {})
    return {"metadata": {"name": name, "annotations": notes}, "spec": spec}


def pods(name: str, number: int, **meta: Any) -> list[Object]:
    owner = [{"kind": "ReplicaSet"}]
    return [{"metadata": {"ownerReferences": owner} | meta, "spec": {"nodeName": name}}] * number


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    named = {"name": "real"}
    file = tmp_path / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                "clusters": [named | {"cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [named | {"user": {"token": "x"}}],
                "contexts": [named | {"context": {"cluster": "real", "user": "real"}}],
                "current-context": "real",
            }
        )
    )
    return Witness(file)


def look(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, at_s: float, nodes: list[Object], here: list[Object]
) -> list[str]:
    answers = {"/api/v1/nodes": {"items": nodes}, "/api/v1/pods": {"items": here}}
    monkeypatch.setattr(witness._live, "read", answers.__getitem__)
    return [word for word, _ in witness.look(at_s)]


def test_what_was_done_is_read_step_by_step(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [*pods("edge-17", 2), *pods("edge-17", 1, ownerReferences=[{"kind": "DaemonSet"}])]
    assert look(witness, monkeypatch, 1.0, [node("edge-17")], mine) == []
    marked = node("edge-17", ours=True, unschedulable=True)
    assert look(witness, monkeypatch, 2.0, [marked], mine) == ["cordoned"]
    assert "2 pods are still on edge-17" in witness.problems([DISK])[0]
    assert not witness.settled([DISK])
    gone = pods("edge-17", 2, deletionTimestamp="now")
    assert look(witness, monkeypatch, 3.0, [marked], gone) == ["moved"]
    assert witness.problems([DISK]) == ["edge-17 is marked still"]
    assert look(witness, monkeypatch, 4.0, [node("edge-17")], pods("edge-17", 1)) == ["undone"]
    assert witness.settled([DISK])
    assert witness.problems([DISK]) == []
    (seen,) = witness.touched.values()
    assert (seen.cordoned_s, seen.pods_before, seen.pods, seen.undone_s) == (2.0, 2, 0, 4.0)
    assert seen.reason == "its disk is failing"


def test_a_healthy_node_that_is_marked_is_wrong(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node("edge-17"), node("edge-05", ours=True, unschedulable=True)]
    look(witness, monkeypatch, 1.0, nodes, [])
    assert witness.problems([DISK]) == [
        "edge-17 was not cordoned, says the cluster",
        "edge-05 was marked, and nothing was wrong with it",
    ]


def test_a_persons_cordon_is_none_of_ours(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(witness, monkeypatch, 1.0, [node("edge-05", unschedulable=True)], []) == []
    assert not witness.touched


def test_a_cluster_that_does_not_answer_is_a_problem(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: str) -> None:
        raise Unreachable("no")

    monkeypatch.setattr(witness._live, "read", refused)
    assert witness.look(1.0) == []
    assert witness.problems([])[0] == "no"
