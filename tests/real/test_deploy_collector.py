"""The Collectors that are shipped, as a real API server takes them, and what the agent asks it for."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
import yaml

from edgeobs.demo.children import Children
from tests.collector.programs import Program
from tests.collector.site import CLUSTER, DEPLOY, HEALTH, Overlay, agent, command, of_node, secrets
from tests.collector.stub import Stub, stub
from tests.collector.targets import good, served
from tests.collector.workload import Workload
from tests.real.api import Api, Object, documents, wait
from tests.real.control_plane import Account, ControlPlane
from tests.real.nodes import Nodes
from tests.real.parts import COLLECTOR, MissingPartsError, programs
from tests.real.product import deployment, running

pytestmark = pytest.mark.real

RBAC = DEPLOY / "kubernetes/rbac.yaml"


@pytest.fixture(scope="module")
def account(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """The agent's, with what is shipped and nothing else."""
    own = [each for each in documents(RBAC) if each["metadata"]["name"] != "gateway"]
    manifest = tmp_path_factory.mktemp("collectors") / "rbac.yaml"
    manifest.write_text(yaml.safe_dump_all(own))
    return control_plane.account(manifest)


@pytest.mark.usefixtures("account")
def test_the_api_server_takes_every_object(control_plane: ControlPlane, tmp_path: Path) -> None:
    made = tmp_path / "all.yaml"
    made.write_text(control_plane.kubectl("kustomize", str(DEPLOY)))
    said = control_plane.kubectl(
        "apply",
        "--dry-run=server",
        "--server-side",
        "--force-conflicts",
        "--validate=strict",
        "-f",
        str(made),
    )
    kinds = sorted(each["kind"] for each in documents(made))
    assert len(said.splitlines()) == len(kinds)
    assert {"DaemonSet", "Deployment", "PersistentVolumeClaim", "ConfigMap"} <= set(kinds)
    config = next(each for each in documents(made) if "agent.yaml" in each.get("data", {}))
    assert config["data"]["agent.yaml"] == (DEPLOY / "agent.yaml").read_text()


def test_the_gateway_stands_the_strictest_pod_security(api: Api) -> None:
    (pods,) = (
        each["spec"]["template"]
        for each in documents(DEPLOY / "kubernetes/gateway.yaml")
        if each["kind"] == "Deployment"
    )
    strict = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict-2", "labels": strict}})
    place = {"name": "gateway", "namespace": "strict-2"}
    api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": pods["spec"]}
    try:
        api("POST", "/api/v1/namespaces/strict-2/pods", pod, dryRun="All")
    finally:
        api.delete("/api/v1/namespaces/strict-2")


@pytest.fixture(scope="module")
def otelcol() -> Path:
    """The real Collector."""
    try:
        return programs(COLLECTOR)[0]
    except MissingPartsError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Those of a test; they end with it."""
    made = Children(tmp_path)
    yield made
    made.stop()


def asking(ports: Mapping[str, int], kubeconfig: Path, sink: Stub) -> Overlay:
    """The agent with Kubernetes left in; it sends to a stub, and pods' addresses are on loopback."""
    shipped = yaml.safe_load((DEPLOY / "agent.yaml").read_text())
    found = agent(ports, [], ["prometheus"], None)
    job = shipped["receivers"]["prometheus"]["config"]
    (pods,) = job["scrape_configs"]
    job["global"] = {"scrape_interval": "1s", "scrape_timeout": "900ms"}
    pods["kubernetes_sd_configs"][0]["kubeconfig_file"] = str(kubeconfig)
    here = {"source_labels": ["__address__"], "regex": r"[\d.]+:(\d+)", "target_label": "__address__"}
    pods["relabel_configs"].append({**here, "replacement": "127.0.0.1:$$1"})
    found["receivers"]["prometheus"] = {"config": job}
    found["processors"] = {"k8s_attributes": {"auth_type": "kubeConfig"}}
    found["exporters"]["otlp_http"] = {"endpoint": sink.url}
    for name, pipeline in found["service"]["pipelines"].items():
        pipeline["processors"] = shipped["service"]["pipelines"][name]["processors"]
        pipeline["exporters"] = ["otlp_http"]
    return found


