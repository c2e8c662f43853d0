"""Pods on this node, from their control groups and the kubelet's own folders: no API is asked."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
FOUND_S = 10.0
"""Pods come and go: they are looked for this often."""
_UID = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$")
"""systemd's names have ``_`` for ``-``; a static pod's uid is a digest without either."""
_V1 = ("cpu,cpuacct", "cpuacct")
_DEPTHS = (
    "*kubepods*/*pod*",
    "*kubepods*/*/*pod*",
    "kubelet*/*kubepods*/*pod*",
    "kubelet*/*kubepods*/*/*pod*",
)
"""Guaranteed pods; the others below their class; and with a kubelet that has a group of its own."""


class Group(NamedTuple):
    """A pod's control group."""

    uid: str
    place: str
    version: int


def pods(host: Host) -> Found:
    """Processor time, memory, and of the node's energy the part that is each pod's."""
    now_s = host.clock()
    groups = _groups(host)
    if not groups:
        raise MissingError("no kubepods control group")
    cpu_s = {group.uid: used for group in groups if (used := _cpu_s(host, group)) is not None}
    host.ledger.split(cpu_s, _processors(host), now_s)
    names = _names(host)
    for group in groups:
        if group.uid not in cpu_s:
            continue  # it ended between the two looks
        labels = (("k8s.pod.uid", group.uid), *names.get(group.uid, ()))
        yield Reading("k8s.pod.cpu.time", "counter", "s", cpu_s[group.uid], labels)
        yield from _memory(host, group, labels)
        if host.ledger.measured:
            yield Reading(
                "edgeobs.node.pod.energy", "counter", "J", host.ledger.pods[group.uid].joules, labels
            )


def restarts(host: Host) -> Found:
    """How often each container was started again: the kubelet numbers its log files so, from 0."""
    if not host.there("/var/log/pods"):
        raise MissingError("no /var/log/pods")
    counts: dict[str, int] = {}
    for path in host.found("var/log/pods/*_*_*/*/*.log", FOUND_S):
        place, file = path.rsplit("/", 1)
        if (number := file.removesuffix(".log")).isdecimal():
            counts[place] = max(counts.get(place, 0), int(number))
    for place, count in counts.items():
        pod, container = place.split("/")[-2:]
        uid, named = _named(pod)
        labels = (("k8s.pod.uid", uid), *named, ("k8s.container.name", container))
        yield Reading("k8s.container.restart.count", "updown", "{restart}", count, labels)


def _groups(host: Host) -> list[Group]:
    found: dict[str, Group] = {}
    for base, version in (("sys/fs/cgroup", 2), *((f"sys/fs/cgroup/{name}", 1) for name in _V1)):
        for depth in _DEPTHS:
            for place in host.found(f"{base}/{depth}", FOUND_S):
                if match := _UID.search(place):
                    uid = match[1].replace("_", "-")
                    found.setdefault(uid, Group(uid, place, version))
    return list(found.values())


def _cpu_s(host: Host, group: Group) -> float | None:
    try:
        if group.version == 1:
            return host.number(f"{group.place}/cpuacct.usage") / 1e9
        stat = dict(line.split() for line in host.text(f"{group.place}/cpu.stat").splitlines())
        return float(stat["usage_usec"]) / 1e6
    except (OSError, ValueError, KeyError):
        return None


def _memory(host: Host, group: Group, labels: Labels) -> Found:
    """Usage, and the kubelet's working set: without file pages that were not used lately."""
    v1 = group.version == 1
    place = _memory_place(host, group) if v1 else group.place
    usage = host.maybe(f"{place}/{'memory.usage_in_bytes' if v1 else 'memory.current'}")
    if usage is None:
        return
    yield Reading("k8s.pod.memory.usage", "updown", "By", usage, labels)
    inactive = "total_inactive_file" if v1 else "inactive_file"
    stat = dict(line.split() for line in host.word(f"{place}/memory.stat").splitlines())
    working = max(usage - float(stat.get(inactive, 0)), 0.0)
    yield Reading("k8s.pod.memory.working_set", "updown", "By", working, labels)


def _memory_place(host: Host, group: Group) -> str:
    base = f"{host.sys}/fs/cgroup/"
    return f"{base}memory/{group.place.removeprefix(base).split('/', 1)[1]}"


def _processors(host: Host) -> int:
    online = sum(
        line.startswith("cpu") and line[3:4].isdecimal()
        for line in host.text(f"{host.proc}/stat").splitlines()
    )
    return online or os.cpu_count() or 1


def _names(host: Host) -> dict[str, Labels]:
    places = host.found("var/log/pods/*_*_*", FOUND_S)
    return dict(_named(place.rsplit("/", 1)[1]) for place in places)


def _named(folder: str) -> tuple[str, Labels]:
    """The kubelet's NAMESPACE_NAME_UID; neither of the first two can hold a ``_``."""
    namespace, name, uid = folder.split("_", 2)
    return uid, (("k8s.namespace.name", namespace), ("k8s.pod.name", name))
