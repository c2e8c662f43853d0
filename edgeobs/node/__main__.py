"""``python -m edgeobs.node``: collect, send and expose until told to stop."""

import argparse
import signal
import threading
from contextlib import ExitStack
from urllib.parse import urlsplit

from edgeobs.node.collect import Collector, collect
from edgeobs.node.node_object import Access, in_pod
from edgeobs.node.settings import Health, Sending, Settings
from edgeobs.node.telling import send, tell_node


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    parser = _arguments()
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as exits:
        collector = Collector(_settings(given), health=Health(heartbeat_s=given.heartbeat))
        if given.conditions:
            exits.callback(tell_node(collector, _access(given, parser)).stop)
        if given.listen:
            _expose(given.listen, collector, parser, exits)
        put = None
        if given.url:
            to = Sending(url=given.url, token_file=given.token_file, ca_file=given.ca_file, gzip=given.gzip)
            sender = send(collector, to)
            exits.callback(sender.stop)
            put = sender.put
        if not (given.url or given.listen or given.conditions):
            parser.error("nothing to do: no --url, --listen or --conditions")
        collect(collector, put, stop)


def _settings(given: argparse.Namespace) -> Settings:
    own = Settings()
    return Settings(
        interval_s=given.interval,
        node=given.node,
        zone=given.zone,
        cluster=given.cluster,
        root=given.root,
        per_cpu=given.per_cpu or given.node_exporter_names,
        node_exporter_names=given.node_exporter_names,
        peers=tuple(given.peer),
        endpoints=(*own.endpoints, *given.endpoint),
        dns_name=given.dns_name,
    )


def _access(given: argparse.Namespace, parser: argparse.ArgumentParser) -> Access:
    if given.api:
        return Access(url=given.api, token_file=given.api_token_file, ca_file=given.api_ca_file)
    if (own := in_pod()) is None:
        parser.error("--conditions: not in a pod, and no --api")
    return own


def _expose(listen: str, collector: Collector, parser: argparse.ArgumentParser, exits: ExitStack) -> None:
    """Serve /metrics; prometheus_client alone is imported for it, and only here."""
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  who only sends needs none

    from edgeobs.node.exposition import Exposed  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(Exposed(collector.newest))
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]") or "127.0.0.1", registry)
    except (OSError, ValueError, OverflowError) as error:
        parser.error(f"--listen {listen}: {error}")
    exits.callback(thread.join, 1.0)
    exits.callback(server.shutdown)


def _peer(text: str) -> str:
    """A peer that can be probed."""
    url = urlsplit(text)
    if url.scheme not in {"tcp", "udp"} or not url.hostname or not url.port:
        raise argparse.ArgumentTypeError(f"not tcp://HOST:PORT or udp://HOST:PORT: {text!r}")
    return text


def _endpoint(text: str) -> str:
    """An endpoint that can be asked."""
    name, _, url = text.partition("=")
    if not name or urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
        raise argparse.ArgumentTypeError(f"not NAME=http://HOST:PORT/PATH: {text!r}")
    return text


def _arguments() -> argparse.ArgumentParser:
    own, to = Settings(), Sending()
    parser = argparse.ArgumentParser(
        prog="python -m edgeobs.node",
        description="Send and expose what this machine is doing, and tell its Node what is wrong with it.",
    )
    parser.add_argument("--interval", type=float, default=own.interval_s, help="seconds (%(default)s)")
    parser.add_argument("--node", default=own.node, help="k8s.node.name ($NODE_NAME, or the host's name)")
    parser.add_argument("--zone", default=own.zone, help="topology.kubernetes.io/zone")
    parser.add_argument("--cluster", default=own.cluster, help="k8s.cluster.name")
    parser.add_argument("--root", default=own.root, help="where the machine's files are (%(default)s)")
    parser.add_argument("--per-cpu", action="store_true", help="processor time of each processor")
    parser.add_argument(
        "--peer", type=_peer, action="append", default=[], metavar="URL", help="tcp://HOST:PORT or udp://…"
    )
    parser.add_argument(
        "--endpoint",
        type=_endpoint,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="that should say 200",
    )
    parser.add_argument("--dns-name", default=own.dns_name, help="that the name servers should resolve")
    sending = parser.add_argument_group("sending")
    sending.add_argument(
        "--url", default=to.url, help="OTLP/HTTP metrics path, whole; empty: none (%(default)s)"
    )
    sending.add_argument("--token-file", default=to.token_file, help="file with the bearer token")
    sending.add_argument("--ca-file", default=to.ca_file, help="authorities of an https server, PEM")
    sending.add_argument("--gzip", action="store_true", help="compress requests")
    exposing = parser.add_argument_group("exposing")
    exposing.add_argument("--listen", default="", metavar="HOST:PORT", help="serve /metrics here")
    exposing.add_argument(
        "--node-exporter-names", action="store_true", help="name things as node_exporter does"
    )
    conditions = parser.add_argument_group("conditions")
    conditions.add_argument("--conditions", action="store_true", help="write them to the Node object")
    conditions.add_argument("--api", default="", metavar="URL", help="API server (in a pod: its own)")
    conditions.add_argument("--api-token-file", default="", help="file with the bearer token for it")
    conditions.add_argument("--api-ca-file", default="", help="authorities that sign its certificate, PEM")
    conditions.add_argument(
        "--heartbeat", type=float, default=Health().heartbeat_s, help="seconds (%(default)s)"
    )
    return parser


if __name__ == "__main__":
    main()
