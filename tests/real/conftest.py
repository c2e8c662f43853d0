"""What the tests against a real control plane share: one for all of them, nodes and a namespace for each."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.api import Api, wait
from tests.real.control_plane import QUICK, Account, ControlPlane
from tests.real.fault_proxy import FaultProxy
from tests.real.nodes import LEASES, Nodes
from tests.real.parts import MissingPartsError, find
from tests.real.referee import Referee, Verdict
from tests.real.table import ROW, Judged, table
from tests.real.trial import Trial

HERE = Path(__file__).parent
RBAC = HERE.parents[1] / "deploy/kubernetes/rbac.yaml"
LONGEST_S = 900
LEFT = "ignore:unclosed (transport|<socket):ResourceWarning"
"""What httpx leaves of a connection that was being made when its task was cancelled."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for Kubernetes may take longer than other tests, and ends in the middle of connecting."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST_S))
            item.add_marker(pytest.mark.filterwarnings(LEFT))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """The one of this run, with QUICK timing; skips the test where its programs are missing."""
    try:
        parts = find()
    except MissingPartsError as missing:
        pytest.skip(str(missing))
    with ControlPlane(timing=QUICK, parts=parts) as plane:
        yield plane


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    """The administrator's way to the API server."""
    return control_plane.api


@pytest.fixture
def nodes(control_plane: ControlPlane, api: Api) -> Iterator[Nodes]:
    """No nodes yet; those that a test makes are removed after it."""
    yield Nodes(api)
    api.delete("/api/v1/nodes")
    api.delete(LEASES)
    control_plane.new_kubelets()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """An empty one in which pods can be made; its pods are gone after the test, it itself soon after."""
    name = f"test-{secrets.token_hex(4)}"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
    wait(f"{name} has an account", lambda: api.items(accounts))
    yield name
    api.delete(f"/api/v1/namespaces/{name}")  # from here on nothing can be made in it
    wait(f"no pods are left in {name}", lambda: none_left(api, f"/api/v1/namespaces/{name}/pods"))


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[FaultProxy]:
    """A fault proxy before the API server, without faults yet."""
    with FaultProxy(control_plane.server, control_plane.certificate, control_plane.key) as running:
        yield running


@pytest.fixture(scope="session")
def account(control_plane: ControlPlane) -> Account:
    """Ours, with what is shipped and nothing else."""
    return control_plane.account(RBAC)


@pytest.fixture
def trial(
    control_plane: ControlPlane,
    account: Account,
    proxy: FaultProxy,
    nodes: Nodes,
    namespace: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Trial]:
    """A row of the fault matrix; judged after the test."""
    about = (request.function.__doc__ or "").strip().splitlines()[0]
    verdict = Verdict([], [], [])
    with Referee(control_plane, account.name) as referee:
        made = Trial(control_plane, account, proxy, nodes, namespace, tmp_path, referee)
        try:
            yield made
            verdict = referee.verdict()
        finally:
            request.node.user_properties.append((ROW, Judged(about, *map(len, verdict))))
            made.close()
    assert not any(verdict), verdict


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The fault matrix, where it was run."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    told = table(each for each in reports if isinstance(each, pytest.TestReport))
    for line in ["", *told] if told else []:
        terminalreporter.write_line(line)


def none_left(api: Api, path: str) -> bool:
    """Remove objects that nobody else may: a dead node's, and those with a finalizer."""
    left = api.items(path)
    for name in (each["metadata"]["name"] for each in left if each["metadata"].get("finalizers")):
        api("PATCH", f"{path}/{name}", {"metadata": {"finalizers": None}})
    api.delete(path, gracePeriodSeconds=0)
    return not left
