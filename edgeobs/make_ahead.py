"""Make what `ahead` loads: a loop that Numba compiled, as a shared object for any CPU of this architecture.

It needs Numba and a linker (``ld``, of binutils), where edgeobs is installed; what it made needs neither.
"""

import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeobs import ahead

_BASELINE = {
    "x86_64": "x86-64-v2"
}  # any CPU that NumPy's wheels run on, as LLVM calls it; of others "generic"
_OURS = {"numba_frexp": "frexp"}  # Numba's own copies of functions that libm has


def make(dispatcher: Any, here: Path, kernels: Sequence[str]) -> Path:
    """Write the machine code of a compiled loop that was called before, for the types it was called with.

    Raises
    ------
    OSError
        There is no linker, or nowhere to write.
    ValueError
        It was called with arguments that `ahead` cannot pass.

    """
    linker, target = shutil.which("ld"), ahead.path(here, kernels)
    if linker is None:
        raise FileNotFoundError("there is no ld, which binutils has")
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    for other in target.parent.glob(f"{kernels[0]}.{os.uname().machine}.*.so"):
        if other != target:
            other.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        code, linked = Path(folder) / "code.o", Path(folder) / "code.so"
        code.write_bytes(_object(dispatcher))
        subprocess.run([linker, "-shared", "-z", "noexecstack", "-o", linked, code], check=True)  # noqa: S603
        linked.replace(target)  # at once: another process may be loading it
    return target


def _object(dispatcher: Any) -> bytes:
    """An object file with one symbol: the loop, by what its arguments are."""
    njit = importlib.import_module("numba").njit
    again = njit(nogil=True, error_model="numpy", _nrt=False)(dispatcher.py_func)  # not from Numba's cache
    again.compile(dispatcher.signatures[0])
    (made,) = again.overloads.values()
    name = ahead.symbol("".join(_type(each) for each in made.signature.args))
    text = str(made.library._final_module).replace(made.fndesc.llvm_func_name, name)
    for theirs, libm in _OURS.items():
        text = text.replace(theirs, libm)
    return _emitted(text, name)


def _emitted(text: str, name: str) -> bytes:
    """Position-independent code of one function of a module and what it calls."""
    llvm = importlib.import_module("llvmlite.binding")
    module = llvm.parse_assembly(text)
    for each in module.functions:
        if not each.is_declaration:
            each.linkage = "external" if each.name == name else "internal"
    for each in module.global_variables:
        if each.linkage.name == "common":
            each.linkage = "internal"
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu=_BASELINE.get(os.uname().machine, "generic"), features="", opt=3, reloc="pic", codemodel="small"
    )
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    found: bytes = machine.emit_object(module)
    return found


def _type(numba: Any) -> str:
    """As `ahead` calls it."""
    kind = type(numba).__name__
    if kind == "Array" and numba.layout == "C":
        return ahead.array_type(np.dtype(str(numba.dtype)).str, numba.ndim)
    if kind in ("NamedTuple", "NamedUniTuple", "Tuple", "UniTuple"):
        return "".join(_type(each) for each in numba.types)
    if kind == "Boolean":
        return "?"
    if kind == "Integer" and numba.bitwidth == 64:
        return "q"
    raise ValueError(f"machine code made ahead of time cannot be given {numba}")
