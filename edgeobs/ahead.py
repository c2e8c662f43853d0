"""Machine code that was made ahead of time (`make_ahead`), for a process that has no room for Numba.

Numba and LLVM take some 60 MiB to load what they compiled. The same code in a shared object takes 30 KiB, and
the system's own loader. It lies beside the modules that it was made from; its name has the digest of their
text, so that one made from another text is not found. Where there is none, NumPy does the same.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeobs import jit

_MADE_BY = ("ahead", "make_ahead", "jit")
_FINE = (0, -2)  # what Numba's functions return: done, and done with nothing to return
_Raw = Callable[..., int]


def path(here: Path, kernels: Sequence[str]) -> Path:
    """Where the machine code of a folder's kernels lies, or would. Raises OSError where their text is not.

    Its name has the digest of all of the folder, who calls them too, and of how it is made and called.
    """
    digest = hashlib.sha256()
    ours = Path(__file__).parent
    for text in (*sorted(here.glob("*.py")), *(ours / f"{name}.py" for name in _MADE_BY)):
        digest.update(text.read_bytes())
    return here / "__pycache__" / f"{kernels[0]}.{os.uname().machine}.{digest.hexdigest()[:16]}.so"


def symbol(types: str) -> str:
    """What a function of arguments of these types (`_typed`, one after the other) is called."""
    return f"edgeobs_{hashlib.sha256(types.encode()).hexdigest()[:16]}"


def array_type(dtype: str, dimensions: int) -> str:
    """How a C-contiguous array is told from others; ``dtype`` as NumPy writes it, such as ``<f8``."""
    return f"{dtype}{dimensions}"


def best(
    package: str, here: Path, kernels: tuple[str, ...], fast: bool | None, *, compiled: bool, returns: int = 0
) -> Any:
    """The quickest ``run`` of a folder's kernels that there is; None: only what NumPy does.

    Parameters
    ----------
    fast
        By Numba (True), by NumPy (False), or whichever there is (None).
    compiled
        Whether Numba may be loaded where ``fast`` is None.
    returns
        As `loop` has it.

    """
    if fast is None and not (compiled and jit.available()):
        return loop(here, kernels, returns)
    return jit.loop(package, here, kernels) if fast in (None, True) else None


def loop(here: Path, kernels: Sequence[str], returns: int = 0) -> Any:
    """``run`` of the first of a folder's kernels, made ahead of time; None where it was not, or not for here.

    It takes C-contiguous arrays, whole numbers, truth values and tuples of them, and returns as many whole
    numbers as ``returns`` says: None, one, or a tuple. Arguments of other types than it was made for raise
    AttributeError.
    """
    try:
        library = ctypes.CDLL(str(path(here, kernels)))
    except OSError:
        return None
    known: dict[str, _Raw] = {}

    def run(*arguments: Any) -> int | tuple[int, ...] | None:
        flat: list[int | None] = []
        types = "".join(_typed(arguments, flat))
        function = known.get(types)
        if function is None:
            function = known[types] = _function(library, types, flat)
        found, error = (ctypes.c_int64 * max(returns, 1))(), ctypes.c_void_p()
        status = function(ctypes.addressof(found), ctypes.addressof(error), *flat)
        if status not in _FINE:
            raise RuntimeError(f"{kernels[0]} failed with status {status}")
        return (None, found[0])[returns] if returns < 2 else tuple(found)

    return run


def _function(library: ctypes.CDLL, types: str, flat: Sequence[int | None]) -> _Raw:
    function = getattr(library, symbol(types))
    function.restype = ctypes.c_int32
    function.argtypes = (ctypes.c_void_p,) * 2 + tuple(
        ctypes.c_void_p if each is None else ctypes.c_int64 for each in flat
    )
    made: _Raw = function
    return made


def _typed(arguments: Sequence[Any], flat: list[int | None]) -> Iterator[str]:
    """The type of each; ``flat`` gets what Numba passes.

    Of an array that is its owner, its parent, its sizes, its address, its shape and its strides.
    """
    for each in arguments:
        if isinstance(each, np.ndarray):
            if not each.flags.c_contiguous:
                raise ValueError("expected a C-contiguous array")
            flat += (None, None, each.size, each.itemsize, each.__array_interface__["data"][0])
            flat += (*each.shape, *each.strides)
            yield array_type(each.dtype.str, each.ndim)
        elif isinstance(each, tuple):
            yield from _typed(each, flat)
        else:
            flat.append(int(each))
            yield "?" if isinstance(each, bool) else "q"
