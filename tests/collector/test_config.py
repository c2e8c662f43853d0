"""What lies in deploy/collector is accepted by the real Collector, and its parts agree with each other."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.collector.programs import written
from tests.collector.site import DEPLOY

AGENT, GATEWAY, TWO, STORE = (
    DEPLOY / f"{name}.yaml" for name in ("agent", "gateway", "two-cores", "trace-store")
)
ALONE = DEPLOY.parent / "otel-collector.yaml"
LAYERS = [[AGENT], [GATEWAY], [GATEWAY, TWO], [GATEWAY, STORE], [ALONE]]
GIB = 1 << 30


def loaded(*files: Path) -> dict[str, Any]:
    """As the Collector joins them: maps key by key, all else replaced."""
    found: dict[str, Any] = {}
    for file in files:
        _join(found, yaml.safe_load(file.read_text()))
    return found


def _join(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _join(into[key], value)
        else:
            into[key] = value


def used(config: dict[str, Any]) -> dict[str, set[str]]:
    """Names of components that pipelines use, by kind."""
    found: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            found[kind] |= set(names)
    return found


def queues(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each queue on disk: one for each exporter of each pipeline."""
    for pipeline in config["service"]["pipelines"].values():
        for name in pipeline["exporters"]:
            if "sending_queue" in config["exporters"][name]:
                yield name, config["exporters"][name]["sending_queue"]


def names(files: Sequence[Path]) -> str:
    return "+".join(file.stem for file in files)


def validate(otelcol: Path, folder: Path, files: Sequence[Path]) -> "subprocess.CompletedProcess[str]":
    configs = [f"--config={file}" for file in files]
    for name in ("token", "edgeobs-token"):
        written(folder / name, "secret")
    env = {"NODE_NAME": "edge-1", "CLUSTER": "site-1", "HOST_ROOT": "/", "SECRETS": str(folder)}
    return subprocess.run(
        [str(otelcol), "validate", *configs], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.real
@pytest.mark.parametrize("files", LAYERS, ids=names)
def test_the_collector_accepts(otelcol: Path, tmp_path: Path, files: list[Path]) -> None:
    done = validate(otelcol, tmp_path, files)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


@pytest.mark.real
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"exporters": {"otlp_http/loki": {"sending_queue": {"storrage": "file_storage"}}}}, "storrage"),
        ({"service": {"pipelines": {"logs": {"exporters": ["otlp_http/lokki"]}}}}, "otlp_http/lokki"),
    ],
)
def test_and_would_not_accept_a_slip(otelcol: Path, tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    done = validate(otelcol, tmp_path, [GATEWAY, written(tmp_path / "wrong.yaml", yaml.safe_dump(wrong))])
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("files", LAYERS, ids=names)
def test_pipelines_use_what_is_configured_and_all_of_it(files: list[Path]) -> None:
    config = loaded(*files)
    assert {kind: set(config[kind]) for kind in used(config)} | {
        "processors": set(config["processors"])
    } == used(config)
    assert set(config["service"]["extensions"]) == set(config["extensions"])


@pytest.mark.parametrize("files", LAYERS, ids=names)
def test_whatever_leaves_waits_on_disk_for_as_long_as_it_takes(files: list[Path]) -> None:
    config = loaded(*files)
    for name in used(config)["exporters"] - {"prometheusremotewrite"}:
        exporter = config["exporters"][name]
        assert exporter["sending_queue"]["storage"] == "file_storage", name
        assert exporter["retry_on_failure"]["max_elapsed_time"] == 0, name
    for name, pipeline in config["service"]["pipelines"].items():
        if "prometheusremotewrite" in pipeline["exporters"]:  # the other end of a queue: a failure goes back
            assert (name, pipeline["exporters"]) == ("metrics/prometheus", ["prometheusremotewrite"])
            remote = config["exporters"]["prometheusremotewrite"]
            assert remote["remote_write_queue"] == {"enabled": False}
            assert remote["retry_on_failure"]["max_elapsed_time"] == 0  # at its end it would call it final
            assert remote["timeout"] == "0s"
        else:
            assert pipeline["processors"][0] == "memory_limiter", name


def test_every_layer_of_two_cores_sends_the_second_what_the_first_gets() -> None:
    config = loaded(GATEWAY, TWO)
    for name, pipeline in config["service"]["pipelines"].items():
        there = "otlp_http/edgeobs" in pipeline["exporters"]
        assert there == ("otlp_http/edgeobs-1" in pipeline["exporters"]), name
        alone = loaded(GATEWAY)["service"]["pipelines"][name]["exporters"]
        assert [e for e in pipeline["exporters"] if e != "otlp_http/edgeobs-1"] == alone
    first, second = (config["exporters"][f"otlp_http/edgeobs{n}"] for n in ("", "-1"))
    assert {**first, "endpoint": ""} == {**second, "endpoint": ""}


def test_the_gateways_disk_holds_all_its_queues_and_one_again() -> None:
    (claim,) = (each for each in manifests("gateway") if each["kind"] == "PersistentVolumeClaim")
    room = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * GIB
    for layer in (TWO, STORE):
        sizes = [queue["queue_size"] for _, queue in queues(loaded(GATEWAY, layer))]
        assert sum(sizes) + max(sizes) <= room


def test_the_agent_speaks_for_its_own_node_whatever_a_pod_says() -> None:
    config = loaded(AGENT)
    attributes = {each["key"]: each for each in config["processors"]["resource"]["attributes"]}
    assert attributes["k8s.node.name"] == {
        "key": "k8s.node.name", "value": "${env:NODE_NAME}", "action": "upsert",
    }  # fmt: skip
    assert attributes["k8s.cluster.name"]["action"] == "upsert"
    assert attributes["topology.kubernetes.io/zone"]["action"] == "delete"
    for pipeline in config["service"]["pipelines"].values():  # the node is known before its zone is asked for
        assert pipeline["processors"].index("resource") < pipeline["processors"].index("k8s_attributes")


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / f"kubernetes/{name}.yaml").read_text()))


