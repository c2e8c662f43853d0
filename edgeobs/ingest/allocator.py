"""Keep freed memory instead of giving it back to the kernel page by page."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>


def keep_freed(mmap_above: int = 4 << 20, keep: int = 64 << 20) -> bool:
    """Tell glibc to serve blocks up to ``mmap_above`` bytes from a heap of which ``keep`` free bytes stay.

    By default every body and every temporary array of some 100 KiB is mapped, faulted in and unmapped anew,
    which costs more than receiving it does. Sets it for the whole process; call once, before any thread.
    False, and nothing done, where the C library has no such thing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, mmap_above) and mallopt(_M_TRIM_THRESHOLD, keep))
