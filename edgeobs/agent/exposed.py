"""The agent's counters in Prometheus's text format, without the library that a node need not import. Pure."""

from collections.abc import Mapping

from edgeobs.catalogue import METRICS, Metric

_OTHER = Metric("counter", "")


def text(values: Mapping[tuple[str, ...], float]) -> str:
    """``(name, label values…)`` → value, as the metrics are declared; sorted."""
    lines: list[str] = []
    before = ""
    for (name, *labels), value in sorted(values.items()):
        metric = METRICS.get(name, _OTHER)
        if name != before:
            lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
            before = name
        pairs = zip(metric.labels, labels, strict=True)
        inside = ",".join(f'{label}="{_escaped(given)}"' for label, given in pairs)
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
