"""Names and units: what is wrong is said in tests, and harms nobody in production."""

import subprocess
import sys

import pytest

from edgeobs.exporter import Exporter
from edgeobs.exporter.naming import problems, ucum, unit_of


@pytest.mark.parametrize(
    ("kind", "name", "labels"),
    [
        ("counter", "http_requests_total", ["method"]), ("gauge", "room_temperature_celsius", ["room"]),
        ("histogram", "http_request_duration_seconds", []), ("gauge", "battery_charge_ratio", []),
        ("counter", "meter_energy_joules_total", []), ("gauge", "pump_up", []),
        ("gauge", "tank_level_meters", []),
    ],
)  # fmt: skip
def test_good_names(kind: str, name: str, labels: list[str]) -> None:
    assert problems(kind, name, "Help.", labels) == []


@pytest.mark.parametrize(
    ("kind", "name", "labels", "what"),
    [
        ("counter", "http_requests", [], "a counter ends in _total"),
        ("gauge", "http_requests_total", [], "only a counter ends in _total"),
        ("gauge", "http_requests_count", [], "only what the library adds ends in _count"),
        ("gauge", "room_temperature_fahrenheit", [], "not a base unit; use celsius"),
        ("histogram", "http_request_duration_ms", [], "not a base unit; use seconds"),
        ("counter", "net_received_kb_total", [], "not a base unit; use bytes"),
        ("gauge", "disk_used_percent", [], "not a base unit; use ratio"),
        ("gauge", "disk_bytes_used", [], "the unit bytes goes to the end"),
        ("gauge", "Disk_used", [], "expected lower-case words"),
        ("gauge", "disk__used", [], "expected lower-case words"),
        ("gauge", "used", [], "expected at least two words"),
        ("counter", "http_request_counter_total", [], "the type does not belong"),
        ("gauge", "room_light_lux", ["instance"], "label 'instance'"),
        ("gauge", "room_light_lux", ["roomName"], "label 'roomName'"),
    ],
)  # fmt: skip
def test_bad_names(kind: str, name: str, labels: list[str], what: str) -> None:
    [found] = problems(kind, name, "Help.", labels)
    assert what in found
    assert found.startswith(f"{kind} {name}: ")


def test_help_is_wanted() -> None:
    assert problems("gauge", "pump_up", " ") == ["gauge pump_up: expected a help text; found none"]


@pytest.mark.parametrize(
    ("name", "unit", "otlp"),
    [
        ("http_request_duration_seconds", "seconds", "s"), ("meter_energy_joules_total", "joules", "J"),
        ("pump_up", "", ""), ("air_pressure_pascals", "pascals", "{pascals}"),
        ("disk_used_ratio", "ratio", "1"),
    ],
)  # fmt: skip
def test_units(name: str, unit: str, otlp: str) -> None:
    assert (unit_of(name), ucum(unit)) == (unit, otlp)


def test_in_tests_a_bad_name_is_an_error_where_it_is_declared() -> None:
    exporter = Exporter("dev")
    with pytest.raises(ValueError, match="not a base unit; use seconds"):
        exporter.gauge("dev_uptime_hours", "Uptime.")
    assert exporter.declared == {}


def test_in_production_a_bad_name_is_only_found_by_asking() -> None:
    program = (
        "from edgeobs.exporter import Exporter\n"
        "exporter = Exporter('dev')\n"
        "exporter.gauge('dev_uptime_hours', 'Uptime.').set(3)\n"
        "print(exporter.check())\n"
        "assert b'dev_uptime_hours 3.0' in exporter.render()[0]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "hours is not a base unit; use seconds" in done.stdout


def test_importing_is_light() -> None:
    """Neither NumPy nor the SDK, and nothing that a device exporter would not use."""
    program = (
        "import sys, edgeobs.exporter as e\n"
        "x = e.Exporter('dev'); x.counter('dev_beats_total', 'Beats.').inc(); x.render()\n"
        "heavy = {'numpy', 'opentelemetry', 'asyncio', 'google', 'grpc', 'yaml', 'logging'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
