"""Readings under the names of Prometheus' node_exporter (1.5 and later), for dashboards that exist. Pure.

What has no counterpart there keeps its own name. Rules that lead to the same name and labels add up, each
times its factor: so ``free`` there is what is free here and what is reserved.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from edgeobs.node.readings import Labels, Reading


class Rule(NamedTuple):
    """One reading's way to one name."""

    to: str
    where: Mapping[str, str] = {}  # attributes that the reading must have; they are not kept
    labels: Mapping[str, str] = {}  # attribute → label; others are not kept
    fixed: Labels = ()
    factor: float = 1.0


_DEVICE = {"system.device": "device"}
_INTERFACE = {"network.interface.name": "device"}
_MOUNT = {**_DEVICE, "system.filesystem.mountpoint": "mountpoint", "system.filesystem.type": "fstype"}
_SUPPLY = {"hw.id": "power_supply"}


def _ways(name: str, way: str, each: Mapping[str, str]) -> list[Rule]:
    return [Rule(to, {name: value}, _DEVICE if way == "disk" else _INTERFACE) for value, to in each.items()]


def _disk(read: str, write: str) -> list[Rule]:
    return _ways("disk.io.direction", "disk", {"read": f"node_disk_{read}", "write": f"node_disk_{write}"})


def _net(what: str) -> list[Rule]:
    ways = {way: f"node_network_{way}_{what}_total" for way in ("receive", "transmit")}
    return _ways("network.io.direction", "network", ways)


def _pressure(kind: str, resource: str, to: str) -> Rule:
    where = {"system.linux.pressure.kind": kind, "system.linux.pressure.resource": resource}
    return Rule(f"node_pressure_{to}_seconds_total", where)


def _meminfo(attribute: str, each: Mapping[str, str]) -> list[Rule]:
    return [Rule(f"node_memory_{to}_bytes", {attribute: state}) for state, to in each.items()]


