"""A site on loopback: the Collectors that are shipped, and who they send to.

What a test changes of the shipped files is here and nothing else: where they listen and keep things, how long
the longest pause is, and that there is no Kubernetes to ask (tests/real has one).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from edgeobs.demo.children import Children
from tests.collector.programs import Program, written

DEPLOY = Path(__file__).parents[2] / "deploy/collector"
PAGE = 5000
"""Lines that Loki answers at once."""
NODE, CLUSTER, TOKEN = "edge-1", "site-1", "of-the-collectors"
Overlay = dict[str, Any]
HEALTH = ("health", "/")
QUEUES = ("otlp_grpc/logs", "otlp_grpc/metrics", "otlp_grpc/traces")
SOON: Overlay = {"retry_on_failure": {"initial_interval": "100ms", "max_interval": "500ms"}}
"""A minute of an outage is a second here."""
FLUSH = "100ms"
"""How long a batch waits for more."""


def secrets(folder: Path) -> Path:
    """Tokens, and a certificate of the gateway's that is its own authority."""
    written(folder / "token", TOKEN)
    written(folder / "edgeobs-token", "of-the-gateway")
    subject = ["-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    written(folder / "ca.crt", (folder / "tls.crt").read_text())
    return folder


def listening(ports: Mapping[str, int]) -> Overlay:
    """What every Collector of ours listens on."""
    grpc = {"grpc": {"endpoint": _address(ports["otlp"])}}
    return {
        "extensions": {"health_check": {"endpoint": _address(ports["health"])}},
        "receivers": {"otlp": {"protocols": grpc}},
        "service": {
            "telemetry": {
                "metrics": {
                    "readers": [
                        {
                            "pull": {
                                "exporter": {"prometheus": {"host": "127.0.0.1", "port": ports["metrics"]}}
                            }
                        }
                    ]
                }
            }
        },
    }


def agent(
    ports: Mapping[str, int], scraped: Sequence[str], metrics: Sequence[str], queue_bytes: int | None
) -> Overlay:
    """The agent's: no Kubernetes; targets by address, receivers of metrics by name."""
    found = listening(ports)
    found["receivers"]["otlp"]["protocols"]["http"] = {"endpoint": _address(ports["http"])}
    found["receivers"]["file_log"] = {"poll_interval": "50ms", **SOON}
    job = yaml.safe_load((DEPLOY / "agent.yaml").read_text())["receivers"]["prometheus"]["config"]
    of_pods = {key: each for key, each in job["scrape_configs"][0].items() if "_configs" not in key}
    timing = {"scrape_interval": "1s", "scrape_timeout": "900ms"}
    targets = [
        {**of_pods, **timing, "job_name": f"target-{n}", "static_configs": [{"targets": [target]}]}
        for n, target in enumerate(scraped)
    ]
    if targets:  # without any it must not be used, or it asks for Kubernetes
        found["receivers"]["prometheus"] = {"config": {"scrape_configs": targets}}
    size = {} if queue_bytes is None else {"queue_size": queue_bytes}
    found["exporters"] = {name: _soon(**size) for name in QUEUES}
    found["service"]["pipelines"] = {
        name: {"processors": ["memory_limiter", "resource", *["transform/lines"] * (name == "logs")]}
        for name in ("logs", "metrics", "traces")
    }
    found["service"]["pipelines"]["metrics"]["receivers"] = list(metrics)
    return found


def of_node(folder: Path, name: str) -> dict[str, str]:
    """The environment that its DaemonSet gives an agent, but for where it sends."""
    return {
        "STATE": str(folder / "agent"),
        "POD_LOGS": str(folder / "pods"),
        "HOST_ROOT": "/",
        "NODE_NAME": name,
        "CLUSTER": CLUSTER,
    }


def gateway(ports: Mapping[str, int], two_cores: bool) -> Overlay:
    """The gateway's."""
    found = listening(ports)
    relay = _address(ports["relay"])
    found["receivers"]["otlp/prometheus"] = {"protocols": {"http": {"endpoint": relay}}}
    names = ["otlp_http/edgeobs", "otlp_http/loki", *["otlp_http/edgeobs-1"] * two_cores]
    found["exporters"] = {name: _soon() for name in names}
    found["exporters"]["prometheusremotewrite"] = SOON
    found["exporters"]["otlp_http/prometheus"] = {**_soon(), "endpoint": f"http://{relay}", "timeout": "1s"}
    return found


def _soon(**queue: int) -> Overlay:
    return {**SOON, "sending_queue": {"batch": {"flush_timeout": FLUSH}, **queue}}


@dataclass(frozen=True)
class Site:
    """Who there is; started one by one by the test."""

    folder: Path
    agent: Program
    gateway: Program
    core: Program
    loki: Program
    prometheus: Program

    @property
    def pod_logs(self) -> Path:
        """Where the node's containers log to."""
        return self.folder / "pods"

    def lines(self, selector: str) -> list[str]:
        """The last hour's log lines of a selector in Loki, oldest first, as often as it has them."""
        query: dict[str, str | int] = {
            "query": selector,
            "since": "1h",
            "limit": PAGE,
            "direction": "forward",
        }
        url = self.loki.url("http", "/loki/api/v1/query_range")
        answer = httpx.get(url, params=query, timeout=30, trust_env=False)
        answer.raise_for_status()
        streams = answer.json()["data"]["result"]
        found = sorted((int(time), line) for stream in streams for time, line in stream["values"])
        assert len(found) < PAGE, "a test of so many lines must ask for them in pages"
        return [line for _, line in found]


def site(
    children: Children,
    folder: Path,
    otelcol: Path,
    loki: Path,
    scraped: Sequence[str] = (),
    metrics: Sequence[str] = ("otlp", "hostmetrics"),
    queue_bytes: int | None = None,
    disk: Sequence[str] = (),
    second_core: str = "",
    trace_store: str = "",
) -> Site:
    """Of these programs.

    Parameters
    ----------
    children, folder
        Who keeps them, and where their files go.
    otelcol, loki
        Programs that were built.
    scraped
        Addresses that the agent scrapes.
    metrics
        Receivers that it has metrics of.
    queue_bytes
        The size of each of its queues; as shipped by default.
    disk
        Words before its command: a program that gives it another disk, and then becomes it.
    second_core
        Where a second core takes OTLP; none by default.
    trace_store
        Where one takes OTLP/gRPC, without TLS; none by default.

    """
    keys = secrets(folder / "secrets")
    common = {"SECRETS": str(keys), "LISTEN": "127.0.0.1"}
    layers = [name for name, used in (("two-cores", second_core), ("trace-store", trace_store)) if used]
    core = Program(
        children, "core", lambda ports: _core(folder, ports), ("http", "page"), ("page", "/readyz"), _own
    )
    lines = Program(
        children, "loki", lambda ports: _loki(loki, folder, ports), ("http", "grpc"), ("http", "/ready")
    )
    series = Program(
        children, "prometheus", lambda ports: _prometheus(folder, ports), ("http",), ("http", "/-/ready")
    )
    up = Program(
        children,
        "gateway",
        lambda ports: command(otelcol, folder, "gateway", gateway(ports, bool(second_core)), layers),
        ("otlp", "relay", "health", "metrics"),
        HEALTH,
        lambda: {
            **common,
            "STATE": str(folder / "gateway"),
            "EDGEOBS": core.url("http"),
            "LOKI": lines.url("http"),
            "PROMETHEUS": series.url("http"),
            "EDGEOBS_1": second_core,
            "TRACES": trace_store,
            "TRACES_INSECURE": "true",
        },
    )
    node = Program(
        children,
        "agent",
        lambda ports: [
            *disk,
            *command(otelcol, folder, "agent", agent(ports, scraped, metrics, queue_bytes)),
        ],
        ("otlp", "http", "health", "metrics"),
        HEALTH,
        lambda: {
            **common,
            **of_node(folder, NODE),
            "GATEWAY": up.address("otlp"),
        },
    )
    return Site(folder, node, up, core, lines, series)


def command(
    program: Path, folder: Path, name: str, overlay: Overlay, layers: Sequence[str] = ()
) -> list[str]:
    """The Collector with files that are shipped, and what is changed of them."""
    changed = written(folder / f"{name}-overlay.yaml", yaml.safe_dump(overlay))
    files = [*(DEPLOY / f"{each}.yaml" for each in (name, *layers)), changed]
    return [str(program), *(f"--config={file}" for file in files)]


def _core(folder: Path, ports: Mapping[str, int]) -> list[str]:
    token = {"name": "gateway", "token_file": str(folder / "secrets/edgeobs-token"), "nodes": "*"}
    settings = {
        "server": {"http_port": ports["http"], "grpc_port": None, "tokens": [token]},
        "web": {"port": ports["page"]},
        "engine": {"data_dir": str(folder / "core")},
    }
    file = written(folder / "edgeobs.yaml", yaml.safe_dump(settings))
    return [sys.executable, "-m", "edgeobs", "serve", "-c", str(file)]


def _own() -> dict[str, str]:
    """Python's own, so that the core of this tree is run and finds what was compiled."""
    kept = ("PYTHONPATH", "HOME", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _loki(program: Path, folder: Path, ports: Mapping[str, int]) -> list[str]:
    listen = {"http": "server.http-listen-port", "grpc": "server.grpc-listen-port"}
    flags = [f"-{flag}={ports[name]}" for name, flag in listen.items()]
    soon = {"ingester.min-ready-duration": "0s"}  # there is nobody to find but itself
    soon |= dict.fromkeys(("frontend.scheduler-dns-lookup-period", "querier.dns-lookup-period"), "200ms")
    flags += ["-config.expand-env=true", *(f"-{flag}={value}" for flag, value in soon.items())]
    file = f"-config.file={DEPLOY / 'loki.yaml'}"
    return [
        "/usr/bin/env",
        f"LOKI_DATA={folder / 'loki'}",
        str(program),
        file,
        "-config.expand-env=true",
        *flags,
    ]


def _prometheus(folder: Path, ports: Mapping[str, int]) -> list[str]:
    program = shutil.which("prometheus")
    assert program, "a test that starts Prometheus asks for it first"
    file = written(folder / "prometheus.yml", "{}")
    flags = {
        "config.file": file,
        "storage.tsdb.path": folder / "prometheus",
        "web.listen-address": f"127.0.0.1:{ports['http']}",
    }
    return [
        program,
        "--web.enable-remote-write-receiver",
        *(f"--{key}={value}" for key, value in flags.items()),
    ]


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"
