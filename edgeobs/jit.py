"""The one door to Numba: typed, and shut where Numba is not installed.

Numba keeps machine code beside the module it was made from (or under ``NUMBA_CACHE_DIR``) and looks only at
that module's own time stamp, though what it calls in other modules is compiled into it: see `drop_stale`.
"""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
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


def drop_stale(here: Path, kernels: Iterable[str]) -> None:
    """Throw away a folder's machine code when it is older than any module with kernels in it.

    Call before one of them is imported; ``kernels`` are the modules' names.
    """
    newest = max(each.stat().st_mtime for each in (Path(__file__), *(here / f"{k}.py" for k in kernels)))
    for made in (here / "__pycache__").glob("*.nb[ic]"):
        with contextlib.suppress(OSError):
            if made.stat().st_mtime < newest:
                made.unlink()


def loop(package: str, here: Path, kernels: tuple[str, ...]) -> Any:
    """The compiled loop of a package: ``run`` of the first of its kernels, after `drop_stale` of them all."""
    drop_stale(here, kernels)
    return importlib.import_module(f"{package}.{kernels[0]}").run


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


def callable_when_compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled functions call this one, which stays what it is for everybody else."""
    made: Callable[P, R] = importlib.import_module("numba.extending").register_jitable(function)
    return made


def means_when_compiled(function: Callable[..., Any], scalar: Callable[..., Any]) -> None:
    """What a function of columns means to compiled code: ``scalar`` gives the function of scalars."""
    scalar.__annotations__.clear()  # Numba compares signatures to the letter
    importlib.import_module("numba.extending").overload(function)(scalar)
