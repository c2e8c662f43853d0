"""Joins a collector with who tells of it: the Node object, and OTLP. Its readings say how that goes."""

import time
from collections import Counter
from collections.abc import Iterator

from edgeobs.node.collect import Collector
from edgeobs.node.node_object import Access, NodeObject
from edgeobs.node.readings import Reading
from edgeobs.node.send import Sender
from edgeobs.node.settings import Sending


def tell_node(collector: Collector, access: Access) -> NodeObject:
    """Begin to write what the collector's checks find to its Node; the caller stops it."""
    health, name = collector.watch.settings, str(collector.resource["k8s.node.name"])
    node = NodeObject(access, name, health.heartbeat_s).start()
    collector.watch.tell = lambda verdicts: node.put(verdicts, time.time())
    collector.more.append(lambda: _counted("edgeobs.node.conditions.patches", "{patch}", node.counts))
    return node


def send(collector: Collector, sending: Sending) -> Sender:
    """Begin to send; what is to be sent is given to the sender's ``put``, and the caller stops it."""
    sender = Sender(sending).start()
    collector.more.append(lambda: _counted("edgeobs.node.requests", "{request}", sender.counts))
    return sender


def _counted(name: str, unit: str, counts: Counter[str]) -> Iterator[Reading]:
    for result, count in sorted(counts.copy().items()):
        yield Reading(name, "counter", unit, count, (("result", result),))
