"""The kernel's log: records of /dev/kmsg, and what in them is a problem. Pure.

Documentation/ABI/testing/dev-kmsg: ``PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];MESSAGE`` and a newline; lines
that begin with a space go on with the record's ``KEY=VALUE`` pairs.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class Record(NamedTuple):
    """One line of the log; ``at_s`` is seconds since boot."""

    level: int  # of syslog(3): 0 is an emergency, 7 for debugging
    own: bool  # the kernel's; a process that may write to the log is another facility
    sequence: int
    at_s: float
    message: str


class Event(NamedTuple):
    """Something that a record tells; ``what`` is a key of `SIGNS`."""

    what: str
    at_s: float
    about: str


SIGNS = {
    "oom_kill": re.compile(r"[Oo]ut of memory: Kill(?:ed)? process (?P<about>\d+ \([^)]*\))"),
    "hung_task": re.compile(r"INFO: task (?P<about>.{1,32}?:\d+) blocked for more than \d+ seconds"),
    "soft_lockup": re.compile(r"BUG: soft lockup - (?P<about>CPU#\d+) stuck for"),
    "hard_lockup": re.compile(r"(?:Watchdog detected hard LOCKUP|hard LOCKUP) on (?P<about>cpu \d+)"),
    "rcu_stall": re.compile(r"(?P<about>rcu_\w+) (?:self-)?detected (?:expedited )?stall"),
    "filesystem_readonly": re.compile(r"\((?P<about>[^()\s]+)\): Remounting filesystem read-only"),
    "filesystem_error": re.compile(r"(?:EXT4-fs|XFS|BTRFS|F2FS-fs) error \(device (?P<about>[^)]+)\)"),
    "io_error": re.compile(r"I/O error, dev (?P<about>[^ ,]+)"),
    "thermal": re.compile(r"(?P<about>CPU\d+): (?:Core|Package) temperature(?:/speed)? above threshold"),
    "undervoltage": re.compile(r"(?P<about>[Uu]nder-?voltage) detected"),
    "oops": re.compile(r"(?P<about>BUG: (?:unable to handle|kernel NULL)|Oops:|general protection fault)"),
}
"""What the kernel says of itself; a line is the first that fits. The wording is that of mm/oom_kill.c,
kernel/hung_task.c, kernel/watchdog.c, kernel/rcu/tree_stall.h, fs/ext4/super.c, block/blk-core.c, x86's
therm_throt.c and Raspberry Pi's drivers."""
DEADLOCKS = frozenset({"hung_task", "soft_lockup", "hard_lockup", "rcu_stall"})
_LONGEST = 256


def records(text: str) -> Iterator[Record]:
    """Of any text the records that are whole; anything else is passed over."""
    for line in text.split("\n"):
        head, semicolon, message = line.partition(";")
        fields = head.split(",")
        if not semicolon or len(fields) < 3 or not all(f.isascii() and f.isdigit() for f in fields[:3]):
            continue
        priority, sequence, micros = (int(field[:18]) for field in fields[:3])
        yield Record(priority & 7, priority >> 3 == 0, sequence, micros / 1e6, message)


def event(record: Record) -> Event | None:
    """What a record tells, if it is the kernel's own and one of `SIGNS`."""
    if not record.own:
        return None
    for what, sign in SIGNS.items():
        if match := sign.search(record.message):
            return Event(what, record.at_s, match["about"][:_LONGEST])
    return None
