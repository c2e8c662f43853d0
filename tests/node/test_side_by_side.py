"""The same machine as node_exporter sees it and as we do, under its names."""

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from edgeobs.node.collect import Collector
from edgeobs.node.exposition import Exposed
from edgeobs.node.settings import Settings
from tests.node.exporter import PROGRAM, Scraped, node_exporter, scraped

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(PROGRAM is None, reason="prometheus-node-exporter is not installed"),
]

SAME = {
    "node_memory_MemTotal_bytes",
    "node_boot_time_seconds",
    "node_filesystem_size_bytes",
    "node_filesystem_files",
    "node_filesystem_readonly",
    "node_network_up",
    "node_timex_sync_status",
}
"""What does not change between two readings."""
GROWS = {
    "node_cpu_seconds_total",
    "node_context_switches_total",
    "node_intr_total",
    "node_forks_total",
    "node_vmstat_pgmajfault",
    "node_vmstat_oom_kill",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "node_disk_reads_completed_total",
    "node_disk_writes_completed_total",
    "node_disk_read_time_seconds_total",
    "node_disk_write_time_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    "node_network_receive_packets_total",
    "node_network_transmit_drop_total",
    "node_netstat_Tcp_OutSegs",
    "node_netstat_Tcp_RetransSegs",
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_io_stalled_seconds_total",
}
"""What it says lies between what we read before and after."""
NEAR = {
    "node_memory_MemFree_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_Cached_bytes",
    "node_memory_Buffers_bytes",
    "node_memory_SReclaimable_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_free_bytes",
    "node_load1",
    "node_load15",
}
"""What others change meanwhile: near what we read before and after."""
ROOM_BYTES = 1e9
"""What other tests on the same machine may take and give back meanwhile."""
BACK_S = 0.5
"""The kernel takes some waiting for disks back again."""


def ours(collector: Collector) -> Scraped:
    collector.readings()
    registry = CollectorRegistry()
    registry.register(Exposed(collector.newest))
    return scraped(generate_latest(registry).decode())


def test_values_agree() -> None:
    collector = Collector(Settings(per_cpu=True, node_exporter_names=True, within_s=10.0, at_most=64))
    with node_exporter() as (url, _):
        before = ours(collector)
        theirs = scraped(httpx.get(url).text)
        after = ours(collector)
    compared, wrong = set(), []
    for (name, labels), first in before.items():
        key = name, labels
        if name not in SAME | GROWS | NEAR or key not in theirs or key not in after:
            continue
        compared.add(name)
        low, high = sorted((first, after[key]))
        room = BACK_S if ("mode", "iowait") in labels else 0.0
        if name in NEAR:
            room = ROOM_BYTES if name.endswith("bytes") else 0.02 * high + 0.5
        # A counter of theirs that is a float of seconds is rounded elsewhere than ours.
        if not low - room - 1e-9 * abs(low) <= theirs[key] <= high + room + 1e-9 * abs(high):
            wrong.append((name, labels, first, theirs[key], after[key]))
    assert wrong == []
    here = {name for name, _ in theirs}
    assert compared == (SAME | GROWS | NEAR) & here  # a kernel may have no pressure, a container no disk
    assert len(compared) >= 25
    cpus = {labels for name, labels in theirs if name == "node_cpu_seconds_total"}
    assert cpus <= {labels for name, labels in before if name == "node_cpu_seconds_total"}
