"""Every metric that a node sends, and whose name it bears; docs/node.md's table is held equal to it."""

from typing import Literal, NamedTuple


class Named(NamedTuple):
    """One metric. ``convention``: the name is OpenTelemetry's (semantic conventions 1.40), otherwise ours."""

    kind: Literal["counter", "updown", "gauge"]
    unit: str
    help: str
    convention: bool = True


def _own(kind: Literal["counter", "updown", "gauge"], unit: str, text: str) -> Named:
    return Named(kind, unit, text, convention=False)


NAMES: dict[str, Named] = {
    # Processors, memory, processes
    "system.cpu.time": Named("counter", "s", "Seconds in each mode since boot."),
    "system.cpu.logical.count": Named("updown", "{cpu}", "Processors."),
    "system.cpu.load_average.1m": _own("gauge", "{thread}", "Load over 1 minute, as the Collector names it."),
    "system.cpu.load_average.5m": _own("gauge", "{thread}", "Load over 5 minutes."),
    "system.cpu.load_average.15m": _own("gauge", "{thread}", "Load over 15 minutes."),
    "system.cpu.frequency": Named("gauge", "Hz", "What a processor runs at."),
    "system.cpu.frequency.limit": _own("gauge", "Hz", "What its governor lets it run at."),
    "system.memory.usage": Named("updown", "By", "Memory by state."),
    "system.memory.limit": Named("updown", "By", "All memory."),
    "system.memory.linux.available": Named("updown", "By", "Memory that can be had without swapping."),
    "system.memory.utilization": Named("gauge", "1", "Share of memory that is not available."),
    "system.memory.linux.slab.usage": Named("updown", "By", "The kernel's own caches."),
    "system.paging.utilization": Named("gauge", "1", "Share of swap that is used."),
    "system.paging.usage": Named("updown", "By", "Swap by state."),
    "system.paging.faults": Named("counter", "{fault}", "Pages that had to be fetched from disk."),
    "system.paging.operations": Named("counter", "{operation}", "Pages swapped in and out."),
    "system.linux.memory.oom_kills": _own("counter", "{kill}", "Processes killed for want of memory."),
    "system.process.count": Named("updown", "{process}", "Processes."),
    "system.process.created": Named("counter", "{process}", "Processes ever made."),
    "system.linux.process.runnable": _own("gauge", "{process}", "Tasks that want a processor."),
    "system.linux.process.blocked": _own("gauge", "{process}", "Tasks that wait for a disk."),
    "system.linux.context_switches": _own("counter", "{switch}", "Context switches."),
    "system.linux.interrupts": _own("counter", "{interrupt}", "Interrupts."),
    "system.linux.boot_time": _own("gauge", "s", "When the machine was started, Unix time."),
    "system.uptime": Named("gauge", "s", "Seconds since the machine was started."),
    "system.linux.pressure.time": _own("counter", "s", "Time in which tasks waited for a resource (PSI)."),
    "system.linux.pressure.ratio": _own("gauge", "1", "Their share of the last 10 s."),
    # Disks and filesystems
    "system.disk.io": Named("counter", "By", "Bytes read and written."),
    "system.disk.operations": Named("counter", "{operation}", "Reads and writes."),
    "system.disk.merged": Named("counter", "{operation}", "Reads and writes joined with others."),
    "system.disk.operation_time": Named("counter", "s", "What they took, added up."),
    "system.disk.pending_operations": _own("updown", "{operation}", "Begun and not ended."),
    "system.disk.io_time": Named("counter", "s", "Time in which something was going on."),
    "system.linux.disk.latency": _own("gauge", "s", "Mean time of what ended since the last reading."),
    "hw.physical_disk.endurance_utilization": Named("gauge", "1", "Share of a medium's life that is used."),
    "edgeobs.node.disk.reserve_state": _own("gauge", "", "eMMC's reserve: 1 normal, 2 low, 3 urgent."),
    "hw.status": Named("updown", "1", "1 for the state that a drive is in, by SMART."),
    "hw.physical_disk.smart": Named("gauge", "1", "SMART attributes that foretell an end, raw."),
    "system.filesystem.usage": Named("updown", "By", "Space by state."),
    "system.filesystem.limit": Named("updown", "By", "All space."),
    "system.filesystem.utilization": Named("gauge", "1", "Share used of what is not reserved."),
    "system.filesystem.inodes": _own("updown", "{inode}", "Inodes by state."),
    "edgeobs.node.filesystem.readonly": _own("gauge", "", "1: mounted read-only."),
    "edgeobs.node.filesystem.stuck": _own("gauge", "", "1: did not answer in time."),
    # Network
    "system.network.io": Named("counter", "By", "Bytes received and sent."),
    "system.network.packet.count": Named("counter", "{packet}", "Packets received and sent."),
    "system.network.errors": Named("counter", "{error}", "Errors."),
    "system.network.packet.dropped": Named("counter", "{packet}", "Packets dropped."),
    "edgeobs.node.network.up": _own("gauge", "", "1: the interface is up."),
    "edgeobs.node.tcp.segments": _own("counter", "{segment}", "TCP segments sent and retransmitted."),
    "system.network.connection.count": Named("updown", "{connection}", "TCP connections that are open."),
    "edgeobs.node.wireless.quality": _own("gauge", "", "Link quality, in the driver's own measure."),
    "edgeobs.node.wireless.signal": _own("gauge", "dBm", "Signal (RSSI)."),
    "edgeobs.node.wireless.noise": _own("gauge", "dBm", "Noise."),
    "edgeobs.node.wireless.lost": _own("counter", "{packet}", "Packets lost on the radio link, by reason."),
    "edgeobs.node.gateway.up": _own("gauge", "", "1: the default route's neighbour answers the kernel."),
    "edgeobs.node.peer.rtt": _own("gauge", "s", "Round trip to a configured peer."),
    "edgeobs.node.peer.probes": _own("counter", "{probe}", "Probes sent to it."),
    "edgeobs.node.peer.lost": _own("counter", "{probe}", "Probes that were not answered in 2 s."),
    "edgeobs.node.dns.up": _own("gauge", "", "1: a name server resolves the configured name."),
    "edgeobs.node.dns.time": _own("gauge", "s", "What that took."),
    # Heat, power, energy
    "hw.temperature": Named("gauge", "Cel", "A sensor's temperature."),
    "hw.temperature.limit": Named("gauge", "Cel", "Where the machine slows down or stops."),
    "edgeobs.node.throttle.events": _own("counter", "{event}", "Times a processor was slowed for its heat."),
    "edgeobs.node.throttle.time": _own("counter", "s", "How long it was."),
    "edgeobs.node.throttled": _own("gauge", "", "1: slowed now, for this reason."),
    "edgeobs.node.cooling.state": _own("gauge", "1", "How far a cooling device is turned up."),
    "hw.power": Named("gauge", "W", "A sensor's power."),
    "hw.voltage": Named("gauge", "V", "A rail's voltage."),
    "hw.energy": Named("counter", "J", "A sensor's energy since we look."),
    "hw.host.energy": Named("counter", "J", "The node's energy since we look, by the widest measure."),
    "hw.host.power": Named("gauge", "W", "Its mean since the last reading."),
    "hw.battery.charge": Named("gauge", "1", "Share of a battery's charge."),
    "hw.battery.time_left": Named("gauge", "s", "Until it is empty, as it says."),
    "edgeobs.node.battery.discharging": _own("gauge", "", "1: the node lives on it."),
    "edgeobs.node.supply.online": _own("gauge", "", "1: mains or another supply is there."),
    # Pods
    "k8s.pod.cpu.time": Named("counter", "s", "Processor time of a pod."),
    "k8s.pod.memory.usage": Named("updown", "By", "Memory of a pod."),
    "k8s.pod.memory.working_set": Named("updown", "By", "The same without idle file pages."),
    "edgeobs.node.pod.energy": _own("counter", "J", "Its part of the node's energy, by processor time."),
    "k8s.container.restart.count": Named("updown", "{restart}", "Times a container was started again."),
    # Accelerators
    "hw.gpu.utilization": Named("gauge", "1", "Load of a GPU, NPU or TPU."),
    "hw.gpu.memory.usage": Named("updown", "By", "Its memory."),
    "hw.gpu.memory.limit": Named("updown", "By", "All of its memory."),
    "edgeobs.node.accelerator.frequency": _own("gauge", "Hz", "What it runs at."),
    "edgeobs.node.accelerator.busy_time": _own("counter", "s", "Time in which it worked."),
    # Clock, kernel, services
    "edgeobs.node.clock.synchronized": _own("gauge", "", "1: the kernel holds its clock for synchronised."),
    "edgeobs.node.clock.offset": _own("gauge", "s", "What the kernel still has to correct."),
    "edgeobs.node.clock.error.max": _own("gauge", "s", "What it may be off at most."),
    "edgeobs.node.clock.error.estimated": _own("gauge", "s", "What it is thought to be off."),
    "edgeobs.node.kernel.events": _own("counter", "{event}", "What the kernel's log told."),
    "edgeobs.node.kernel.lost": _own("counter", "{gap}", "Times the log was overwritten before it was read."),
    "edgeobs.node.service.up": _own("gauge", "", "1: the kubelet, EdgeCore or another endpoint says 200."),
    "edgeobs.node.service.time": _own("gauge", "s", "What that took."),
    "edgeobs.node.runtime.up": _own("gauge", "", "1: the container runtime answers."),
    # Of ourselves
    "edgeobs.node.source.up": _own("gauge", "", "1: a source is there; 0, and the reason: it is not."),
    "edgeobs.node.left_out": _own("gauge", "{thing}", "Devices, mounts, … over a bound."),
    "edgeobs.node.read.failures": _own("counter", "{failure}", "Times a source was slow or unreadable."),
    "edgeobs.node.problem": _own("gauge", "", "1: a check of the node's health found a problem."),
    "edgeobs.node.requests": _own("counter", "{request}", "OTLP requests, by what became of them."),
    "edgeobs.node.conditions.patches": _own("counter", "{patch}", "Conditions told to the Node, by result."),
}


SINCE_START = frozenset(
    {
        "hw.energy",
        "hw.host.energy",
        "edgeobs.node.pod.energy",
        "edgeobs.node.peer.probes",
        "edgeobs.node.peer.lost",
        "edgeobs.node.kernel.lost",
        "edgeobs.node.read.failures",
        "edgeobs.node.requests",
        "edgeobs.node.conditions.patches",
    }
)
"""Counters that begin with this process; the others begin with the machine."""
