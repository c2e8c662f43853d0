"""Every source, by name: what it reads, how often, and how long it may take."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from edgeobs.node.host import Host
from edgeobs.node.kmsg import KernelLog
from edgeobs.node.readings import Reading
from edgeobs.node.sources import (
    accelerators,
    clock,
    disks,
    dns,
    heat,
    network,
    pods,
    power,
    services,
    system,
)
from edgeobs.node.sources.filesystems import Filesystems
from edgeobs.node.sources.peers import Peers

Read = Callable[[Host], Iterable[Reading]]


class Source(NamedTuple):
    """One thing that a node can tell.

    ``read`` raises MissingError where the machine has no such thing, and OSError, ValueError, KeyError or
    IndexError where the kernel spells it in a way that we do not know.
    """

    read: Read
    every_s: float = 0.0  # 0: each time
    within_s: float | None = None  # None: as the settings have it for all that are read in turn
    apart: bool = False  # in a thread of its own that nothing waits for


def sources() -> dict[str, Source]:
    """All of them, new, in the order in which they are read: what is split by pods is measured before."""
    return {
        "cpu": Source(system.cpu),
        "load": Source(system.load),
        "frequency": Source(system.frequency),
        "memory": Source(system.memory),
        "paging": Source(system.paging),
        "process": Source(system.process),
        "pressure": Source(system.pressure),
        "disk": Source(disks.disk),
        "wear": Source(disks.wear, every_s=600.0),
        "filesystem": Source(Filesystems(), within_s=5.0),
        "network": Source(network.network),
        "tcp": Source(network.tcp),
        "wireless": Source(network.wireless),
        "gateway": Source(network.gateway),
        "temperature": Source(heat.temperature),
        "throttling": Source(heat.throttling),
        "power": Source(power.power),
        "pods": Source(pods.pods),
        "restarts": Source(pods.restarts, every_s=10.0),
        "gpu": Source(accelerators.gpu),
        "npu": Source(accelerators.npu),
        "clock": Source(clock.clock),
        "kernel": Source(KernelLog()),
        "nvidia": Source(accelerators.nvidia, every_s=1.0, within_s=5.0, apart=True),
        "smart": Source(disks.smart, every_s=600.0, within_s=120.0, apart=True),
        "peers": Source(Peers(), every_s=5.0, within_s=10.0, apart=True),
        "services": Source(services.services, every_s=10.0, within_s=60.0, apart=True),
        "runtime": Source(services.runtime, every_s=10.0, within_s=20.0, apart=True),
        "dns": Source(dns.dns, every_s=10.0, within_s=20.0, apart=True),
    }
