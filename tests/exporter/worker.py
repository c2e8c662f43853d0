"""A worker of a service, told line by line what to do; it answers each line with one line of JSON.

``python worker.py FOLDER [PORT]``; lines: ``inc N``, ``observe X``, ``set X``, ``page``, ``fork``, ``close``.
After ``fork`` the child takes the lines until ``end``; then the parent goes on.
"""

import json
import os
import sys
from collections.abc import Iterator

from edgeobs.exporter import Exporter, Reading

exporter = Exporter("shop", share=sys.argv[1], process=False)
orders = exporter.counter("shop_orders_total", "Orders.", ["kind"])
took = exporter.histogram("shop_order_duration_seconds", "Orders.", buckets=(1, 10))
load = exporter.gauge("shop_load_ratio", "Load.")
queue = exporter.gauge("shop_queue_length", "Queue.", across="sum")
outside = exporter.gauge("shop_outside_celsius", "Air.")


@exporter.collector(outside)
def air() -> Iterator[Reading]:
    """Read what is outside of all workers."""
    yield outside.reading(-4)


inside = exporter.gauge("shop_files_open", "Files.", across="sum")


@exporter.collector(inside, per_worker=True)
def files() -> Iterator[Reading]:
    """Read what each worker has."""
    yield inside.reading(3)


def obey() -> None:
    """Take lines until there are no more, or ``end``."""
    while line := sys.stdin.readline():
        word, _, value = line.strip().partition(" ")
        answer: object = os.getpid()
        if word == "inc":
            orders.labels("tea").inc(float(value))
        elif word == "observe":
            took.observe(float(value), {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "1"})
        elif word == "set":
            load.set(float(value))
            queue.set(float(value))
        elif word == "page":
            answer = exporter.render(value)[0].decode()
        elif word == "close":
            exporter.close()
        elif word == "fork":
            child = os.fork()
            if child == 0:
                print(json.dumps(os.getpid()), flush=True)
                obey()
                os._exit(0)
            os.waitpid(child, 0)
        elif word == "end":
            exporter.close()
            print(json.dumps(answer), flush=True)
            return
        print(json.dumps(answer), flush=True)


if len(sys.argv) > 2:
    exporter.serve(int(sys.argv[2]), "127.0.0.1")
exporter.render()
obey()
