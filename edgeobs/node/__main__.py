"""``python -m edgeobs.node``: collect and send until told to stop."""

import argparse
import signal
import threading

from edgeobs.node.collect import collect
from edgeobs.node.send import Sender
from edgeobs.node.settings import Sending, Settings


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    given = _arguments().parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sender = Sender(
        Sending(url=given.url, token_file=given.token_file, ca_file=given.ca_file, gzip=given.gzip)
    ).start()
    here = Settings(interval_s=given.interval, node=given.node, zone=given.zone, cluster=given.cluster)
    collect(here, sender.put, stop)
    sender.stop()


def _arguments() -> argparse.ArgumentParser:
    own, to = Settings(), Sending()
    parser = argparse.ArgumentParser(
        prog="python -m edgeobs.node", description="Send what this machine is doing, over OTLP/HTTP."
    )
    parser.add_argument("--url", default=to.url, help="OTLP/HTTP metrics path, whole (%(default)s)")
    parser.add_argument("--interval", type=float, default=own.interval_s, help="seconds (%(default)s)")
    parser.add_argument("--node", default=own.node, help="k8s.node.name ($NODE_NAME, or the host's name)")
    parser.add_argument("--zone", default=own.zone, help="topology.kubernetes.io/zone")
    parser.add_argument("--cluster", default=own.cluster, help="k8s.cluster.name")
    parser.add_argument("--token-file", default=to.token_file, help="file with the bearer token")
    parser.add_argument("--ca-file", default=to.ca_file, help="authorities of an https server, PEM")
    parser.add_argument("--gzip", action="store_true", help="compress requests")
    return parser


if __name__ == "__main__":
    main()
