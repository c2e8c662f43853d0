"""Round trips to configured peers: TCP connections, and datagrams to an echo service; no raw socket."""

import errno
import os
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
WITHIN_S = 2.0
AT_MOST = 16
_NONCE = 16


@dataclass(slots=True)
class Probe:
    """One attempt. ``took_s`` is None while no answer came."""

    peer: str
    socket: socket.socket
    began_s: float
    nonce: bytes = b""
    took_s: float | None = None


class Peers:
    """The source ``peers``; it remembers how many probes were sent and lost.

    Parameters
    ----------
    within_s
        Seconds after which a probe is lost.

    """

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self.within_s = within_s
        self.sent: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def __call__(self, host: Host) -> Found:
        """One probe of each peer, all at once."""
        if not host.settings.peers:
            raise MissingError("no peer is configured")
        answered = probe(host.settings.peers[:AT_MOST], self.within_s)
        for peer, took_s in answered.items():
            labels = (("edgeobs.node.peer", peer),)
            self.sent[peer] += 1
            self.lost[peer] += took_s is None
            if took_s is not None:
                yield Reading("edgeobs.node.peer.rtt", "gauge", "s", took_s, labels)
            yield Reading("edgeobs.node.peer.probes", "counter", "{probe}", self.sent[peer], labels)
            yield Reading("edgeobs.node.peer.lost", "counter", "{probe}", self.lost[peer], labels)


def probe(peers: tuple[str, ...], within_s: float) -> dict[str, float | None]:
    """Seconds until each peer answered; None: not in time, or it cannot be reached.

    A refused TCP connection is an answer: the peer's kernel gave it. So is an ICMP refusal of a datagram.
    """
    took: dict[str, float | None] = dict.fromkeys(peers)
    with selectors.DefaultSelector() as selector:
        began = [each for peer in peers if (each := _begin(peer)) is not None]
        try:
            for each in began:
                events = selectors.EVENT_READ if each.nonce else selectors.EVENT_WRITE
                selector.register(each.socket, events, each)
            until = time.monotonic() + within_s
            while selector.get_map() and (left := until - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if _ended(key.data):
                        selector.unregister(key.fileobj)
        finally:
            for each in began:
                each.socket.close()
    return took | {each.peer: each.took_s for each in began}


def _begin(peer: str) -> Probe | None:
    """None: the name is not known, or there is no way to it."""
    url = urlsplit(peer)
    datagrams = url.scheme == "udp"
    made: socket.socket | None = None
    try:
        kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
        family, _, _, _, address = socket.getaddrinfo(url.hostname, url.port, type=kind)[0]
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        each = Probe(peer, made, time.monotonic(), os.urandom(_NONCE) if datagrams else b"")
        if datagrams:
            made.connect(address)
            made.send(each.nonce)
        elif (number := made.connect_ex(address)) not in {0, errno.EINPROGRESS, errno.ECONNREFUSED}:
            raise OSError(number, os.strerror(number))
    except (OSError, ValueError):  # a name or port that cannot be one
        if made is not None:
            made.close()
        return None
    return each


def _ended(each: Probe) -> bool:
    """Whether nothing more is to be awaited; notes the time of an answer."""
    try:
        if each.nonce:
            if each.socket.recv(2 * _NONCE) != each.nonce:
                return False  # a late echo of another's
        elif number := each.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number))
    except ConnectionRefusedError:
        pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    each.took_s = time.monotonic() - each.began_s
    return True
