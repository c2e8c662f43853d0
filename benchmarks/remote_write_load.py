"""Remote write requests as a Prometheus sends them: the same series scrape after scrape."""

from collections.abc import Iterator
from typing import Any

from edgeobs.ingest.remote_write_messages import messages

PER_REQUEST = 2000
_EPOCH_MS = 1_700_000_000_000


def labels_of(k: int) -> list[tuple[str, str]]:
    """Sorted labels of series k: about 110 bytes, as node exporters have them."""
    return [
        ("__name__", f"node_network_receive_bytes_{k % 50}_total"),
        ("device", f"eth{k % 1000 // 50}"),
        ("instance", f"edge-{k // 1000}:9100"),
        ("job", "node"),
        ("zone", "west"),
    ]


def bodies_v1(series: int, scrape: int) -> Iterator[bytes]:
    """One scrape of so many series, one sample each, in 1.0's uncompressed messages."""
    for first in range(0, series, PER_REQUEST):
        request: Any = messages().write_request()
        for k in range(first, min(series, first + PER_REQUEST)):
            one = request.timeseries.add()
            for name, value in labels_of(k):
                one.labels.add(name=name, value=value)
            one.samples.add(value=k + 1.25 * scrape, timestamp=_EPOCH_MS + 15_000 * scrape)
        yield request.SerializeToString()


def bodies_v2(series: int, scrape: int) -> Iterator[bytes]:
    """The same in 2.0's, with metadata."""
    for first in range(0, series, PER_REQUEST):
        request: Any = messages().request()
        refs = {"": 0}
        for k in range(first, min(series, first + PER_REQUEST)):
            one = request.timeseries.add()
            for pair in labels_of(k):
                one.labels_refs.extend(refs.setdefault(text, len(refs)) for text in pair)
            one.metadata.type = 1
            one.metadata.help_ref = refs.setdefault("Bytes received.", len(refs))
            one.samples.add(value=k + 1.25 * scrape, timestamp=_EPOCH_MS + 15_000 * scrape)
        request.symbols.extend(refs)
        yield request.SerializeToString()
