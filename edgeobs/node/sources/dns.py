"""Whether the machine's name servers resolve a name that they should, and how long they take."""

import os
import socket
import struct
import time
from collections.abc import Iterator

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
WITHIN_S = 2.0
SERVERS = 3
"""As many as resolv.conf(5) uses."""
_HEAD = struct.Struct(">HHHHHH")
_ANSWER, _RECURSE, _CODE = 0x8000, 0x0100, 0x000F
_A, _INTERNET = 1, 1


def dns(host: Host) -> Found:
    """One question to each name server."""
    name = host.settings.dns_name
    if not name:
        raise MissingError("no name is configured")
    servers = nameservers(host.text(f"{host.root}/etc/resolv.conf"))
    if not servers:
        raise MissingError("no name server in /etc/resolv.conf")
    for server in servers[:SERVERS]:
        labels = (("server.address", server),)
        began = time.monotonic()
        up = _asked(server, host.settings.dns_port, name)
        yield Reading("edgeobs.node.dns.up", "gauge", "", up, labels)
        if up:
            yield Reading("edgeobs.node.dns.time", "gauge", "s", time.monotonic() - began, labels)


def nameservers(text: str) -> list[str]:
    """Of resolv.conf(5). Pure."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def question(number: int, name: str) -> bytes:
    """A query for an address (RFC 1035, 4.1); ValueError if the name cannot be one. Pure."""
    parts = [part.encode("ascii") for part in name.rstrip(".").split(".")]
    if any(not 0 < len(part) < 64 for part in parts) or len(name) > 253:
        raise ValueError(f"not a name: {name!r}")
    asked = b"".join(bytes((len(part),)) + part for part in parts) + b"\0"
    return _HEAD.pack(number, _RECURSE, 1, 0, 0, 0) + asked + struct.pack(">HH", _A, _INTERNET)


def answers(query: bytes, message: bytes) -> bool:
    """Whether a message answers this query, with an address or an alias and without an error. Pure."""
    if len(message) < len(query):
        return False
    number, flags, questions, found, _, _ = _HEAD.unpack_from(message)
    same = number == _HEAD.unpack_from(query)[0] and questions == 1
    asked = message[_HEAD.size : len(query)].lower() == query[_HEAD.size :].lower()
    return bool(same and asked and flags & _ANSWER and not flags & _CODE and found)


def _asked(server: str, port: int, name: str) -> bool:
    query = question(struct.unpack(">H", os.urandom(2))[0], name)
    try:
        family, kind, _, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as talk:
            talk.settimeout(WITHIN_S)
            talk.connect(address)  # only that server's datagrams are taken
            talk.send(query)
            return answers(query, talk.recv(4096))
    except OSError:
        return False
