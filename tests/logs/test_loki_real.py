"""A real Loki finds exactly the lines of a template, text and JSON, by the query that we make of it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgeobs.demo.children import Children
from edgeobs.logs.loki import Loki, LokiError, LokiSettings, logql
from edgeobs.signals import SECOND
from tests.collector.programs import Program
from tests.logs.making import Site, batch, source
from tests.real.parts import LOKI, MissingPartsError, programs
from tests.waiting import wait

pytestmark = pytest.mark.real

CONFIG = Path(__file__).parents[2] / "deploy/collector/loki.yaml"
TEXT = [
    'cannot open "/data/7" on C:\\x: no space (code=28)',
    'cannot open "/data/8" on C:\\x: no space (code=30)',
    "  link é of 10.0.0.7 <down> & out\n  at line 3",
    "link é of 10.0.0.8 <down> & out",
    "Jun 14 15:16:01 \x1b[31mred\x1b[0m alert 7",
]
NEIGHBOURS = [
    'cannot open "/data/7" on C:\\x: no space (code=28) again',
    'we cannot open "/data/7" on C:\\x: no space (code=28)',
    "link é of 10.0.0.7 <up> & out",
]


@pytest.fixture
def loki(tmp_path: Path) -> Iterator[str]:
    """The URL of one, with nothing in it."""
    try:
        program = programs(LOKI)[0]
    except MissingPartsError as missing:
        pytest.skip(str(missing))
    children = Children(tmp_path)
    running = Program(
        children,
        "loki",
        lambda ports: [
            "/usr/bin/env", f"LOKI_DATA={tmp_path / 'loki'}", str(program), f"-config.file={CONFIG}",
            "-config.expand-env=true", "-ingester.min-ready-duration=0s",
            f"-server.http-listen-port={ports['http']}", f"-server.grpc-listen-port={ports['grpc']}",
        ],
        ("http", "grpc"),
        ("http", "/ready"),
    )  # fmt: skip
    try:
        running.start()
        yield running.url("http", "")
    finally:
        children.stop()


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def send(url: str, workload: str, bodies: list[Any], now_ns: int) -> None:
    """By OTLP, as the gateway does it; a dict is a map."""
    records = [
        {"timeUnixNano": str(now_ns + n), "body": _value(body), "severityNumber": 9}
        for n, body in enumerate(bodies)
    ]
    resource = {
        "attributes": [
            attribute("service.name", workload), attribute("k8s.namespace.name", "shop"),
            attribute("k8s.deployment.name", workload), attribute("k8s.node.name", "edge-1"),
        ]
    }  # fmt: skip
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    httpx.post(f"{url}/otlp/v1/logs", json=request, timeout=30, trust_env=False).raise_for_status()


def _value(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return {"kvlistValue": {"values": [attribute(key, value) for key, value in body.items()]}}
    return {"stringValue": body}


def test_the_lines_of_a_template_and_no_others_are_found(loki: str) -> None:
    now = time.time_ns() - 10 * SECOND
    as_json = [json.dumps({"level": "error", "msg": line}) for line in TEXT]
    maps = [{"message": line, "level": "error"} for line in TEXT]
    send(loki, "cart", [*TEXT, *as_json, *maps, *NEIGHBOURS], now)
    send(loki, "pay", TEXT, now)
    client = Loki(LokiSettings(url=loki, timeout_s=30))

    def found(query: str) -> list[str]:
        return [line for _, line in client.lines(query, now, now + SECOND)]

    everybody = '{service_name=~".+"}'
    wait(lambda: len(found(everybody)) == 4 * len(TEXT) + len(NEIGHBOURS), "all lines are there")
    site = Site()
    for line in TEXT:
        site.take(batch([line]))
    known = {ident: site.logs.template(ident) for ident in site.logs._workloads.book.by_id}
    assert len(known) == 3
    everything: list[str] = []
    for template in known.values():
        assert template is not None
        lines = found(logql(template, source("cart")))
        assert len(lines) % 3 == 0  # each as text, as JSON and as a map
        everything += lines
    assert len(everything) == 3 * len(TEXT)
    assert not set(everything) & set(NEIGHBOURS)
    assert set(TEXT) <= set(everything)


def test_what_loki_refuses_is_told_in_its_words(loki: str) -> None:
    with pytest.raises(LokiError, match=r"answered 400: .*parse error"):
        Loki(LokiSettings(url=loki, timeout_s=30)).lines("{", 1, 2)
