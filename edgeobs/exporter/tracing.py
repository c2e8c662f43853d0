"""Which trace is under way, for exemplars; OpenTelemetry is never imported by us."""

import sys


def current() -> dict[str, str] | None:
    """The sampled span that is current, as the labels of an exemplar; None: there is none.

    Names and their form are those of the OpenTelemetry specification, *Prometheus and OpenMetrics
    compatibility*: 32 and 16 hexadecimal digits. A process that has no span has not imported the module.
    """
    module = sys.modules.get("opentelemetry.trace")
    if module is None:
        return None
    context = module.get_current_span().get_span_context()
    if not (context.trace_flags & 1 and context.is_valid):
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
