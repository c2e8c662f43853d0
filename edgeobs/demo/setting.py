"""Where the demo's core listens and keeps its things."""

import socket
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from edgeobs.demo.site import CLUSTER

LOOPBACK = "127.0.0.1"
NAMESPACE = "edgeobs"
"""Where deploy/kubernetes/rbac.yaml puts the account and lets it hold a Lease."""


class Ports(NamedTuple):
    """The three that the core listens on; 0 is any free one."""

    http: int = 4318
    grpc: int = 4317
    web: int = 9464


def free(wanted: Ports) -> tuple[Ports, list[str]]:
    """Ports that nobody listens on, and a line for each that had to be another."""
    chosen, lines = [], []
    for name, port in wanted._asdict().items():
        number = port if port and _is_free(port) else a_free_port()
        if port not in (0, number):
            lines.append(f"port {port} ({name}) is busy: using {number} instead")
        chosen.append(number)
    return Ports(*chosen), lines


def write_config(folder: Path, ports: Ports, kubeconfig: Path | None = None) -> Path:
    """The core's config file; with a kubeconfig it acts on that cluster."""
    config: dict[str, Any] = {
        "server": {"host": LOOPBACK, "http_port": ports.http, "grpc_port": ports.grpc},
        "web": {"host": LOOPBACK, "port": ports.web},
        "cluster": {"kind": "memory", "opted_in": True},
        "engine": {"data_dir": str(folder / "data")},
        "logs": {"interval_s": 1.0, "grace_s": 1.0},  # a few minutes must do to know what is usual
        "traces": {"interval_s": 1.0, "wait_s": 2.0},
        "remediate": {"dry_run": True},
        "telemetry": {"log_level": "info", "log_format": "json"},
    }
    if kubeconfig is not None:
        config |= _live(kubeconfig)
    file = folder / "edgeobs.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def _live(kubeconfig: Path) -> dict[str, Any]:
    """Actions on; all is over sooner than by default, and taken back sooner, so that it can be watched."""
    real = {"kubeconfig": str(kubeconfig), "namespace": NAMESPACE, "cluster": CLUSTER}
    return {
        "cluster": {"kind": "kubernetes", "kubernetes": real},
        "incidents": {"hold_s": 15.0},
        "remediate": {
            "dry_run": False,
            "live": ["cordon", "taint", "reschedule", "release"],
            "ladders": {
                "disk_failing": [{"verb": "cordon"}, {"verb": "reschedule"}],
                "node_silent": [{"verb": "cordon"}, {"verb": "release"}],
                "resource_pressure": [{"verb": "taint"}],
            },
            "verify_s": 5.0,
            "undo_after_s": 2.0,
        },
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def a_free_port() -> int:
    """That nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
