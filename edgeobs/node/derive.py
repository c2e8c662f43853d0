"""What is computed from readings before they are sent. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from edgeobs.node.readings import Labels, Reading

_DEVICES = frozenset({"system.device", "system.filesystem.mountpoint", "network.interface.name", "hw.id"})
_PODS = frozenset({"k8s.pod.uid", "k8s.container.name"})


def bound(readings: Iterable[Reading], devices: int, pods: int = 250) -> tuple[list[Reading], int]:
    """The readings of the first so many devices (or mounts, …) and pods; how many of both were left out."""
    kept: list[Reading] = []
    known: dict[frozenset[str], set[Labels]] = {_DEVICES: set(), _PODS: set()}
    beyond: set[Labels] = set()
    for reading in readings:
        for names, at_most in ((_DEVICES, devices), (_PODS, pods)):
            thing = tuple(pair for pair in reading.attributes if pair[0] in names)
            if thing and thing not in known[names]:
                (known[names] if len(known[names]) < at_most else beyond).add(thing)
            if thing in beyond:
                break
        else:
            kept.append(reading)
    return kept, len(beyond)


def latencies(before: Sequence[Reading], now: Sequence[Reading]) -> Iterator[Reading]:
    """Mean seconds per disk operation that ended between two collections; none where none ended.

    ``system.linux.disk.latency``: OpenTelemetry has no such name; it is what iostat calls await.
    """
    done_then, took_then = _by_labels(before, "operations"), _by_labels(before, "operation_time")
    took_now = _by_labels(now, "operation_time")
    for labels, done in _by_labels(now, "operations").items():
        ended = done - done_then.get(labels, done)
        if ended > 0:
            waited = max(took_now[labels] - took_then[labels], 0.0)
            yield Reading("system.linux.disk.latency", "gauge", "s", waited / ended, labels)


def _by_labels(readings: Iterable[Reading], what: str) -> dict[Labels, float]:
    return {r.attributes: r.value for r in readings if r.name == f"system.disk.{what}"}