_STATE = "system.filesystem.state"
_SLAB = "system.memory.linux.slab.state"
RULES: dict[str, list[Rule]] = {
    "system.cpu.time": [
        *(
            Rule("node_cpu_seconds_total", {"cpu.mode": mode}, {"cpu.logical_number": "cpu"}, (("mode", to),))
            for mode, to in {
                **{each: each for each in ("user", "nice", "system", "idle", "iowait", "softirq", "steal")},
                "interrupt": "irq",
            }.items()
        )
    ],
    "system.cpu.load_average.1m": [Rule("node_load1")],
    "system.cpu.load_average.5m": [Rule("node_load5")],
    "system.cpu.load_average.15m": [Rule("node_load15")],
    "system.cpu.frequency": [Rule("node_cpu_scaling_frequency_hertz", labels={"cpu.logical_number": "cpu"})],
    "system.cpu.frequency.limit": [
        Rule("node_cpu_scaling_frequency_max_hertz", labels={"cpu.logical_number": "cpu"})
    ],
    "system.memory.limit": [Rule("node_memory_MemTotal_bytes")],
    "system.memory.linux.available": [Rule("node_memory_MemAvailable_bytes")],
    "system.memory.usage": _meminfo(
        "system.memory.state", {"free": "MemFree", "buffers": "Buffers", "cached": "Cached"}
    ),
    "system.memory.linux.slab.usage": [
        *_meminfo(_SLAB, {"reclaimable": "SReclaimable", "unreclaimable": "SUnreclaim"}),
        Rule("node_memory_Cached_bytes", {_SLAB: "reclaimable"}, factor=-1.0),
    ],
    "system.paging.usage": [
        Rule("node_memory_SwapFree_bytes", {"system.paging.state": "free"}),
        Rule("node_memory_SwapTotal_bytes", {"system.paging.state": "free"}),
        Rule("node_memory_SwapTotal_bytes", {"system.paging.state": "used"}),
    ],
    "system.paging.faults": [Rule("node_vmstat_pgmajfault", {"system.paging.fault.type": "major"})],
    "system.paging.operations": [
        Rule("node_vmstat_pswpin", {"system.paging.direction": "in"}),
        Rule("node_vmstat_pswpout", {"system.paging.direction": "out"}),
    ],
    "system.linux.memory.oom_kills": [Rule("node_vmstat_oom_kill")],
    "system.process.created": [Rule("node_forks_total")],
    "system.linux.process.runnable": [Rule("node_procs_running")],
    "system.linux.process.blocked": [Rule("node_procs_blocked")],
    "system.linux.context_switches": [Rule("node_context_switches_total")],
    "system.linux.interrupts": [Rule("node_intr_total")],
    "system.linux.boot_time": [Rule("node_boot_time_seconds")],
    "system.linux.pressure.time": [
        _pressure("some", "cpu", "cpu_waiting"),
        _pressure("some", "io", "io_waiting"),
        _pressure("full", "io", "io_stalled"),
        _pressure("some", "memory", "memory_waiting"),
        _pressure("full", "memory", "memory_stalled"),
    ],
    "system.disk.io": _disk("read_bytes_total", "written_bytes_total"),
    "system.disk.operations": _disk("reads_completed_total", "writes_completed_total"),
    "system.disk.merged": _disk("reads_merged_total", "writes_merged_total"),
    "system.disk.operation_time": _disk("read_time_seconds_total", "write_time_seconds_total"),
    "system.disk.pending_operations": [Rule("node_disk_io_now", labels=_DEVICE)],
    "system.disk.io_time": [Rule("node_disk_io_time_seconds_total", labels=_DEVICE)],
    "system.filesystem.limit": [Rule("node_filesystem_size_bytes", labels=_MOUNT)],
    "system.filesystem.usage": [
        Rule("node_filesystem_avail_bytes", {_STATE: "free"}, _MOUNT),
        Rule("node_filesystem_free_bytes", {_STATE: "free"}, _MOUNT),
        Rule("node_filesystem_free_bytes", {_STATE: "reserved"}, _MOUNT),
    ],
    "system.filesystem.inodes": [
        Rule("node_filesystem_files_free", {_STATE: "free"}, _MOUNT),
        Rule("node_filesystem_files", {_STATE: "free"}, _MOUNT),
        Rule("node_filesystem_files", {_STATE: "used"}, _MOUNT),
    ],
    "edgeobs.node.filesystem.readonly": [Rule("node_filesystem_readonly", labels=_MOUNT)],
    "edgeobs.node.filesystem.stuck": [Rule("node_filesystem_device_error", labels=_MOUNT)],
    "system.network.io": _net("bytes"),
    "system.network.packet.count": _net("packets"),
    "system.network.errors": _net("errs"),
    "system.network.packet.dropped": _net("drop"),
    "edgeobs.node.network.up": [Rule("node_network_up", labels=_INTERFACE)],
    "edgeobs.node.tcp.segments": [
        Rule("node_netstat_Tcp_OutSegs", {"edgeobs.node.tcp.segment.state": "sent"}),
        Rule("node_netstat_Tcp_RetransSegs", {"edgeobs.node.tcp.segment.state": "retransmitted"}),
    ],
    "system.network.connection.count": [
        Rule("node_netstat_Tcp_CurrEstab", {"network.connection.state": "established"})
    ],
    "hw.temperature": [
        Rule("node_hwmon_temp_celsius", labels={"hw.parent": "chip", "hw.id": "sensor"}),
        Rule("node_thermal_zone_temp", labels={"hw.id": "zone", "hw.name": "type"}),
    ],
    "hw.energy": [
        Rule("node_rapl_package_joules_total", {"hw.type": "cpu"}, {"hw.id": "path", "hw.name": "index"}),
        Rule("node_rapl_dram_joules_total", {"hw.type": "memory"}, {"hw.id": "path", "hw.name": "index"}),
    ],
    "hw.battery.charge": [Rule("node_power_supply_capacity", labels=_SUPPLY, factor=100.0)],
    "edgeobs.node.supply.online": [Rule("node_power_supply_online", labels=_SUPPLY)],
    "edgeobs.node.clock.synchronized": [Rule("node_timex_sync_status")],
    "edgeobs.node.clock.offset": [Rule("node_timex_offset_seconds")],
    "edgeobs.node.clock.error.max": [Rule("node_timex_maxerror_seconds")],
    "edgeobs.node.clock.error.estimated": [Rule("node_timex_estimated_error_seconds")],
}
"""Name here → what it becomes there."""


_SHORT: dict[str, Callable[[str], str]] = {
    "sensor": lambda value: value.rsplit("/", 1)[-1],
    "zone": lambda value: value.removeprefix("thermal_zone"),
}
"""Labels whose value there is only the end of ours."""


def renamed(readings: Iterable[Reading]) -> Iterator[Reading]:
    """The same readings, those that have a counterpart there under its name."""
    sums: dict[tuple[str, Labels], Reading] = {}
    for reading in readings:
        rules = [rule for rule in RULES.get(reading.name, ()) if _fits(rule, reading)]
        if not rules:
            yield reading
        for rule in rules:
            there = _there(rule, reading)
            before = sums.get((there.name, there.attributes))
            sums[there.name, there.attributes] = there._replace(
                value=there.value + (before.value if before else 0.0)
            )
    yield from sums.values()


def _fits(rule: Rule, reading: Reading) -> bool:
    """A rule asks for some attributes by value and for those that become labels by name."""
    attributes = dict(reading.attributes)
    if any(attributes.get(name) != value for name, value in rule.where.items()):
        return False
    return reading.name != "hw.temperature" or ("chip" in rule.labels.values()) == ("hw.parent" in attributes)


def _there(rule: Rule, reading: Reading) -> Reading:
    kept = tuple(
        (rule.labels[name], _SHORT.get(rule.labels[name], str)(value))
        for name, value in reading.attributes
        if name in rule.labels
    )
    labels = tuple(sorted((*kept, *rule.fixed)))
    kind = reading.kind if rule.to.endswith("_total") else "gauge"
    return Reading(rule.to, kind, reading.unit, reading.value * rule.factor, labels)
