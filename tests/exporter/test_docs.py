"""What `docs/exporter.md` shows runs as it stands."""

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeobs.exporter import Exporter

DOC = Path(__file__).parents[2] / "docs" / "exporter.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOC.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples have an exporter do, instead of doing it."""
    calls: dict[str, Any] = {}
    for name in ("serve", "push", "run"):
        monkeypatch.setattr(Exporter, name, lambda _, *a, _name=name, **k: calls.update({_name: (a, k)}))
    return calls


def ran(block: str, **given: Any) -> dict[str, Any]:
    names = dict(given)
    exec(compile(block, str(DOC), "exec"), names)  # noqa: S102  our own text
    return names


def test_the_device_in_ten_lines(asked: dict[str, Any]) -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line]
    assert len(lines) <= 10
    bus = SimpleNamespace(read_all=lambda: [("in", 41.5), ("out", 38)])
    exporter = ran(BLOCKS[0], bus=bus)["exporter"]
    assert 'boiler_temperature_celsius{sensor="in"} 41.5' in exporter.render()[0].decode()
    assert asked == {"serve": ((9400,), {}), "run": ((), {})}
    exporter.close()


def test_the_service(asked: dict[str, Any]) -> None:
    async def app(*_: Any) -> None:
        raise AssertionError

    names = ran(BLOCKS[1], app=app)
    asyncio.run(names["pay"](7))
    page = names["exporter"].render()[0].decode()
    assert 'shop_payment_duration_seconds_count{error="",method="card"} 1.0' in page
    assert 'shop_orders_total{kind="tea"} 1.0' in page
    ran(BLOCKS[2], exporter=names["exporter"])
    assert asked == {"push": (("http://collector:4318",), {"every_s": 15, "buffer": "/var/lib/shop"})}
    names["exporter"].close()


def test_the_rest(tmp_path: Path) -> None:
    assert len(BLOCKS) == 5
    assert isinstance(ran(BLOCKS[3], Exporter=Exporter)["exporter"], Exporter)
    block = BLOCKS[4].replace("/var/lib/prometheus/node-exporter", str(tmp_path))
    ran(block, Exporter=Exporter, back_up=lambda: 12)
    assert "backup_size_bytes 12.0" in (tmp_path / "backup.prom").read_text()


def test_every_own_metric_is_explained() -> None:
    """As many as the library's source declares."""
    folder = DOC.parents[1] / "edgeobs" / "exporter"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    declared = set(re.findall(r'"(edgeobs_exporter_\w+?)(?:_total)?"', source))
    text = DOC.read_text(encoding="utf-8")
    short = {name: name.replace("edgeobs_exporter_collector_", "…_") for name in declared}
    assert [name for name in declared if name not in text and short[name] not in text] == []
    assert len(declared) == 8
