"""Rate, errors and duration of a piece of work, from one histogram."""

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

if TYPE_CHECKING:
    from edgeobs.exporter.exporter import Exporter

_F = TypeVar("_F", bound=Callable[..., Any])


class Red:
    """A kind of work that is measured, wherever it is done.

    It declares ``NAME_duration_seconds``, a histogram with a label ``error`` (empty: it went well; otherwise
    the exception's class), and ``NAME_in_progress``, a gauge. Its count is the rate, its count with an error
    the errors. It is made by `Exporter.red`, and used as a decorator of sync and async functions or as a
    context::

        payments = exporter.red("shop_payment", "Payments taken.", labels=["kind"])

        @payments(kind="card")
        async def pay(): ...
    """

    def __init__(
        self, exporter: "Exporter", name: str, text: str, labels: tuple[str, ...], cap: int | None,
        buckets: tuple[float, ...],
    ) -> None:  # fmt: skip
        self.labels = labels
        self.duration = exporter.histogram(
            f"{name}_duration_seconds",
            f"{text} How long it took.",
            (*labels, "error"),
            cap=cap,
            buckets=buckets,
        )
        self.in_progress = exporter.gauge(
            f"{name}_in_progress", f"{text} Under way now.", labels, cap=cap, across="sum"
        )

    def __call__(self, *values: object, **named: object) -> "Measured":
        """Say with which labels; raises ValueError when they are not the declared ones."""
        if set(named) - set(self.labels) or len(values) + len(named) != len(self.labels):
            raise ValueError(f"labels are {list(self.labels)}; found {[*values, *named]}")
        own = values or tuple([named[name] for name in self.labels])
        return Measured(self, own)


class Measured:
    """One use of it: a decorator, or a context for one thread or task at a time."""

    def __init__(self, red: Red, values: tuple[object, ...]) -> None:
        self._red, self._values = red, values
        self._began: list[float] = []

    def begin(self) -> float:
        """Begin; the answer is for `end`."""
        red = self._red
        (red.in_progress.labels(*self._values) if red.labels else red.in_progress).inc()
        return perf_counter()

    def end(self, began: float, error: type[BaseException] | None) -> None:
        """End, with the class of what was raised."""
        red, what = self._red, "" if error is None else error.__name__
        (red.in_progress.labels(*self._values) if red.labels else red.in_progress).dec()
        red.duration.labels(*self._values, what).observe(perf_counter() - began)

    def __enter__(self) -> Self:
        """Begin."""
        self._began.append(self.begin())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what was raised goes on."""
        self.end(self._began.pop(), kind)

    def __call__(self, function: _F) -> _F:
        """Measure every call of a function, sync or async.

        Raises
        ------
        TypeError
            It is a generator: a call of it does nothing yet, and would take no time.

        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator; measure inside of it, with a context")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Any, **kwargs: Any) -> Any:
                began = self.begin()
                try:
                    found = await function(*args, **kwargs)
                except BaseException as error:
                    self.end(began, type(error))
                    raise
                self.end(began, None)
                return found

            return cast("_F", later)

        @functools.wraps(function)
        def now(*args: Any, **kwargs: Any) -> Any:
            began = self.begin()
            try:
                found = function(*args, **kwargs)
            except BaseException as error:
                self.end(began, type(error))
                raise
            self.end(began, None)
            return found

        return cast("_F", now)
