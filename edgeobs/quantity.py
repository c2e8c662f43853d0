"""Values with units, for people."""

from math import isfinite

_SCALES = {
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)),
    "Cel": (("°C", 1.0),),
    "By": (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)),
}

_ROUNDS_UP = 0.9995  # in three digits, this much of a unit is one already


def quantity(value: float, unit: str) -> str:
    """A value as people write it: ``14 ms``, ``1.2 GiB/s``, ``0.93``."""
    if not isfinite(value):
        return "unknown"
    base, slash, per = unit.partition("/")
    scales = _SCALES.get(base, ((base if base not in {"1", ""} and "{" not in base else "", 1.0),))
    size = abs(value) / _ROUNDS_UP
    name, scale = next(((n, s) for n, s in scales if size >= s or (s == 1.0 and not value)), scales[-1])
    scaled = value / scale
    digits = f"{scaled:.0f}" if 999.5 <= abs(scaled) < 1e6 else f"{scaled:.3g}"
    return f"{digits} {name}{slash}{per}".replace(" /", "/").strip()
