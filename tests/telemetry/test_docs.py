"""What the documentation says of the metrics is what the catalogue says."""

import re
from pathlib import Path

from edgeobs.catalogue import METRICS


def test_the_table_of_metrics_is_the_catalogue(root: Path) -> None:
    page = (root / "docs/metrics.md").read_text()
    found = re.findall(r"^\| `(edgeobs_\w+)` \| (.*?) \| (.*?) ?\| (.*?) ?\| (.*) \|$", page, re.MULTILINE)
    declared = [
        (name, metric.kind, metric.unit, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for name, metric in METRICS.items()
    ]
    assert found == declared


def test_the_buckets_are_those_of_the_catalogue(root: Path) -> None:
    buckets = ", ".join(map(str, METRICS["edgeobs_step_duration_seconds"].buckets))
    assert buckets in " ".join((root / "docs/metrics.md").read_text().split())
