"""Debian's prometheus-node-exporter on loopback, and what is scraped of it or of us."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import wait

PROGRAM = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
Scraped = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@contextmanager
def node_exporter() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """It, as it is by default, on a free port: where its metrics are, and the process."""
    assert PROGRAM is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    quiet = subprocess.DEVNULL
    with subprocess.Popen([PROGRAM, f"--web.listen-address={address}"], stdout=quiet, stderr=quiet) as child:
        try:
            url = f"http://{address}/metrics"
            wait(lambda: httpx.get(url).is_success, "node_exporter answers")
            yield url, child
        finally:
            child.terminate()


def scraped(text: str) -> Scraped:
    """Samples by name and sorted labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
