"""Whether the kubelet (also k3s' and RKE2's), EdgeCore and the container runtime answer on this machine."""

import http.client
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
WITHIN_S = 2.0
AT_MOST = 16
EXPECTED = {
    "kubelet": (
        "/var/lib/kubelet/config.yaml",
        "/etc/kubernetes/kubelet.conf",
        "/var/lib/rancher/k3s/agent",
        "/var/lib/rancher/rke2/agent",
    ),
    "edgecore": ("/etc/kubeedge/config/edgecore.yaml",),
}
"""Where a service has left its files it should answer; elsewhere its silence is no news."""
RUNTIMES = {
    "containerd": "/run/containerd/containerd.sock",
    "k3s": "/run/k3s/containerd/containerd.sock",
    "cri-o": "/run/crio/crio.sock",
    "cri-dockerd": "/run/cri-dockerd.sock",
}
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
    (0, 0, 0, 4, 0, 0, 0, 0, 0)
)  # with SETTINGS that set nothing
_SETTINGS = 4


def services(host: Host) -> Found:
    """Each health endpoint: up if it answers 200."""
    told = False
    for name, url in (endpoint.split("=", 1) for endpoint in host.settings.endpoints[:AT_MOST]):
        began = time.monotonic()
        up = _healthy(url)
        if up or name not in EXPECTED or host.there(*EXPECTED[name]):
            labels = (("service.name", name),)
            yield Reading("edgeobs.node.service.up", "gauge", "", up, labels)
            yield Reading("edgeobs.node.service.time", "gauge", "s", time.monotonic() - began, labels)
            told = True
    if not told:
        raise MissingError("neither a kubelet nor EdgeCore")


def runtime(host: Host) -> Found:
    """Each runtime whose socket is there: up if it speaks HTTP/2 there, as gRPC does (RFC 9113, 3.4)."""
    there = {name: path for name, path in RUNTIMES.items() if host.there(path)}
    if not there:
        raise MissingError("no runtime's socket below /run")
    for name, path in there.items():
        up = _speaks_http2(f"{host.root}{path}")
        yield Reading("edgeobs.node.runtime.up", "gauge", "", up, (("container.runtime.name", name),))


def _healthy(url: str) -> bool:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=WITHIN_S)
    try:
        connection.request("GET", where.path or "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _speaks_http2(path: str) -> bool:
    """The server's first frame must be its SETTINGS."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(WITHIN_S)
        try:
            talk.connect(path)
            talk.sendall(_HELLO)
            head = b""
            while len(head) < 9 and (part := talk.recv(9 - len(head))):
                head += part
        except OSError:
            return False
    return len(head) == 9 and head[3] == _SETTINGS
