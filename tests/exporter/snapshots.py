"""Snapshots of workers, and what a merge of them tells."""

import json
from typing import Any

from edgeobs.exporter import Exporter
from edgeobs.exporter.merge import Snapshot, snapshot


def taken(number: int, counts: dict[str, int], values: list[float], load: float = 0.0) -> Snapshot:
    """A worker that counted these, as it is read back from disk."""
    exporter = Exporter("dev", process=False)
    asked = exporter.counter("dev_asks_total", "Asks.", ["who"])
    took = exporter.histogram("dev_took_seconds", "Took.", ["who"], buckets=(1, 2))
    sizes = exporter.summary("dev_frame_bytes", "Frames.")
    gauges = [
        exporter.gauge(f"dev_{how}_ratio", "Load.", across=how)
        for how in ("each", "sum", "min", "max", "newest")
    ]
    for who, count in counts.items():
        asked.labels(who).inc(count)
    for value in values:
        took.labels("a").observe(value)
        sizes.observe(value)
    for gauge in gauges:
        gauge.set(load)
    made = snapshot(f"id{number}", number, float(number), exporter.own(), exporter.across)
    read: Snapshot = json.loads(json.dumps(made))
    return read


def told(families: Any) -> dict[str, float]:
    """A value by series, without creation times."""
    return {
        f"{s.name}{sorted(s.labels.items())}": s.value
        for family in families
        for s in family.samples if not s.name.endswith("_created")
    }  # fmt: skip


def counted(families: Any) -> dict[str, float]:
    """Of what counts alone."""
    return told(family for family in families if family.type != "gauge")
