"""``python -m edgeobs.node``: collect, send and expose until told to stop."""

import argparse
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from edgeobs.node.collect import Collector, collect
from edgeobs.node.node_object import Access, NodeObject, in_pod
from edgeobs.node.readings import Reading
from edgeobs.node.send import Sender
from edgeobs.node.settings import Health, Sending, Settings


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
            _tell(collector, given, parser, exits)
        if given.listen:
            _expose(given.listen, collector, exits)
        put = _send(collector, given, exits) if given.url else None
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


def _tell(
    collector: Collector, given: argparse.Namespace, parser: argparse.ArgumentParser, exits: ExitStack
) -> None:
    """What the checks find goes to the Node object."""
    access = in_pod()
    if given.api:
        access = Access(url=given.api, token_file=given.api_token_file, ca_file=given.api_ca_file)
    if access is None:
        parser.error("--conditions: not in a pod, and no --api")
    name = str(collector.resource["k8s.node.name"])
    node = NodeObject(access, name, given.heartbeat).start()
    exits.callback(node.stop)
    collector.watch.tell = lambda verdicts: node.put(verdicts, time.time())
    collector.more.append(lambda: _counted("edgeobs.node.conditions.patches", "{patch}", node.counts))


def _send(collector: Collector, given: argparse.Namespace, exits: ExitStack) -> Callable[[bytes], None]:
    sender = Sender(
        Sending(url=given.url, token_file=given.token_file, ca_file=given.ca_file, gzip=given.gzip)
    ).start()
    exits.callback(sender.stop)
    collector.more.append(lambda: _counted("edgeobs.node.requests", "{request}", sender.counts))
    return sender.put


def _counted(name: str, unit: str, counts: Counter[str]) -> Iterator[Reading]:
    for result, count in sorted(counts.copy().items()):
        yield Reading(name, "counter", unit, count, (("result", result),))


def _expose(listen: str, collector: Collector, exits: ExitStack) -> None:
    """Serve /metrics; prometheus_client alone is imported for it, and only here."""
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  who only sends needs none

    from edgeobs.node.exposition import Exposed  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(Exposed(collector.newest))
    host, _, port = listen.rpartition(":")
    server, thread = start_http_server(int(port), host or "127.0.0.1", registry)
    exits.callback(thread.join, 1.0)
    exits.callback(server.shutdown)


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
        "--peer", action="append", default=[], metavar="URL", help="tcp://HOST:PORT or udp://…"
    )
    parser.add_argument(
        "--endpoint", action="append", default=[], metavar="NAME=URL", help="that should say 200"
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
