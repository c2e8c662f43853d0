"""Where the demo's core listens, and the config it is given."""

import socket
from pathlib import Path

from edgeobs.config import load
from edgeobs.demo.setting import Ports, free, write_config


def test_a_busy_port_is_replaced_and_a_line_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports, lines = free(Ports(http=port, grpc=0, web=0))
    assert ports.http not in (port, 0)
    assert len(set(ports)) == 3
    assert lines == [f"port {port} (http) is busy: using {ports.http} instead"]


def test_the_core_takes_the_config(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, Ports(1, 2, 3)))
    assert (config.server.http_port, config.server.grpc_port, config.web.port) == (1, 2, 3)
    assert config.server.host == config.web.host == "127.0.0.1"
    assert config.engine.data_dir == tmp_path / "data"
    assert config.remediate.dry_run
    assert config.cluster.opted_in


def test_with_a_kubeconfig_it_acts_on_that_cluster(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, Ports(1, 2, 3), tmp_path / "kubeconfig"))
    assert config.cluster.kind == "kubernetes"
    assert config.cluster.kubernetes.kubeconfig == tmp_path / "kubeconfig"
    assert not config.remediate.dry_run
    assert set(config.remediate.live) == {"cordon", "taint", "reschedule", "release"}
