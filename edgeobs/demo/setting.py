"""Where the demo's core listens and keeps its things."""

import socket
from pathlib import Path
from typing import NamedTuple

import yaml

LOOPBACK = "127.0.0.1"


class Ports(NamedTuple):
    """The three that the core listens on; 0 is any free one."""

    http: int = 4318
    grpc: int = 4317
    web: int = 9464


def free(wanted: Ports) -> tuple[Ports, list[str]]:
    """Ports that nobody listens on, and a line for each that had to be another."""
    chosen, lines = [], []
    for name, port in wanted._asdict().items():
        number = port if port and _is_free(port) else _any()
        if port not in (0, number):
            lines.append(f"port {port} ({name}) is busy: using {number} instead")
        chosen.append(number)
    return Ports(*chosen), lines


def write_config(folder: Path, ports: Ports) -> Path:
    """The core's config file."""
    config = {
        "server": {"host": LOOPBACK, "http_port": ports.http, "grpc_port": ports.grpc},
        "web": {"host": LOOPBACK, "port": ports.web},
        "cluster": {"kind": "memory", "opted_in": True},
        "engine": {"data_dir": str(folder / "data")},
        "remediate": {"dry_run": True},
        "telemetry": {"log_level": "info", "log_format": "json"},
    }
    file = folder / "edgeobs.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _any() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