def apply_with_short_hash(api: Api, made: Object, annotations: Mapping[str, str]) -> None:
    """Apply a Deployment, with something in its pods by which their hash has no ten characters."""
    template, replicas = made["spec"]["template"], made["spec"]["replicas"]
    sets = f"/apis/apps/v1/namespaces/{made['metadata']['namespace']}/replicasets"

    def hash_of(attempt: str) -> str:
        labels = {
            each["spec"]["template"]["metadata"]["annotations"]["attempt"]: each["metadata"]["labels"]
            for each in api.items(sets)
        }
        return str(labels.get(attempt, {}).get("pod-template-hash", ""))

    made["spec"]["replicas"] = 0
    for attempt in map(str, range(100)):  # one in four is short
        template["metadata"]["annotations"] = {**annotations, "attempt": attempt}
        api.apply(made)
        if len(wait("its ReplicaSet", partial(hash_of, attempt))) < 10:
            break
    made["spec"]["replicas"] = replicas
    api.apply(made)


def test_the_agent_knows_whose_telemetry_it_is_and_asks_for_no_more_than_it_may(
    control_plane: ControlPlane,
    account: Account,
    nodes: Nodes,
    namespace: str,
    children: Children,
    otelcol: Path,
    tmp_path: Path,
) -> None:
    api = control_plane.api
    nodes.fleet({"a": 1, "b": 1})
    with served(good) as target, stub() as sink:
        till = deployment("till", namespace, 2)
        scrape = {"prometheus.io/scrape": "true", "prometheus.io/port": target.rsplit(":", 1)[1]}
        apply_with_short_hash(api, till, scrape)
        pods = wait(
            "pods run", lambda: running(api, namespace, "till")[1:] and running(api, namespace, "till")
        )
        node = pods[0]["spec"]["nodeName"]
        meta = pods[0]["metadata"]

        env = {"SECRETS": str(secrets(tmp_path / "secrets")), **of_node(tmp_path, node)}
        program = Program(
            children,
            "agent",
            lambda ports: command(otelcol, tmp_path, "agent", asking(ports, account.kubeconfig, sink)),
            ("otlp", "http", "health", "metrics"),
            HEALTH,
            lambda: {**env, "KUBECONFIG": str(account.kubeconfig)},
        )
        program.start()
        workload = Workload(tmp_path / "pods", program, meta["name"], meta["uid"], namespace)
        whose = {
            "k8s.cluster.name": CLUSTER,
            "topology.kubernetes.io/zone": node.split("-")[0],
            "k8s.node.name": node,
            "k8s.namespace.name": namespace,
            "k8s.deployment.name": "till",
            "k8s.pod.name": meta["name"],
        }

        def known() -> bool:
            workload.logs(1)
            found = {**whose, "service.name": "till"}  # of what is scraped it is the job
            return any(found.items() <= place.items() for place, _ in sink.lines())

        wait("its lines come with all that Kubernetes knows", known)
        wait("its metrics too", lambda: sink.points("device_volts"))
        for place, _, _ in sink.points("device_volts"):
            assert whose.items() <= place.items(), "pods of other nodes are left to others"

    asked = control_plane.audit(account.name)
    assert {event["responseStatus"]["code"] for event in asked if "responseStatus" in event} == {200}
    granted = {
        (resource, verb)
        for each in documents(RBAC)
        if each["kind"] == "ClusterRole"
        for rule in each["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    used = {(event["objectRef"]["resource"], event["verb"]) for event in asked}
    assert used <= granted
    assert {resource for resource, _ in used} == {resource for resource, _ in granted}
    for event in asked:
        assert f"%3D{node}" in event["requestURI"], "of its own node alone"
