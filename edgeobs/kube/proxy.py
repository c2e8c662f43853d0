"""Which proxy leads to a server, by the environment as Go reads it (golang.org/x/net/http/httpproxy).

httpx's own reading of ``NO_PROXY`` knows no address ranges, and a cluster names its addresses by range.
"""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for a server's URL; None: directly. Loopback is never proxied."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = environ.get(name.upper()) or environ.get(name) or ""
    host = (parts.hostname or "").lower()
    if not proxy or not host or _direct(host, parts.port, environ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _direct(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    address = None
    with suppress(ValueError):
        address = ip_address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return any(_named(entry.strip().lower(), host, address, port) for entry in entries.split(","))


def _named(entry: str, host: str, address: object, port: int | None) -> bool:
    """Whether an entry of NO_PROXY names a host: ``*``, a range, an address or a domain, perhaps a port."""
    if entry in {"", "*"}:
        return bool(entry)
    if address is not None and "/" in entry:
        try:
            return address in ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and ":" not in name:
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*")
    if address is not None:
        return entry == host
    return (host == entry.lstrip(".") and not entry.startswith(".")) or host.endswith("." + entry.lstrip("."))
