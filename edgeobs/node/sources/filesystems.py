"""How full what is mounted is, and whether it can be written to."""

import os
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from edgeobs.node.host import Host
from edgeobs.node.readings import Labels, Reading
from edgeobs.node.timely import Lane, LateError, Timely

Found = Iterator[Reading]
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "9p", "fuse.sshfs", "fuse.glusterfs"})
"""Filesystems of other machines: read with the rest, since each mount has a deadline of its own."""
WITHIN_S = 0.1


class Mount(NamedTuple):
    """One that is mounted here."""

    device: str
    place: str
    kind: str
    readonly: bool


class Filesystems:
    """The source ``filesystem``: a mount that hangs is left behind by itself.

    It is a class for the thread that asks, which must outlive one reading.
    """

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._timely = Timely(Lane("filesystem"), within_s)

    def __call__(self, host: Host) -> Found:
        """How full each mounted device is; one mount a device, and always the root."""
        for number, mount in enumerate(_mounts(host)):
            labels = (
                ("system.device", mount.device),
                ("system.filesystem.mountpoint", mount.place),
                ("system.filesystem.type", mount.kind),
            )
            yield Reading("edgeobs.node.filesystem.readonly", "gauge", "", mount.readonly, labels)
            if number >= host.settings.at_most:
                continue  # this one will be left out, and counted
            try:
                told = self._timely.run(mount.place, partial(os.statvfs, f"{host.root}{mount.place}"))
            except LateError:
                yield Reading("edgeobs.node.filesystem.stuck", "gauge", "", 1, labels)
                continue
            except OSError:
                continue  # gone, or not ours to look at: the other mounts are
            yield Reading("edgeobs.node.filesystem.stuck", "gauge", "", 0, labels)
            yield from usage(told, labels)


def usage(told: os.statvfs_result, labels: Labels) -> Found:
    """What statvfs(3) tells. Pure."""
    size, unit = told.f_blocks * told.f_frsize, told.f_frsize
    if not size:
        return
    free, used = told.f_bavail * unit, size - told.f_bfree * unit
    states = (("used", used), ("free", free), ("reserved", size - used - free))
    for state, value in states:
        inside = (*labels, ("system.filesystem.state", state))
        yield Reading("system.filesystem.usage", "updown", "By", value, inside)
    yield Reading("system.filesystem.limit", "updown", "By", size, labels)
    yield Reading("system.filesystem.utilization", "gauge", "1", used / max(used + free, 1), labels)
    if told.f_files:
        for state, value in (("used", told.f_files - told.f_ffree), ("free", told.f_ffree)):
            inside = (*labels, ("system.filesystem.state", state))
            yield Reading("system.filesystem.inodes", "updown", "{inode}", value, inside)


def chosen(text: str, kinds: frozenset[str], below: str = "") -> list[Mount]:
    """Of /proc/mounts: real filesystems and the root, of each device the shortest place, in order. Pure.

    Parameters
    ----------
    text
        Lines as fstab(5) has them; spaces in names are ``\\040``.
    kinds
        Filesystems that need a device, by /proc/filesystems.
    below
        Only what is mounted here or below it, and as seen from it.

    """
    best: dict[str, Mount] = {}
    for line in text.splitlines():
        device, place, kind, options = (_plain(field) for field in line.split()[:4])
        real = kind in kinds or kind in REMOTE or place == (below or "/")
        if not real or device.startswith("/dev/loop"):
            continue
        if place != below and not place.startswith(f"{below}/"):
            continue
        mount = Mount(device, place.removeprefix(below) or "/", kind, "ro" in options.split(","))
        if device not in best or len(place) < len(best[device].place):
            best[device] = mount
    return sorted(best.values(), key=lambda mount: mount.place)


def _kinds(text: str) -> frozenset[str]:
    """Those without ``nodev`` before their name; read-only images cannot fill up."""
    named = (line.split() for line in text.splitlines())
    return frozenset(words[0] for words in named if len(words) == 1) - {"squashfs", "iso9660", "erofs"}


def _mounts(host: Host) -> list[Mount]:
    """Those of the machine's first process; where that may not be looked at, ours, seen from the root."""
    kinds = _kinds(host.text(f"{host.proc}/filesystems"))
    try:
        return chosen(host.text(f"{host.proc}/1/mounts"), kinds)
    except OSError:
        ours = chosen(host.text(f"{host.proc}/mounts"), kinds, host.root)
        return ours or chosen(host.text(f"{host.proc}/mounts"), kinds)


def _plain(field: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, letter)
    return field
