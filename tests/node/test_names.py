"""Names: OpenTelemetry's where it has them, their Prometheus spelling, node_exporter's, and the page."""

import re
from pathlib import Path

import opentelemetry.semconv
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.ingest.naming import metric_name
from edgeobs.node.exposition import Exposed, prometheus_name
from edgeobs.node.names import NAMES
from edgeobs.node.node_exporter import RULES, renamed
from edgeobs.node.readings import Reading
from edgeobs.signals import Kind

PAGE = Path(__file__).parents[2] / "docs/node.md"
KINDS = {"counter": Kind.COUNTER, "updown": Kind.UPDOWN, "gauge": Kind.GAUGE}
INSTRUMENTS = {"counter": "counter", "updown": "updowncounter", "gauge": "gauge"}


def conventions() -> dict[str, tuple[str, str]]:
    """Name → instrument and unit, as the installed package of the conventions documents them."""
    folder = Path(next(iter(opentelemetry.semconv.__path__)))
    found = {}
    for file in [*folder.glob("metrics/*.py"), *folder.glob("_incubating/metrics/*.py")]:
        text = file.read_text()
        for name, rest in re.findall(r'Final = "([a-z0-9_.]+)"\n"""(.*?)"""', text, re.DOTALL):
            told = re.search(r"Instrument: (\w+)\nUnit: (\S+)", rest)
            found[name] = (told[1], told[2]) if told else ("", "")
    return found


def test_a_name_is_the_conventions_exactly_where_we_say_so() -> None:
    known = conventions()
    assert len(known) > 300
    for name, each in NAMES.items():
        assert (name in known) == each.convention, name
        if name in known and known[name][0]:
            assert known[name] == (INSTRUMENTS[each.kind], each.unit), name


def test_every_rule_starts_from_a_name_that_there_is() -> None:
    assert RULES.keys() <= NAMES.keys()


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("system.cpu.time", "system_cpu_time_seconds"),
        ("system.disk.io", "system_disk_io_bytes"),
        ("system.memory.utilization", "system_memory_utilization_ratio"),
        ("hw.temperature", "hw_temperature_celsius"),
        ("hw.host.energy", "hw_host_energy_joules"),
        ("edgeobs.node.source.up", "edgeobs_node_source_up"),
        ("k8s.container.restart.count", "k8s_container_restart_count"),
        ("edgeobs.node.wireless.signal", "edgeobs_node_wireless_signal_dBm"),
    ],
)
def test_prometheus_spelling(name: str, spelt: str) -> None:
    each = NAMES[name]
    assert prometheus_name(Reading(name, each.kind, each.unit, 0)) == spelt


def test_scraped_and_sent_a_metric_has_one_name() -> None:
    for name, each in NAMES.items():
        here = prometheus_name(Reading(name, each.kind, each.unit, 0))
        total = "_total" if each.kind == "counter" else ""
        assert f"{here}{total}" == metric_name(name, each.unit, KINDS[each.kind])


def test_what_is_scraped_is_what_was_read() -> None:
    readings = [
        Reading(
            "system.disk.io", "counter", "By", 5, (("disk.io.direction", "read"), ("system.device", "a"))
        ),
        Reading(
            "system.disk.io", "counter", "By", 7, (("disk.io.direction", "read"), ("system.device", 'b"\\'))
        ),
        Reading("hw.power", "gauge", "W", 2.5, (("hw.id", "x"),)),
        Reading("hw.power", "gauge", "W", 3.5, (("hw.id", "y"), ("hw.parent", "z"))),
    ]
    registry = CollectorRegistry()
    registry.register(Exposed(lambda: readings))
    text = generate_latest(registry).decode()
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    read = ("disk_io_direction", "read")
    assert found == {
        ("system_disk_io_bytes_total", (read, ("system_device", "a"))): 5,
        ("system_disk_io_bytes_total", (read, ("system_device", 'b"\\'))): 7,
        ("hw_power_watts", (("hw_id", "x"),)): 2.5,
        ("hw_power_watts", (("hw_id", "y"), ("hw_parent", "z"))): 3.5,
    }
    assert text.count("# TYPE hw_power_watts gauge") == 1
    assert "# HELP system_disk_io_bytes_total Bytes read and written." in text


def test_rules_that_lead_to_one_series_add_up() -> None:
    place = (
        ("system.device", "/dev/a"),
        ("system.filesystem.mountpoint", "/"),
        ("system.filesystem.type", "ext4"),
    )
    states = {"used": 60.0, "free": 30.0, "reserved": 10.0}
    readings = [
        Reading(
            "system.filesystem.usage", "updown", "By", value, (*place, ("system.filesystem.state", state))
        )
        for state, value in states.items()
    ]
    found = {r.name: r.value for r in renamed(readings) if r.name.startswith("node_")}
    assert found == {"node_filesystem_avail_bytes": 30, "node_filesystem_free_bytes": 40}


def test_the_page_has_every_metric_as_it_is() -> None:
    cells = r"`([a-z0-9_.]+)` \| (\w+) \| (?:`(\S+)` )?\| (\w+) \| (.*?) \| (.*?) ?"
    rows = re.findall(rf"^\| {cells}\|$", PAGE.read_text(), re.MULTILINE)
    told = {name: (kind, unit, mine == "convention", text) for name, kind, unit, mine, text, _ in rows}
    assert told == {name: (each.kind, each.unit, each.convention, each.help) for name, each in NAMES.items()}
    there = {row[0]: re.findall(r"`(\w+)`", row[-1]) for row in rows if row[-1]}
    assert there == {name: list(dict.fromkeys(rule.to for rule in rules)) for name, rules in RULES.items()}
