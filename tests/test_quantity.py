"""Quantities are written as people write them."""

from math import nan

import pytest

from edgeobs.quantity import quantity


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.014, "s", "14 ms"),
        (0.00042, "s", "420 µs"),
        (1500.0, "s", "1500 s"),
        (0.9997, "s/s", "1 s/s"),
        (1023.0, "By", "1023 B"),
        (2.0**30 - 1, "By", "1 GiB"),
        (1234567.0, "1", "1.23e+06"),
        (999.7, "1", "1000"),
        (0.0, "By", "0 B"),
        (0.0, "s", "0 s"),
        (1e-9, "s", "0.001 µs"),
        (512.0, "By", "512 B"),
        (2.0**30 * 1.5, "By/s", "1.5 GiB/s"),
        (12.0, "/s", "12/s"),
        (0.93, "1", "0.93"),
        (5.0, "{request}", "5"),
        (91.0, "Cel", "91 °C"),
        (-0.003, "s", "-3 ms"),
        (23.0, "V", "23 V"),
        (nan, "s", "unknown"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text
