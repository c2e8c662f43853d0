"""Processors, memory, processes and pressure, from /proc.

Names are those of OpenTelemetry's system conventions; those of our own are told apart in docs/node.md.
"""

import os
from collections.abc import Iterator

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
_MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal")
"""The columns of /proc/stat, as OpenTelemetry's ``cpu.mode`` and the Collector name them."""
_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024


def cpu(host: Host) -> Found:
    """Seconds in each mode since boot; how many processors there are.

    ``user`` and ``nice`` hold the time of guests, as the kernel counts it.
    """
    lines = [line.split() for line in host.text(f"{host.proc}/stat").splitlines() if line.startswith("cpu")]
    if host.settings.per_cpu:
        for name, *columns in lines[1:]:
            yield from _times(columns, (("cpu.logical_number", name.removeprefix("cpu")),))
    else:
        yield from _times(lines[0][1:], ())
    yield Reading("system.cpu.logical.count", "updown", "{cpu}", len(lines) - 1)


def load(host: Host) -> Found:
    """Tasks that ran or waited for a processor or disk, means over 1, 5 and 15 minutes."""
    means = host.text(f"{host.proc}/loadavg").split()
    for minutes, mean in zip((1, 5, 15), means, strict=False):
        yield Reading(f"system.cpu.load_average.{minutes}m", "gauge", "{thread}", float(mean))


def frequency(host: Host) -> Found:
    """What each processor runs at, and what it may; without a governor there is nothing to tell."""
    places = host.found("sys/devices/system/cpu/cpu[0-9]*/cpufreq")
    if not places:
        raise MissingError("no cpufreq below /sys/devices/system/cpu")
    for place in places:
        labels = (("cpu.logical_number", place.split("/")[-2].removeprefix("cpu")),)
        if (now := host.maybe(f"{place}/scaling_cur_freq")) is not None:
            yield Reading("system.cpu.frequency", "gauge", "Hz", now * 1000, labels)
        if (most := host.maybe(f"{place}/scaling_max_freq")) is not None:
            yield Reading("system.cpu.frequency.limit", "gauge", "Hz", most * 1000, labels)


def memory(host: Host) -> Found:
    """What memory and swap hold; ``cached`` has what the kernel can reclaim of its own, as in free(1)."""
    pairs = (line.split(":") for line in host.text(f"{host.proc}/meminfo").splitlines())
    kib = {name: float(value.split()[0]) for name, value in pairs}
    size = {name: value * _KIB for name, value in kib.items()}
    total, reclaimable = size["MemTotal"], size.get("SReclaimable", 0.0)
    states = {"free": size["MemFree"], "buffers": size["Buffers"], "cached": size["Cached"] + reclaimable}
    states["used"] = max(total - sum(states.values()), 0.0)
    for state, value in states.items():
        yield Reading("system.memory.usage", "updown", "By", value, (("system.memory.state", state),))
    yield Reading("system.memory.limit", "updown", "By", total)
    available = size.get("MemAvailable", size["MemFree"] + size["Cached"])
    yield Reading("system.memory.linux.available", "updown", "By", available)
    yield Reading("system.memory.utilization", "gauge", "1", 1 - available / total)
    for state, name in (("reclaimable", "SReclaimable"), ("unreclaimable", "SUnreclaim")):
        if name in size:
            labels = (("system.memory.linux.slab.state", state),)
            yield Reading("system.memory.linux.slab.usage", "updown", "By", size[name], labels)
    if swap := size.get("SwapTotal", 0.0):
        used = swap - size["SwapFree"]
        yield Reading("system.paging.utilization", "gauge", "1", used / swap)
        for state, value in (("used", used), ("free", size["SwapFree"])):
            yield Reading("system.paging.usage", "updown", "By", value, (("system.paging.state", state),))


def paging(host: Host) -> Found:
    """Major faults (pages that had to be fetched from disk), pages swapped, and kills for want of memory."""
    lines = (line.partition(" ") for line in host.text(f"{host.proc}/vmstat").splitlines())
    count = {name: float(value) for name, _, value in lines if name in _OF_VMSTAT}
    labels: Labels = (("system.paging.fault.type", "major"),)
    yield Reading("system.paging.faults", "counter", "{fault}", count["pgmajfault"], labels)
    for direction, name in (("in", "pswpin"), ("out", "pswpout")):
        if name in count:
            moved = (("system.paging.direction", direction),)
            yield Reading("system.paging.operations", "counter", "{operation}", count[name], moved)
    if "oom_kill" in count:
        yield Reading("system.linux.memory.oom_kills", "counter", "{kill}", count["oom_kill"])


def process(host: Host) -> Found:
    """How many processes there are, want a processor, wait for a disk, and were ever made; switches; boot."""
    pids = sum(name.isdecimal() for name in os.listdir(host.proc))  # noqa: PTH208  names alone, once a second
    yield Reading("system.process.count", "updown", "{process}", pids)
    for line in host.text(f"{host.proc}/stat").splitlines():
        name, _, rest = line.partition(" ")
        if name in _OF_STAT:
            first = rest.partition(" ")[0]  # of interrupts there may be thousands
            yield _OF_STAT[name]._replace(value=float(first))
    yield Reading("system.uptime", "gauge", "s", float(host.text(f"{host.proc}/uptime").split()[0]))


def pressure(host: Host) -> Found:
    """How long tasks waited for processor, memory and disk: Documentation/accounting/psi.rst."""
    for resource in ("cpu", "memory", "io"):
        for line in host.text(f"{host.proc}/pressure/{resource}").splitlines():
            kind, *pairs = line.split()
            fields = dict(pair.split("=") for pair in pairs)
            labels = (("system.linux.pressure.kind", kind), ("system.linux.pressure.resource", resource))
            waited, recent = float(fields["total"]) / 1e6, float(fields["avg10"]) / 100
            yield Reading("system.linux.pressure.time", "counter", "s", waited, labels)
            yield Reading("system.linux.pressure.ratio", "gauge", "1", recent, labels)


_OF_VMSTAT = frozenset({"pgmajfault", "pswpin", "pswpout", "oom_kill"})
_OF_STAT = {
    "procs_running": Reading("system.linux.process.runnable", "gauge", "{process}", 0),
    "procs_blocked": Reading("system.linux.process.blocked", "gauge", "{process}", 0),
    "processes": Reading("system.process.created", "counter", "{process}", 0),
    "ctxt": Reading("system.linux.context_switches", "counter", "{switch}", 0),
    "intr": Reading("system.linux.interrupts", "counter", "{interrupt}", 0),
    "btime": Reading("system.linux.boot_time", "gauge", "s", 0),
}


def _times(columns: list[str], labels: Labels) -> Found:
    for mode, ticks in zip(_MODES, columns, strict=False):
        yield Reading("system.cpu.time", "counter", "s", float(ticks) / _TICK, (("cpu.mode", mode), *labels))
