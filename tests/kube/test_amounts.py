"""Quantities as Kubernetes parses them; what a pod asks."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.kube.amounts import MOST, amounts, pod_requests, quantity

SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
SUFFIXES |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", 1)}
SUFFIXES |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", 1)}

digits = st.text("0123456789", min_size=1, max_size=12)
number = st.one_of(
    digits, st.builds("{}.{}".format, digits, digits), digits.map("{}.".format), digits.map(".{}".format)
)
suffix = st.one_of(
    st.sampled_from(sorted(SUFFIXES)),
    st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 25)),
)


def exact(number: str, suffix: str) -> Fraction:
    value = Fraction(number.rstrip(".") if not number.startswith(".") else "0" + number)
    return value * SUFFIXES[suffix] if suffix in SUFFIXES else value * Fraction(10) ** int(suffix[1:])


@given(st.sampled_from(["", "+", "-"]), number, suffix, st.sampled_from([0, 3]))
def test_a_quantity_is_its_value_rounded_away_from_zero_within_int64(
    sign: str, number: str, suffix: str, decimals: int
) -> None:
    value = exact(number, suffix) * 10**decimals
    expected = min(-(-value.numerator // value.denominator), MOST)
    assert quantity(sign + number + suffix, decimals) == (-expected if sign == "-" else expected)


@given(st.text("0123456789.+-eEinumkKMGTPx ", max_size=12))
def test_whatever_is_given_is_a_number_or_a_clear_error(text: str) -> None:
    try:
        assert abs(quantity(text)) <= MOST
    except ValueError as error:
        assert "expected a quantity" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", 1), ("1.5Gi", 1610612736), ("1e3", 1000), ("1E3", 1000), ("1E", 10**18), ("1Ei", 2**60),
        ("12e6", 12_000_000), ("0", 0), ("-1.5", -2), (".5", 1), ("5.", 5), ("1e-1", 1), ("3k", 3000),
        ("100Ei", MOST), ("1e999999999", MOST), ("1e-999999999", 1), ("-9E9", -9 * 10**9), ("0e999999999", 0),
    ],
)  # fmt: skip
def test_quantities(text: str, value: int) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", ".", "m", "1 Gi", "1gi", "1KI", "Ki", "1e", "--1", "1e1.5", "0x10", "NaN", "\u0661"]
)
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity(text)


def test_processors_are_counted_in_thousandths() -> None:
    found = {
        "cpu": "1.5",
        "memory": "1Ki",
        "limits.cpu": "250m",
        "x.io/gpu": "2",
        "ephemeral-storage": 7,
    }
    expected = {"cpu": 1500, "memory": 1024, "limits.cpu": 250, "x.io/gpu": 2, "ephemeral-storage": 7}
    assert amounts(found) == expected
    with pytest.raises(ValueError, match=r"memory: expected a quantity .* found 'lots'"):
        amounts({"memory": "lots"})


def container(cpu: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu}}, **more}


def cpu_of(spec: dict[str, Any], status: dict[str, Any] | None = None) -> int:
    return pod_requests(spec, status or {}).get("cpu", 0)


def test_a_pod_asks_for_the_sum_of_its_containers_and_overhead() -> None:
    spec = {"containers": [container("1"), container("500m"), {"name": "none"}], "overhead": {"cpu": "10m"}}
    assert cpu_of(spec) == 1510


def test_starting_may_need_more_than_running() -> None:
    init = [container("3"), container("2")]
    assert cpu_of({"containers": [container("1")], "initContainers": init}) == 3000
    assert cpu_of({"containers": [container("4")], "initContainers": init}) == 4000


def test_sidecars_run_beside_what_starts_after_them_and_beside_the_containers() -> None:
    init = [container("2"), container("1", restartPolicy="Always"), container("3")]
    assert cpu_of({"containers": [container("1")], "initContainers": init}) == 4000
    assert cpu_of({"containers": [container("5")], "initContainers": init}) == 6000


def test_a_resize_counts_as_the_larger_of_what_is_and_what_is_wanted() -> None:
    status = {"containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "2"}}]}
    assert cpu_of({"containers": [container("1")]}, status) == 2000
    assert cpu_of({"containers": [container("3")]}, status) == 3000


def test_what_is_set_for_the_pod_as_a_whole_wins() -> None:
    spec = {"containers": [container("1"), container("1")], "resources": {"requests": {"cpu": "3"}}}
    assert cpu_of(spec) == 3000
