"""GPUs, NPUs and TPUs: NVIDIA's own library where it is installed, sysfs for the others."""

import importlib
import re
from collections.abc import Iterator
from typing import Any

from edgeobs.node.host import Host, MissingError
from edgeobs.node.readings import Labels, Reading

Found = Iterator[Reading]
_UNITS = re.compile(r"\.(gpu|npu|tpu|vpu|mali|ga10b|gv11b|gp10b|nvdla\d*)$")


def nvidia(host: Host) -> Found:
    """By NVML (``nvidia-ml-py``), if that is installed and finds a driver."""
    nvml = _nvml()
    for number in range(min(nvml.nvmlDeviceGetCount(), host.settings.at_most)):
        yield from _nvidia(nvml, nvml.nvmlDeviceGetHandleByIndex(number))


def gpu(host: Host) -> Found:
    """AMD's and Intel's graphics (drm), Jetson's, and whatever is scaled by devfreq."""
    told = False
    for reading in (*_amd(host), *_intel(host), *_jetson(host), *_devfreq(host)):
        told = True
        yield reading
    if not told:
        raise MissingError("no drm, Jetson or devfreq unit that tells its load")


def npu(host: Host) -> Found:
    """Google's Coral TPU (apex), Intel's NPU (accel), Rockchip's (debugfs, for root)."""
    told = False
    for reading in (*_apex(host), *_accel(host), *_rockchip(host)):
        told = True
        yield reading
    if not told:
        raise MissingError("no apex, accel or rknpu device")


def _nvml() -> Any:
    """The library, ready; its functions are named as in NVIDIA's manual."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise MissingError("nvidia-ml-py is not installed") from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise MissingError(f"NVML: {error}") from error
    return nvml


def _nvidia(nvml: Any, device: Any) -> Found:
    """What a card does not tell it says so of (NotSupported), and that is left out."""
    labels = (
        ("hw.id", str(nvml.nvmlDeviceGetUUID(device))),
        ("hw.type", "gpu"),
        ("hw.name", str(nvml.nvmlDeviceGetName(device))),
    )

    def ask(name: str, *more: Any) -> Any:
        try:
            return getattr(nvml, name)(device, *more)
        except nvml.NVMLError:
            return None

    if (rates := ask("nvmlDeviceGetUtilizationRates")) is not None:
        yield _load(rates.gpu / 100, labels)
    if (memory := ask("nvmlDeviceGetMemoryInfo")) is not None:
        yield Reading("hw.gpu.memory.usage", "updown", "By", memory.used, labels)
        yield Reading("hw.gpu.memory.limit", "updown", "By", memory.total, labels)
    if (degrees := ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)) is not None:
        yield Reading("hw.temperature", "gauge", "Cel", degrees, labels)
    if (milliwatts := ask("nvmlDeviceGetPowerUsage")) is not None:
        yield Reading("hw.power", "gauge", "W", milliwatts / 1000, labels)
    if (millijoules := ask("nvmlDeviceGetTotalEnergyConsumption")) is not None:
        yield Reading("hw.energy", "counter", "J", millijoules / 1000, labels)


def _amd(host: Host) -> Found:
    for path in host.found("sys/class/drm/card[0-9]*/device/gpu_busy_percent"):
        place = path.rsplit("/", 1)[0]
        labels = (("hw.id", place.split("/")[-2]), ("hw.name", "amdgpu"))
        if (busy := host.maybe(path)) is not None:
            yield _load(busy / 100, labels)
        for name, file in (("usage", "mem_info_vram_used"), ("limit", "mem_info_vram_total")):
            if (size := host.maybe(f"{place}/{file}")) is not None:
                yield Reading(f"hw.gpu.memory.{name}", "updown", "By", size, labels)


def _intel(host: Host) -> Found:
    """Intel tells no load in sysfs, but how fast it runs."""
    for path in host.found("sys/class/drm/card[0-9]*/gt_act_freq_mhz"):
        labels = (("hw.id", path.split("/")[-2]), ("hw.name", "i915"))
        if (mhz := host.maybe(path)) is not None:
            yield Reading("edgeobs.node.accelerator.frequency", "gauge", "Hz", mhz * 1e6, labels)


def _jetson(host: Host) -> Found:
    """Thousandths, at the place of each generation's driver."""
    for pattern in ("sys/devices/gpu.0/load", "sys/devices/platform/gpu.0/load"):
        for path in host.found(pattern):
            if (load := host.maybe(path)) is not None:
                yield _load(load / 1000, (("hw.id", "gpu.0"), ("hw.name", "tegra")))
                return


def _devfreq(host: Host) -> Found:
    """Units that are scaled: frequency, and load where the driver tells it as ``PERCENT@HERTZHz``."""
    for place in host.found("sys/class/devfreq/*"):
        unit = place.rsplit("/", 1)[1]
        kind = _UNITS.search(unit)
        if not kind:
            continue  # memory buses and the like
        labels = (("hw.id", unit), ("hw.name", kind[1]))
        if (hertz := host.maybe(f"{place}/cur_freq")) is not None:
            yield Reading("edgeobs.node.accelerator.frequency", "gauge", "Hz", hertz, labels)
        load = host.word(f"{place}/load").split("@")[0]
        if load.isdecimal():
            yield _load(min(int(load) / 100, 1.0), labels)


def _apex(host: Host) -> Found:
    for path in host.found("sys/class/apex/apex_*/temp"):
        labels = (("hw.id", path.split("/")[-2]), ("hw.name", "Edge TPU"))
        if (millis := host.maybe(path)) is not None:
            yield Reading("hw.temperature", "gauge", "Cel", millis / 1000, labels)


def _accel(host: Host) -> Found:
    for path in host.found("sys/class/accel/accel*/device/npu_busy_time_us"):
        labels = (("hw.id", path.split("/")[-3]), ("hw.name", "NPU"))
        if (busy := host.maybe(path)) is not None:
            yield Reading("edgeobs.node.accelerator.busy_time", "counter", "s", busy / 1e6, labels)


def _rockchip(host: Host) -> Found:
    """``NPU load:  Core0: 12%, Core1:  0%,`` or one number for all."""
    text = host.word(f"{host.sys}/kernel/debug/rknpu/load")
    for core, percent in enumerate(re.findall(r"(\d+)%", text)):
        yield _load(int(percent) / 100, (("hw.id", f"rknpu/{core}"), ("hw.name", "rknpu")))


def _load(share: float, labels: Labels) -> Reading:
    return Reading("hw.gpu.utilization", "gauge", "1", share, labels)
