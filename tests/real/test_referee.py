"""The referee of the fault matrix sees what it is there to see."""

from pathlib import Path

import pytest

from edgeobs.kube.cluster import Cluster
from edgeobs.remediate import marks
from tests.real.control_plane import Account, ControlPlane
from tests.real.nodes import Nodes
from tests.real.referee import Referee
from tests.real.trial import OPTED_IN, SETTINGS, decision, kubernetes

pytestmark = pytest.mark.real


def test_what_is_wrong_is_seen(
    control_plane: ControlPlane, account: Account, nodes: Nodes, tmp_path: Path
) -> None:
    names = nodes.fleet({"a": 2, "b": 1}, labels=OPTED_IN)
    cluster = Cluster(kubernetes(account.kubeconfig))
    with Referee(control_plane, account.name) as referee:
        referee.settings = SETTINGS
        referee.journals.add(tmp_path / "there-is-none")
        for name in names:
            node = cluster.live.node(name)
            assert node is not None
            notes = marks.notes("dec-1", "inc-1", "for a test", "nobody", 0, 0)
            taint = marks.cordon_taint("inc-1")
            assert cluster.live.call(marks.put(node, taint, notes, unschedulable=True, says="")).ok
        assert node is not None
        referee.decided.append([decision(node, "cordon", "dec-1", "inc-1")])
        violations, lost, doubles = referee.verdict()
    cluster.stop()
    assert violations == ["a-2: 2 nodes of zone a are marked or cordoned, the budget is 1"]
    assert len(lost) == 1
    assert doubles == [f"{name} was patched 1 times for 0 operations" for name in names]
