"""Which trace is under way, for exemplars; OpenTelemetry is never imported by us."""

import sys
from typing import Any

_last: tuple[Any, dict[str, str] | None] = (None, None)
"""The span context that was asked for last, and its answer: most increments of a request share one."""


def current() -> dict[str, str] | None:
    """The sampled span that is current, as the labels of an exemplar; None: there is none.

    Names and their form are those of the OpenTelemetry specification, *Prometheus and OpenMetrics
    compatibility*: 32 and 16 hexadecimal digits. A process that has a span has imported the module.
    """
    global _last  # noqa: PLW0603  one assignment of a pair: threads see the old or the new
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None
    try:
        span = module.get_current_span()
        if span is module.INVALID_SPAN:
            return None
    except AttributeError:  # another thread is importing it just now
        return None
    context = span.get_span_context()
    known, labels = _last
    if context is not known:
        labels = _labels(context)
        _last = (context, labels)
    return labels


def _labels(context: Any) -> dict[str, str] | None:
    if not (context.trace_flags & 1 and context.is_valid):
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
