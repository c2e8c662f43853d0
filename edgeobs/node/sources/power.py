"""Power and energy, by whatever measures them: RAPL, INA and other hardware monitors, batteries.

A node's energy is that of the widest measure that it has, in this order: the platform as a whole (RAPL's
psys), a rail that feeds all of the board, a battery that discharges, or else RAPL's packages and memory,
which leave out disks, fans and losses.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
Scope = Literal["platform", "rail", "battery", "packages", ""]
WIDEST: tuple[Scope, ...] = ("platform", "rail", "battery", "packages")
_WHOLE_RAILS = frozenset({"VDD_IN", "POM_5V_IN", "SYS5V", "VIN", "VIN_SYS_5V0", "power_meter"})
"""Names of rails that feed a whole board: Jetson's modules, and ACPI's power meter."""
_CHANNELS = "123"
_MICRO, _MILLI = 1e-6, 1e-3


class Measured(NamedTuple):
    """One sensor, this time: joules since the last time, and what part of the node it measures."""

    scope: Scope
    joules: float
    readings: tuple[Reading, ...]


def power(host: Host) -> Found:
    """What each sensor says, and the node's power and energy."""
    now_s = host.clock()
    measured = [*_rails(host, now_s), *_supplies(host, now_s)]
    try:
        measured += _rapl(host, now_s)
    except PermissionError:  # for root alone, since Linux 5.10
        if not measured:
            raise
    if not measured:
        raise MissingError("no RAPL, no hwmon power or current, no battery")
    for each in measured:
        yield from each.readings
    scope = next((scope for scope in WIDEST if any(each.scope == scope for each in measured)), "")
    if not scope:
        return
    watts = host.ledger.spend(sum(each.joules for each in measured if each.scope == scope), now_s)
    yield Reading("hw.host.energy", "counter", "J", host.ledger.host_j)
    if watts is not None:
        yield Reading("hw.host.power", "gauge", "W", watts, (("edgeobs.energy.scope", scope),))


def _rapl(host: Host, now_s: float) -> Iterator[Measured]:
    """Intel's and AMD's energy counters: Documentation/power/powercap/powercap.rst.

    Zones within a package (cores, graphics) are part of it; only memory is beside it.
    """
    for place in host.found("sys/class/powercap/intel-rapl:*"):
        zone, name = place.rsplit("/", 1)[1], host.word(f"{place}/name")
        level = host.number(f"{place}/energy_uj")
        span = host.maybe(f"{place}/max_energy_range_uj") or 0.0
        joules = host.ledger.count(zone, level, span, now_s)
        kind = "memory" if name == "dram" else "cpu" if name.startswith("package") else "other"
        labels = (("hw.id", zone), ("hw.name", name), ("hw.type", kind))
        total = host.ledger.meters[zone].joules
        scope: Scope = "platform" if name == "psys" else "" if kind == "other" else "packages"
        yield Measured(scope, joules, (Reading("hw.energy", "counter", "J", total, labels),))


def _rails(host: Host, now_s: float) -> Iterator[Measured]:
    """Hardware monitors: powerN (µW); of an INA3221, which has none, inN (mV) times currN (mA).

    Its curr4 is the sum of the three channels, and its in4 something else: Documentation/hwmon/ina3221.rst.
    """
    for path in host.found("sys/class/hwmon/hwmon[0-9]*/power*_input"):
        yield from _rail(host, path.removesuffix("_input"), host.maybe(path), _MICRO, now_s)
    for path in host.found("sys/class/hwmon/hwmon[0-9]*/power*_average"):
        yield from _rail(host, path.removesuffix("_average"), host.maybe(path), _MICRO, now_s)
    for path in host.found("sys/class/hwmon/hwmon[0-9]*/curr[0-9]_input"):
        place, number = path.rsplit("/", 1)[0], path[-len("_input") - 1]
        if host.word(f"{place}/name") != "ina3221" or number not in _CHANNELS:
            continue
        milliamps, millivolts = host.maybe(path), host.maybe(f"{place}/in{number}_input")
        if milliamps is not None and millivolts is not None:
            yield from _rail(host, f"{place}/in{number}", milliamps * millivolts, _MICRO, now_s, millivolts)


def _rail(
    host: Host, path: str, level: float | None, unit: float, now_s: float, millivolts: float | None = None
) -> Iterator[Measured]:
    if level is None:
        return
    place, sensor = path.rsplit("/", 1)
    chip = host.word(f"{place}/name")
    name = host.word(f"{path}_label") or chip
    labels: Labels = (
        ("hw.id", f"{place.rsplit('/', 1)[1]}/{sensor}"),
        ("hw.name", name),
        ("hw.parent", chip),
        ("hw.type", "voltage"),
    )
    watts = level * unit
    joules = host.ledger.integrate(labels[0][1], watts, now_s)
    readings = [
        Reading("hw.power", "gauge", "W", watts, labels),
        Reading("hw.energy", "counter", "J", host.ledger.meters[labels[0][1]].joules, labels),
    ]
    if millivolts is not None:
        readings.append(Reading("hw.voltage", "gauge", "V", millivolts * _MILLI, labels))
    yield Measured("rail" if name in _WHOLE_RAILS else "", joules, tuple(readings))


def _supplies(host: Host, now_s: float) -> Iterator[Measured]:
    """Batteries and mains: Documentation/ABI/testing/sysfs-class-power."""
    for place in host.found("sys/class/power_supply/*"):
        name, kind = place.rsplit("/", 1)[1], host.word(f"{place}/type")
        battery = kind in {"Battery", "UPS"}
        labels: Labels = (("hw.id", name), ("hw.type", "battery" if battery else "power_supply"))
        if not battery:
            online = host.maybe(f"{place}/online")
            if online is not None:
                told = Reading("edgeobs.node.supply.online", "gauge", "", min(online, 1), labels)
                yield Measured("", 0.0, (told,))
            continue
        discharging = host.word(f"{place}/status") == "Discharging"
        readings = [*_battery(host, place, labels, discharging)]
        joules, watts = 0.0, _battery_watts(host, place)
        if watts is not None:
            readings.append(Reading("hw.power", "gauge", "W", watts, labels))
            joules = host.ledger.integrate(f"battery/{name}", watts if discharging else 0.0, now_s)
        yield Measured("battery" if discharging and watts is not None else "", joules, tuple(readings))


def _battery(host: Host, place: str, labels: Labels, discharging: bool) -> Found:
    yield Reading("edgeobs.node.battery.discharging", "gauge", "", discharging, labels)
    if (percent := host.maybe(f"{place}/capacity")) is not None:
        yield Reading("hw.battery.charge", "gauge", "1", min(percent / 100, 1.0), labels)
    if (left := host.maybe(f"{place}/time_to_empty_now")) is not None and discharging:
        yield Reading("hw.battery.time_left", "gauge", "s", left, labels)


def _battery_watts(host: Host, place: str) -> float | None:
    """µW, or µA times µV; some drivers give a current that discharges a minus."""
    if (microwatts := host.maybe(f"{place}/power_now")) is not None:
        return abs(microwatts) * _MICRO
    current, voltage = host.maybe(f"{place}/current_now"), host.maybe(f"{place}/voltage_now")
    if current is None or voltage is None:
        return None
    return abs(current) * voltage * _MICRO * _MICRO
