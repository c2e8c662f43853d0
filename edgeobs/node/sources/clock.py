"""The clock, as the kernel's own discipline knows it: adjtimex(2), which asks nobody and needs no privilege.

NTP daemons (chrony, ntpd, systemd-timesyncd) tell the kernel whether the clock is synchronised, and how wrong
it may be at most. ``offset`` is what the kernel itself still has to correct: ntpd and timesyncd leave that to
it, chrony mostly does not, and then it stays near 0 while the maximum error tells.
"""

import ctypes
import os
from collections.abc import Iterator

from edgeobs.node.host import Host
from edgeobs.node.readings import Reading

Found = Iterator[Reading]
_NANO, _UNSYNC = 0x2000, 0x0040  # linux/timex.h: STA_NANO, STA_UNSYNC
_ERROR = 5  # TIME_ERROR
_MICRO, _NANOS = 1e-6, 1e-9


class _Timex(ctypes.Structure):
    """struct timex as the C library has it; what comes after ``tai`` is not used."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("parts", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def clock(_: Host) -> Found:
    """Whether the clock is synchronised, what is still to be corrected, and how far it may be off."""
    timex = _Timex()
    library = ctypes.CDLL(None, use_errno=True)
    state = library.adjtimex(ctypes.byref(timex))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    yield from told(state, timex.status, timex.offset, timex.maxerror, timex.esterror)


def told(state: int, status: int, offset: int, maxerror: int, esterror: int) -> Found:
    """Of the kernel's numbers: errors are µs, the offset ns with STA_NANO and µs otherwise. Pure."""
    synchronised = state != _ERROR and not status & _UNSYNC
    unit = _NANOS if status & _NANO else _MICRO
    yield Reading("edgeobs.node.clock.synchronized", "gauge", "", synchronised)
    yield Reading("edgeobs.node.clock.offset", "gauge", "s", offset * unit)
    yield Reading("edgeobs.node.clock.error.max", "gauge", "s", maxerror * _MICRO)
    yield Reading("edgeobs.node.clock.error.estimated", "gauge", "s", esterror * _MICRO)
