"""One process of the burn: ``burner.py SECONDS BYTES``. Wants a whole processor and that much memory.

The kernel's own timer ends it, whatever it is doing. A script of its own, so that it starts at once.
"""

import mmap
import resource
import signal
import sys

_CHUNK = 32 << 20

if __name__ == "__main__":
    seconds, wanted = int(sys.argv[1]), int(sys.argv[2])
    signal.alarm(seconds)  # its default action is to end us
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 1, seconds + 1))
    held: list[mmap.mmap] = []
    while True:
        if len(held) * _CHUNK < wanted:
            page = mmap.mmap(-1, _CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared would be cache
            page[:: mmap.PAGESIZE] = b"\1" * (
                _CHUNK // mmap.PAGESIZE
            )  # memory is ours only once it is written
            held.append(page)
        sum(range(100_000))
