"""Machine operations that Numba has no name for. Call them from compiled functions only."""

import importlib
from typing import Any

from edgeobs.jit import intrinsic

_ir = importlib.import_module("llvmlite.ir")
_types = importlib.import_module("numba.types")
_word, _wide = _ir.IntType(64), _ir.IntType(128)


def _load64(_context: Any, buffer: Any, _index: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        return builder.load(builder.bitcast(place, _word.as_pointer()), align=1)

    return _types.uint64(buffer, _types.int64), build


def _reduced(builder: Any, wide: Any) -> Any:
    """Below 2^61 + 8 and equal modulo 2^61 − 1, for any number below 2^124."""
    prime, shift = _ir.Constant(_word, (1 << 61) - 1), _ir.Constant(_word, 61)
    low = builder.and_(builder.trunc(wide, _word), prime)
    high = builder.trunc(builder.lshr(wide, _ir.Constant(_wide, 61)), _word)
    once = builder.add(low, high)
    return builder.add(builder.and_(once, prime), builder.lshr(once, shift))


def _mul61(_context: Any, _x: Any, _key: Any) -> Any:
    def build(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        x, key = (builder.zext(a, _wide) for a in arguments)
        return _reduced(builder, builder.mul(x, key))

    return _types.uint64(_types.uint64, _types.uint64), build


def _dot61(_context: Any, _x: Any, _key: Any, _y: Any, _other: Any) -> Any:
    def build(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        x, key, y, other = (builder.zext(a, _wide) for a in arguments)
        return _reduced(builder, builder.add(builder.mul(x, key), builder.mul(y, other)))

    return _types.uint64(_types.uint64, _types.uint64, _types.uint64, _types.uint64), build


def _fold(_context: Any, _x: Any, _y: Any) -> Any:
    def build(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        product = builder.mul(*(builder.zext(a, _wide) for a in arguments))
        high = builder.trunc(builder.lshr(product, _ir.Constant(_wide, 64)), _word)
        return builder.xor(builder.trunc(product, _word), high)

    return _types.uint64(_types.uint64, _types.uint64), build


def _double(_context: Any, _bits: Any) -> Any:
    def build(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _ir.DoubleType())

    return _types.float64(_types.uint64), build


def _bits(_context: Any, _value: Any) -> Any:
    def build(_c: Any, builder: Any, _s: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _word)

    return _types.uint64(_types.float64), build


load64 = intrinsic(_load64)
"""``load64(buffer, i)``: eight bytes from index i, little-endian, unaligned, NOT bounds-checked; uint64."""

mul61 = intrinsic(_mul61)
"""``mul61(x, k)``: x·k modulo 2^61 − 1, below 2^61 + 8, for x < 2^63 and k < 2^61."""

dot61 = intrinsic(_dot61)
"""``dot61(x, k, y, l)``: x·k + y·l modulo 2^61 − 1, below 2^61 + 8, for x, y < 2^62 and k, l < 2^61."""

fold = intrinsic(_fold)
"""``fold(x, y)``: both halves of the 128-bit product x·y, xored."""

double = intrinsic(_double)
"""``double(bits)``: the float64 with these bits."""

bits = intrinsic(_bits)
"""``bits(x)``: the bits of a float64."""
