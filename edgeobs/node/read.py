"""What the kernel says now: /proc, /sys and psutil → readings. The effects; nothing is decided here.

Names are those of OpenTelemetry's system conventions. Where there is none:

- ``system.cpu.load_average.1m``, ``.5m``, ``.15m``, as the Collector's host metrics have them;
- ``system.disk.pending_operations``, likewise: operations begun and not ended;
- ``system.linux.pressure.time``, seconds in which some (or all: ``full``) tasks waited for a resource, and
  ``system.linux.pressure.ratio``, their share of the last 10 s: Documentation/accounting/psi.rst;
- ``system.linux.process.runnable`` and ``.blocked``: procs_running and procs_blocked of /proc/stat.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import psutil

from edgeobs.node.readings import Reading

Found = Iterator[Reading]
PROC, SYS = Path("/proc"), Path("/sys")
_SECTOR = 512  # /proc/diskstats counts in these, whatever the device's own


def cpu() -> Found:
    """Seconds in each mode since boot, all processors together; load; how many may run."""
    t = psutil.cpu_times()
    modes = {"user": t.user, "nice": t.nice, "system": t.system, "idle": t.idle}
    modes |= {"iowait": getattr(t, "iowait", 0.0), "steal": getattr(t, "steal", 0.0)}
    modes["interrupt"] = getattr(t, "irq", 0.0) + getattr(t, "softirq", 0.0)
    for mode, seconds in modes.items():
        yield Reading("system.cpu.time", "counter", "s", seconds, (("cpu.mode", mode),))
    for minutes, load in zip((1, 5, 15), os.getloadavg(), strict=True):
        yield Reading(f"system.cpu.load_average.{minutes}m", "gauge", "{thread}", load)
    yield Reading("system.cpu.logical.count", "updown", "{cpu}", os.cpu_count() or 1)


def memory() -> Found:
    """What memory and swap hold."""
    m = psutil.virtual_memory()
    states = {"free": m.free, "buffers": getattr(m, "buffers", 0), "cached": getattr(m, "cached", 0)}
    states["used"] = max(m.total - sum(states.values()), 0)
    for state, value in states.items():
        yield Reading("system.memory.usage", "updown", "By", value, (("system.memory.state", state),))
    yield Reading("system.memory.linux.available", "updown", "By", m.available)
    yield Reading("system.memory.utilization", "gauge", "1", 1 - m.available / m.total)
    swap = psutil.swap_memory()
    if swap.total:
        yield Reading("system.paging.utilization", "gauge", "1", swap.used / swap.total)
        for direction, moved in (("in", swap.sin), ("out", swap.sout)):
            labels = (("system.paging.direction", direction),)
            yield Reading("system.paging.io", "counter", "By", moved, labels)


def paging() -> Found:
    """Major faults: pages that had to be fetched from disk."""
    for line in (PROC / "vmstat").read_text().splitlines():
        if line.startswith("pgmajfault "):
            labels = (("system.paging.fault.type", "major"),)
            yield Reading("system.paging.faults", "counter", "{fault}", float(line.split()[1]), labels)


def disk() -> Found:
    """What each whole, real device moved, and how long that took."""
    for line in (PROC / "diskstats").read_text().splitlines():
        device, *columns = line.split()[2:]
        if (SYS / "block" / device / "device").exists():
            yield from _disk(device, [int(c) for c in columns])


def filesystem() -> Found:
    """How full each mounted device is; one mount a device, and always the root."""
    mounts = {p.device: p for p in reversed(psutil.disk_partitions(all=False)) if "loop" not in p.device}
    places = {p.mountpoint: p for p in mounts.values()}
    for place in sorted({*places, "/"}):
        try:
            use = psutil.disk_usage(place)
        except OSError:
            continue  # gone, or not ours to look at: the other mounts are
        if not use.total:
            continue
        device = (("system.device", places[place].device),) if place in places else ()
        labels = (*device, ("system.filesystem.mountpoint", place))
        reserved = use.total - use.used - use.free
        for state, value in (("used", use.used), ("free", use.free), ("reserved", reserved)):
            inside = (*labels, ("system.filesystem.state", state))
            yield Reading("system.filesystem.usage", "updown", "By", value, inside)
        full = use.used / max(use.used + use.free, 1)
        yield Reading("system.filesystem.utilization", "gauge", "1", full, labels)


def network() -> Found:
    """What each real interface moved; where no hardware backs any (a container), every one that is up."""
    found = psutil.net_io_counters(pernic=True, nowrap=False)
    real = sorted(n for n in found if (SYS / "class" / "net" / n / "device").exists())
    for name in real or sorted(n for n, s in psutil.net_if_stats().items() if s.isup and n != "lo"):
        io = found[name]
        for way, moved, packets, errors, dropped in (
            ("receive", io.bytes_recv, io.packets_recv, io.errin, io.dropin),
            ("transmit", io.bytes_sent, io.packets_sent, io.errout, io.dropout),
        ):
            labels = (("network.interface.name", name), ("network.io.direction", way))
            yield Reading("system.network.io", "counter", "By", moved, labels)
            yield Reading("system.network.packet.count", "counter", "{packet}", packets, labels)
            yield Reading("system.network.errors", "counter", "{error}", errors, labels)
            yield Reading("system.network.packet.dropped", "counter", "{packet}", dropped, labels)


def pressure() -> Found:
    """How long tasks waited for processor, memory and disk."""
    for resource in ("cpu", "memory", "io"):
        for line in (PROC / "pressure" / resource).read_text().splitlines():
            kind, *pairs = line.split()
            fields = dict(pair.split("=") for pair in pairs)
            labels = (("system.linux.pressure.kind", kind), ("system.linux.pressure.resource", resource))
            waited, recent = float(fields["total"]) / 1e6, float(fields["avg10"]) / 100
            yield Reading("system.linux.pressure.time", "counter", "s", waited, labels)
            yield Reading("system.linux.pressure.ratio", "gauge", "1", recent, labels)


def temperature() -> Found:
    """Every sensor's, °C."""
    for chip, sensors in sorted(psutil.sensors_temperatures().items()):
        for number, sensor in enumerate(sensors):
            labels = (("hw.id", f"{chip}/{number}"), ("hw.name", sensor.label or chip))
            yield Reading("hw.temperature", "gauge", "Cel", sensor.current, labels)


