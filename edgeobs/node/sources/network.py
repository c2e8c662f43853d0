"""Interfaces, radio links, the gateway, and TCP's own count of losses."""

import socket
import struct
from collections.abc import Iterator, Mapping

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
_COMPLETE, _ROUTE_UP, _ROUTE_GATEWAY = 0x2, 0x1, 0x2  # linux/if_arp.h ATF_COM; linux/route.h


def network(host: Host) -> Found:
    """What each real interface moved; where no hardware backs any (a container), every one but loopback."""
    counted = dict(_interfaces(host.text(f"{host.proc}/net/dev")))
    backed = {place.split("/")[-2] for place in host.found("sys/class/net/*/device", 10.0)}
    for name in sorted(backed & counted.keys()) or sorted(counted.keys() - {"lo"}):
        columns = counted[name]
        for way, (moved, packets, errors, dropped) in (
            ("receive", columns[0:4]),
            ("transmit", columns[8:12]),
        ):
            labels = (("network.interface.name", name), ("network.io.direction", way))
            yield Reading("system.network.io", "counter", "By", moved, labels)
            yield Reading("system.network.packet.count", "counter", "{packet}", packets, labels)
            yield Reading("system.network.errors", "counter", "{error}", errors, labels)
            yield Reading("system.network.packet.dropped", "counter", "{packet}", dropped, labels)
        up = host.word(f"{host.sys}/class/net/{name}/operstate")
        if up:
            yield Reading("edgeobs.node.network.up", "gauge", "", up in {"up", "unknown"}, labels[:1])


def tcp(host: Host) -> Found:
    """Segments sent and sent again: losses on whatever links this machine talks over."""
    rows = _pairs(host.text(f"{host.proc}/net/snmp"))
    for way, name in (("sent", "OutSegs"), ("retransmitted", "RetransSegs")):
        labels = (("edgeobs.node.tcp.segment.state", way),)
        yield Reading("edgeobs.node.tcp.segments", "counter", "{segment}", rows["Tcp", name], labels)
    open_now = (("network.transport", "tcp"), ("network.connection.state", "established"))
    yield Reading(
        "system.network.connection.count", "updown", "{connection}", rows["Tcp", "CurrEstab"], open_now
    )


def wireless(host: Host) -> Found:
    """Signal and noise of radio links, dBm, and what was lost on them: /proc/net/wireless.

    Drivers that store dBm unsigned mean the value less 256.
    """
    lines = host.text(f"{host.proc}/net/wireless").splitlines()[2:]
    if not lines:
        raise MissingError("no wireless interface")
    for line in lines:
        name, _, rest = line.partition(":")
        labels = (("network.interface.name", name.strip()),)
        columns = [float(column.rstrip(".")) for column in rest.split()[1:]]
        yield Reading("edgeobs.node.wireless.quality", "gauge", "", columns[0], labels)
        yield Reading("edgeobs.node.wireless.signal", "gauge", "dBm", _dbm(columns[1]), labels)
        if columns[2] > -256:  # that is how drivers say that they do not know
            yield Reading("edgeobs.node.wireless.noise", "gauge", "dBm", _dbm(columns[2]), labels)
        reasons = ("nwid", "crypt", "fragment", "retry", "misc", "beacon")
        for reason, lost in zip(reasons, columns[3:9], strict=False):
            why = (*labels, ("reason", reason))
            yield Reading("edgeobs.node.wireless.lost", "counter", "{packet}", lost, why)


def gateway(host: Host) -> Found:
    """Whether the kernel knows the neighbour that the default route goes by; nothing is sent.

    The kernel itself asks for a neighbour that it sends to and does not hear of (ARP); an entry that is there
    and not complete is one that did not answer. No entry: nothing was sent for a while, nothing can be said.
    """
    known = _neighbours(host.text(f"{host.proc}/net/arp"))
    ways = dict(_gateways(host.text(f"{host.proc}/net/route")))
    if not ways:
        raise MissingError("no IPv4 default route")
    for address, interface in sorted(ways.items()):
        if address in known:
            labels = (("network.interface.name", interface), ("network.peer.address", address))
            yield Reading("edgeobs.node.gateway.up", "gauge", "", known[address], labels)


def _interfaces(text: str) -> Iterator[tuple[str, list[int]]]:
    """Rows of /proc/net/dev: bytes, packets, errs, drop, … received, then the same eight sent."""
    for line in text.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        yield name.strip(), [int(column) for column in rest.split()]


def _pairs(text: str) -> Mapping[tuple[str, str], float]:
    """/proc/net/snmp: of each protocol a line of names and a line of values."""
    lines = [line.split() for line in text.splitlines()]
    return {
        (names[0].rstrip(":"), name): float(value)
        for names, values in zip(lines[::2], lines[1::2], strict=False)
        for name, value in zip(names[1:], values[1:], strict=False)
    }


def _gateways(text: str) -> Iterator[tuple[str, str]]:
    """Gateway → interface of the default routes in /proc/net/route; addresses are in host byte order."""
    for line in text.splitlines()[1:]:
        interface, to, by, flags = line.split()[:4]
        if int(to, 16) == 0 and int(flags, 16) & (_ROUTE_UP | _ROUTE_GATEWAY) == _ROUTE_UP | _ROUTE_GATEWAY:
            yield socket.inet_ntoa(struct.pack("=I", int(by, 16))), interface


def _neighbours(text: str) -> dict[str, bool]:
    """Address → whether it answered, of /proc/net/arp."""
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0]: bool(int(row[2], 16) & _COMPLETE) for row in rows}


def _dbm(value: float) -> float:
    return value - 256 if value > 63 else value
