"""The one door to Numba: typed, and shut where Numba is not installed.

Numba keeps machine code beside the module it was made from (or under ``NUMBA_CACHE_DIR``) and looks only at
that module's own time stamp. `edgeobs.ingest.warm` therefore throws old code away before it compiles anew.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def available() -> bool:
    """Whether `compiled` works here: Numba imports, and the machine is little-endian as protobuf is."""
    if sys.byteorder != "little":
        return False
    try:
        importlib.import_module("numba")
    except ImportError:
        return False
    return True


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of scalars and arrays on its first call, without the GIL, cached on disk.

    It may not make arrays: without Numba's own memory management (``_nrt``) no array is reference-counted on its
    way through nested calls, which costs more than the work itself. Nor may it call itself: Numba cannot load
    recursion from its cache.
    """
    options = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
    made: Callable[P, R] = importlib.import_module("numba").njit(**options)(function)
    return made


def intrinsic(function: Callable[..., Any]) -> Any:
    """Teach Numba an operation by writing its LLVM code; see `numba.extending.intrinsic`."""
    return importlib.import_module("numba.extending").intrinsic(function)
