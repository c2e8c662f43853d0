"""Keep freed memory instead of giving it back to the kernel page by page."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # <malloc.h>


def give_back() -> bool:
    """Let the kernel have the freed memory after all: after something large and rare, from any thread.

    False, and nothing done, where the C library has no such thing, or nothing to give.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    return bool(trim(0))


def keep_freed(mmap_above: int = 4 << 20, keep: int = 64 << 20) -> bool:
    """Tell glibc to serve blocks up to ``mmap_above`` bytes from a heap of which ``keep`` free bytes stay.

    By default every body and every temporary array of some 100 KiB is mapped, faulted in and unmapped anew,
    which costs more than receiving it does. All threads have one heap: what one freed serves the next.

    Sets it for the whole process; call once, before any thread. False, and nothing done, where the C library
    has no such thing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    wanted = {_M_MMAP_THRESHOLD: mmap_above, _M_TRIM_THRESHOLD: keep, _M_ARENA_MAX: 1}
    return all(mallopt(option, value) for option, value in wanted.items())
