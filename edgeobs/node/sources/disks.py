"""Disks: what they move, how worn they are, what they say of themselves."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
_SECTOR = 512  # /proc/diskstats and /sys/block/*/size count in these, whatever the device's own
_DISK = ("hw.type", "physical_disk")
_STANDBY = 2  # smartctl's exit bit of a device that could not be opened, or sleeps


def disk(host: Host) -> Found:
    """What each whole, real device moved, and how long that took."""
    real = {place.split("/")[-2] for place in host.found("sys/block/*/device")}
    for line in host.text(f"{host.proc}/diskstats").splitlines():
        device, *columns = line.split()[2:]
        if device in real:
            yield from _moved(device, [int(c) for c in columns])


def wear(host: Host) -> Found:
    """How much of the life of eMMC (JESD84-B51, Extended CSD 267 to 269) and of SD cards is used.

    ``life_time`` has two numbers, of type A (single-level) and B (multi-level cells), each in tenths of life
    used; 11 is beyond it. ``pre_eol_info`` is 1 while reserve blocks are there, 2 from 80 % used, 3 from 90
    %. SD cards tell nothing of the kind, unless their maker does in a register that no kernel shows.
    """
    places = host.found("sys/block/mmcblk[0-9]*/device")
    if not places:
        raise MissingError("no MMC device below /sys/block")
    told = False
    for place in places:
        device = (("hw.id", place.split("/")[-2]), ("hw.name", host.word(f"{place}/name")), _DISK)
        lives = host.word(f"{place}/life_time").split()
        for kind, text in zip("ab", lives, strict=False):
            if 1 <= (tenths := int(text, 16)) <= 11:  # 0: not told
                used = Reading("hw.physical_disk.endurance_utilization", "gauge", "1", min(tenths / 10, 1.0))
                yield used._replace(attributes=(*device, ("hw.physical_disk.cells", kind)))
                told = True
        if state := int(host.word(f"{place}/pre_eol_info") or "0", 16):
            yield Reading("edgeobs.node.disk.reserve_state", "gauge", "", state, device)
            told = True
    if not told:
        raise MissingError("an SD card tells nothing of its wear")


def smart(host: Host) -> Found:
    """What drives say of themselves, by smartmontools' JSON; a drive that sleeps is not woken."""
    program = shutil.which(host.settings.smartctl) if host.settings.smartctl else None
    if program is None:
        raise MissingError(
            "smartctl is not installed" if host.settings.smartctl else "smartctl is switched off"
        )
    drives = [
        name
        for place in host.found("sys/block/*/device")
        if (name := place.split("/")[-2]).startswith(("sd", "hd", "nvme"))
    ]
    if not drives:
        raise MissingError("no ATA, SCSI or NVMe drive")
    for name in islice(drives, host.settings.at_most):
        command = [program, "--json", "--nocheck=standby", "--health", "--attributes", f"/dev/{name}"]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)  # noqa: S603  ours alone
        if not done.returncode & _STANDBY:
            yield from smart_readings(name, json.loads(done.stdout))


def smart_readings(name: str, told: Mapping[str, Any]) -> Found:
    """Of one drive, from ``smartctl --json``; what it does not tell is left out. Pure."""
    drive: Labels = (("hw.id", name), ("hw.name", str(told.get("model_name", ""))), _DISK)
    passed = told.get("smart_status", {}).get("passed")
    if passed is not None:
        for state in ("ok", "failed"):
            labels = (*drive, ("hw.state", state))
            yield Reading("hw.status", "updown", "1", passed is (state == "ok"), labels)
    nvme = told.get("nvme_smart_health_information_log", {})
    if "percentage_used" in nvme:
        used = nvme["percentage_used"] / 100
        yield Reading("hw.physical_disk.endurance_utilization", "gauge", "1", min(used, 1.0), drive)
    for label, value in _smart_values(told, nvme):
        yield Reading(
            "hw.physical_disk.smart",
            "gauge",
            "1",
            float(value),
            (*drive, ("hw.physical_disk.smart_attribute", label)),
        )


def _smart_values(told: Mapping[str, Any], nvme: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    for row in told.get("ata_smart_attributes", {}).get("table", ()):
        if row["name"] in _OF_ATA:
            yield row["name"].lower(), row["raw"]["value"]
    for name in ("critical_warning", "available_spare", "media_errors", "unsafe_shutdowns"):
        if name in nvme:
            yield name, nvme[name]
    if "hours" in (hours := told.get("power_on_time", {})):
        yield "power_on_hours", hours["hours"]


_OF_ATA = frozenset(
    {
        "Reallocated_Sector_Ct",
        "Current_Pending_Sector",
        "Offline_Uncorrectable",
        "UDMA_CRC_Error_Count",
        "Wear_Leveling_Count",
        "Media_Wearout_Indicator",
    }
)
"""Attributes that foretell an end; the others are too many and mean too little."""


def _moved(device: str, columns: list[int]) -> Found:
    """Columns as Documentation/admin-guide/iostats.rst numbers them, from 0."""
    name = (("system.device", device),)
    for way, at in (("read", 0), ("write", 4)):
        done, merged, sectors, ms = islice(columns, at, at + 4)
        labels = (("disk.io.direction", way), *name)
        yield Reading("system.disk.io", "counter", "By", sectors * _SECTOR, labels)
        yield Reading("system.disk.operations", "counter", "{operation}", done, labels)
        yield Reading("system.disk.merged", "counter", "{operation}", merged, labels)
        yield Reading("system.disk.operation_time", "counter", "s", ms / 1000, labels)
    yield Reading("system.disk.pending_operations", "updown", "{operation}", columns[8], name)
    yield Reading("system.disk.io_time", "counter", "s", columns[9] / 1000, name)
