"""Rate, errors, duration."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator

import pytest

from edgeobs.exporter import Exporter


@pytest.fixture
def exporter() -> Exporter:
    return Exporter("shop", process=False)


def count(exporter: Exporter, **labels: str) -> float | None:
    return exporter.registry.get_sample_value("shop_pay_duration_seconds_count", labels)


def under_way(exporter: Exporter, **labels: str) -> float | None:
    return exporter.registry.get_sample_value("shop_pay_in_progress", labels)


def test_calls_that_go_well_and_those_that_raise(exporter: Exporter) -> None:
    payments = exporter.red("shop_pay", "Payments.", ["kind"])

    @payments(kind="card")
    def pay(amount: int) -> int:
        """Pay."""
        assert under_way(exporter, kind="card") == 1
        return 10 // amount

    assert pay(5) == 2
    with pytest.raises(ZeroDivisionError):
        pay(amount=0)
    assert count(exporter, kind="card", error="") == 1
    assert count(exporter, kind="card", error="ZeroDivisionError") == 1
    assert under_way(exporter, kind="card") == 0
    assert (pay.__name__, pay.__doc__) == ("pay", "Pay.")


def test_coroutines_are_measured_until_they_end(exporter: Exporter) -> None:
    payments = exporter.red("shop_pay", "Payments.")
    gate = asyncio.Event()

    @payments()
    async def pay() -> str:
        await gate.wait()
        return "paid"

    async def all_of_it() -> None:
        first, second = asyncio.create_task(pay()), asyncio.create_task(pay())
        await asyncio.sleep(0)
        assert under_way(exporter) == 2
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert await first == "paid"

    assert inspect.iscoroutinefunction(pay)
    asyncio.run(all_of_it())
    assert count(exporter, error="") == 1
    assert count(exporter, error="CancelledError") == 1
    assert under_way(exporter) == 0


def test_a_context_and_recursion(exporter: Exporter) -> None:
    payments = exporter.red("shop_pay", "Payments.", ["kind"])
    with payments("card"), payments("cash"):
        assert (under_way(exporter, kind="card"), under_way(exporter, kind="cash")) == (1, 1)
    with pytest.raises(KeyError), payments("card"):
        raise KeyError
    again = payments("deep")
    with again, again:
        assert under_way(exporter, kind="deep") == 2
    assert count(exporter, kind="card", error="KeyError") == 1
    assert count(exporter, kind="deep", error="") == 2


def test_a_generator_is_refused(exporter: Exporter) -> None:
    payments = exporter.red("shop_pay", "Payments.")

    def many() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    for generator in (many, later):
        with pytest.raises(TypeError, match="is a generator; measure inside of it"):
            payments()(generator)


def test_wrong_labels(exporter: Exporter) -> None:
    payments = exporter.red("shop_pay", "Payments.", ["kind"])
    for values, named in ((["a", "b"], {}), ([], {}), ([], {"kidn": "a"}), (["a"], {"kind": "b"})):
        with pytest.raises(ValueError, match=r"labels are \['kind'\]"):
            payments(*values, **named)
