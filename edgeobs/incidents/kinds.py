"""What evidence of logs and spans is called, and which of it speaks for the same thing."""

_KINDS = {
    "log_lines": "log rate",
    "span_calls": "span rate",
    "span_clock_offset_seconds": "clock offset between nodes",
    "span_duration_seconds": "span duration",
    "span_error_ratio": "span error ratio",
    "span_link_seconds": "span link time",
}


def kind_of(name: str) -> str:
    """The kind of evidence that a series of this name is; empty for a metric."""
    return _KINDS.get(name.partition(":")[0], "")


def family_of(name: str, kind: str) -> str:
    """What must differ for two to agree: the metric, without what `features` derives of it.

    All that is read from logs is one: a template that was never seen comes with other rates of others.
    """
    return "logs" if kind.startswith("log ") else name.partition(":")[0]
