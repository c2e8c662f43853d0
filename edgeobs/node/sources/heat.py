"""Temperatures, their limits, and what the machine does about them: throttling and cooling."""

from collections.abc import Iterator

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
_TRIPS = {"passive": "high.degraded", "hot": "high.degraded", "critical": "high.critical"}
_FIRMWARE = {0: "undervoltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
"""Bits of a Raspberry Pi's ``get_throttled`` that tell what is so now; 16 higher: since boot."""
_SLOWS = ("cpufreq", "devfreq", "processor", "gpu")


def temperature(host: Host) -> Found:
    """Every thermal zone's and hardware monitor's sensor, °C, with the limits that it names."""
    zones = host.found("sys/class/thermal/thermal_zone[0-9]*")
    sensors = host.found("sys/class/hwmon/hwmon[0-9]*/temp*_input")
    if not zones and not sensors:
        raise MissingError("no thermal zone and no hwmon sensor")
    for place in zones:
        labels = (("hw.id", place.rsplit("/", 1)[1]), ("hw.name", host.word(f"{place}/type")))
        if (now := host.maybe(f"{place}/temp")) is not None:  # a zone that is switched off says EAGAIN
            yield Reading("hw.temperature", "gauge", "Cel", now / 1000, labels)
            yield from _trips(host, place, labels)
    for sensor in sensors:
        yield from _sensor(host, sensor.removesuffix("_input"))


def throttling(host: Host) -> Found:
    """How often and long processors were slowed for their heat, by whatever tells it."""
    told = False
    for reading in (*_intel(host), *_raspberry(host), *_cooling(host)):
        told = True
        yield reading
    if not told:
        raise MissingError("no thermal_throttle, get_throttled or cooling device")


def _trips(host: Host, place: str, labels: Labels) -> Found:
    for trip in host.found(f"{place.removeprefix(host.root).lstrip('/')}/trip_point_*_type"):
        kind, limit = host.word(trip), host.maybe(trip.removesuffix("_type") + "_temp")
        if kind in _TRIPS and limit is not None and limit > 0:
            number = trip.rsplit("/", 1)[1].split("_")[2]
            which = (*labels, ("hw.limit_type", _TRIPS[kind]), ("hw.limit", number))
            yield Reading("hw.temperature.limit", "gauge", "Cel", limit / 1000, which)


def _sensor(host: Host, sensor: str) -> Found:
    place, name = sensor.rsplit("/", 1)
    now = host.maybe(f"{sensor}_input")
    if now is None:  # it sleeps, or is not connected
        return
    chip = host.word(f"{place}/name")
    identity = f"{place.rsplit('/', 1)[1]}/{name}"
    labels = (("hw.id", identity), ("hw.name", host.word(f"{sensor}_label") or chip), ("hw.parent", chip))
    yield Reading("hw.temperature", "gauge", "Cel", now / 1000, labels)
    for end, limit_type in (("max", "high.degraded"), ("crit", "high.critical")):
        if (limit := host.maybe(f"{sensor}_{end}")) and limit > 0:
            which = (*labels, ("hw.limit_type", limit_type))
            yield Reading("hw.temperature.limit", "gauge", "Cel", limit / 1000, which)


def _intel(host: Host) -> Found:
    """Counts since boot, those of the processor with most: a package's are the same at each of its own."""
    places = host.found("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
    for scope in ("core", "package"):
        labels = (("scope", scope),)
        counts = [n for place in places if (n := host.maybe(f"{place}/{scope}_throttle_count")) is not None]
        if counts:
            yield Reading("edgeobs.node.throttle.events", "counter", "{event}", max(counts), labels)
        times = [n for p in places if (n := host.maybe(f"{p}/{scope}_throttle_total_time_ms")) is not None]
        if times:
            yield Reading("edgeobs.node.throttle.time", "counter", "s", max(times) / 1000, labels)


def _raspberry(host: Host) -> Found:
    """The firmware's flags, and the alarm of its voltage sensor where only that is there."""
    firmware = host.found("sys/devices/platform/soc/soc:firmware/get_throttled")
    for place in firmware:
        bits = int(host.word(place) or "0", 16)
        for bit, reason in _FIRMWARE.items():
            yield Reading("edgeobs.node.throttled", "gauge", "", bits >> bit & 1, (("reason", reason),))
    for alarm in host.found("sys/class/hwmon/hwmon[0-9]*/in0_lcrit_alarm"):
        low = host.maybe(alarm)
        if not firmware and low is not None and host.word(f"{alarm.rsplit('/', 1)[0]}/name") == "rpi_volt":
            yield Reading("edgeobs.node.throttled", "gauge", "", low, (("reason", "undervoltage"),))


def _cooling(host: Host) -> Found:
    """How far each cooling device is turned up, and whether one that slows something is."""
    slowed: dict[str, float] = {}
    for place in host.found("sys/class/thermal/cooling_device[0-9]*"):
        now, most = host.maybe(f"{place}/cur_state"), host.maybe(f"{place}/max_state")
        if now is None or not most or now < 0:
            continue
        kind = host.word(f"{place}/type")
        labels = (("hw.id", place.rsplit("/", 1)[1]), ("hw.name", kind))
        yield Reading("edgeobs.node.cooling.state", "gauge", "1", min(now / most, 1.0), labels)
        reason = next((each for each in _SLOWS if each in kind.lower()), "")
        if reason:
            slowed[reason] = max(slowed.get(reason, 0.0), float(now > 0))
    for reason, is_slowed in slowed.items():
        yield Reading("edgeobs.node.throttled", "gauge", "", is_slowed, (("reason", f"cooling_{reason}"),))