def process() -> Found:
    """How many processes there are, want a processor, wait for a disk, and were ever made."""
    yield Reading("system.process.count", "updown", "{process}", len(psutil.pids()))
    wanted = {
        "procs_running": Reading("system.linux.process.runnable", "gauge", "{process}", 0),
        "procs_blocked": Reading("system.linux.process.blocked", "gauge", "{process}", 0),
        "processes": Reading("system.process.created", "counter", "{process}", 0),
    }
    for line in (PROC / "stat").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if name in wanted:
            yield wanted[name]._replace(value=float(rest))


READERS: dict[str, Callable[[], Found]] = {
    "cpu": cpu,
    "memory": memory,
    "paging": paging,
    "disk": disk,
    "filesystem": filesystem,
    "network": network,
    "pressure": pressure,
    "temperature": temperature,
    "process": process,
}
"""What is read, in this order. Each may raise where the kernel has no such thing: see `collect.MISSING`."""


def _disk(device: str, columns: list[int]) -> Found:
    """Columns as Documentation/admin-guide/iostats.rst numbers them, from 0."""
    name = (("system.device", device),)
    for way, at in (("read", 0), ("write", 4)):
        done, _, sectors, ms = islice(columns, at, at + 4)
        labels = (("disk.io.direction", way), *name)
        yield Reading("system.disk.io", "counter", "By", sectors * _SECTOR, labels)
        yield Reading("system.disk.operations", "counter", "{operation}", done, labels)
        yield Reading("system.disk.operation_time", "counter", "s", ms / 1000, labels)
    yield Reading("system.disk.pending_operations", "updown", "{operation}", columns[8], name)
    yield Reading("system.disk.io_time", "counter", "s", columns[9] / 1000, name)
