"""Waiting for what must come true, and for no longer than that."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

WAIT_S = 90.0
_T = TypeVar("_T")


def wait(until: Callable[[], _T], what: str) -> _T:
    """What ``until`` returns once it is true; a server that is not there yet is not yet true."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            if found := until():
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
