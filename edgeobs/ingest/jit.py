"""The one door to Numba: typed, and shut where Numba is not installed.

Numba keeps machine code beside the module it was made from (or under ``NUMBA_CACHE_DIR``) and looks only at
that module's own time stamp, though what it calls in other modules is compiled into it: see `drop_stale`.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

_KERNELS = (
    "buckets",
    "hashing",
    "histogram_walk",
    "jit",
    "machine",
    "otlp_buckets",
    "otlp_layout",
    "otlp_points",
    "otlp_walk",
    "remote_write_gather",
    "remote_write_layout",
    "remote_write_walk",
    "wire",
)

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


def drop_stale() -> None:
    """Throw away machine code older than any module with kernels; call before one is imported."""
    here = Path(__file__).parent
    newest = max((here / f"{name}.py").stat().st_mtime for name in _KERNELS)
    for made in (here / "__pycache__").glob("*.nb[ic]"):
        with contextlib.suppress(OSError):
            if made.stat().st_mtime < newest:
                made.unlink()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of scalars and arrays on its first call, without the GIL, cached on disk.

    It may not make arrays, nor assign one slice to another: without Numba's own memory management (``_nrt``)
    no array is reference-counted on its way through nested calls, which would cost more than the work itself.
    Nor may it call itself: Numba cannot load recursion from its cache.
    """
    njit = importlib.import_module("numba").njit
    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    made: Callable[P, R]
    try:
        made = njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to write a cache: compile in every process rather than not at all
        made = njit(**options)(function)
    return made


def intrinsic(function: Callable[..., Any]) -> Any:
    """Teach Numba an operation by writing its LLVM code; see `numba.extending.intrinsic`."""
    return importlib.import_module("numba.extending").intrinsic(function)