@pytest.mark.parametrize(("name", "files"), [("agent", [AGENT]), ("gateway", [GATEWAY, TWO])])
def test_what_runs_a_collector_gives_it_all_that_its_configuration_names(
    name: str, files: list[Path]
) -> None:
    (template,) = (each["spec"]["template"] for each in manifests(name) if "template" in each.get("spec", {}))
    (container,) = template["spec"]["containers"]
    text = "".join(file.read_text() for file in files)
    asked = set(re.findall(r"\$\{env:(\w+)\}", text))
    assert asked <= {each["name"] for each in container["env"]}
    args = {f"--config=/etc/otelcol/{file.name}" for file in files}
    assert args == set(container["args"])
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {arg.removeprefix("--config=") for arg in args} <= mounted
    for default in re.findall(r"\$\{env:(?:SECRETS|STATE|POD_LOGS|HOST_ROOT):-([^}]+)\}", text):
        assert default in mounted
    listened = {int(port) for port in re.findall(r"LISTEN:-127\.0\.0\.1\}:(\d+)", text)} | {8888}
    assert listened == {port["containerPort"] for port in container["ports"]}
    secret = next(each["secret"] for each in template["spec"]["volumes"] if "secret" in each)
    assert secret["secretName"] == name
    generated = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["configMapGenerator"]
    assert {"name": name, "files": [file.name for file in files]} in generated


@pytest.mark.parametrize("name", ["agent", "gateway"])
def test_go_gives_memory_back_before_the_limit(name: str) -> None:
    (template,) = (each["spec"]["template"] for each in manifests(name) if "template" in each.get("spec", {}))
    (container,) = template["spec"]["containers"]
    limit = container["resources"]["limits"]["memory"]
    mib = {"256Mi": 256, "1Gi": 1024}[limit]
    (soft,) = (each["value"] for each in container["env"] if each["name"] == "GOMEMLIMIT")
    assert 0.78 * mib <= int(soft.removesuffix("MiB")) <= 0.82 * mib
