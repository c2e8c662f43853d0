"""Sources on machines that were written by hand from documentation."""

import os
import socket
import sys
import threading
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from edgeobs.node.host import Host, MissingError
from edgeobs.node.kmsg import KernelLog
from edgeobs.node.names import NAMES
from edgeobs.node.readings import Reading
from edgeobs.node.rounds import Rounds
from edgeobs.node.settings import Settings
from edgeobs.node.sources import (
    accelerators,
    disks,
    filesystems,
    heat,
    network,
    pods,
    power,
    services,
    system,
)
from edgeobs.node.sources.table import sources
from tests.node.boards import BOARDS, Clock, host, unpack, values, write
from tests.waiting import wait

TICK = os.sysconf("SC_CLK_TCK")
NOT_FILES = {"clock", "peers", "dns", "smart", "nvidia", "services"}
"""Sources that ask the kernel or others, not files below the root."""
MISSING = {
    "server": {"wear", "wireless", "npu", "runtime"},
    "raspberry": {"frequency", "pressure", "wear", "power", "gpu", "npu", "runtime"},
    "jetson": {"frequency", "wireless", "pods", "restarts", "kernel", "runtime"},
    "riscv": {"wireless", "gateway?", "throttling", "pods", "restarts", "gpu", "npu", "kernel", "runtime"},
}


@pytest.mark.parametrize("board", BOARDS)
def test_what_a_board_has_is_read_and_what_it_lacks_is_named(board: str, tmp_path: Path) -> None:
    asked = {name: each for name, each in sources().items() if name not in NOT_FILES}
    asked["runtime"] = asked["runtime"]._replace(apart=False)
    rounds = Rounds(host(board, tmp_path, per_cpu=True, within_s=30.0), asked)
    readings = rounds.read()
    missing = {name for name, answer in rounds.answers.items() if answer.reason}
    expected = {name for name in MISSING[board] if not name.endswith("?")}
    if board == "raspberry":
        expected |= {"restarts"}
    assert missing == expected
    assert {rounds.answers[name].reason for name in missing} == {"absent"}
    told = {dict(r.attributes)["source"]: r.value for r in rounds.own() if r.name == "edgeobs.node.source.up"}
    assert told == {name: name not in missing for name in asked}
    seen = Counter((r.name, r.attributes) for r in readings)
    assert [each for each, times in seen.items() if times > 1] == []
    for reading in readings:
        assert (reading.kind, reading.unit) == NAMES[reading.name][:2], reading


def test_processors_and_memory_of_a_server(tmp_path: Path) -> None:
    machine = host("server", tmp_path)
    cpu = list(system.cpu(machine))
    assert values(cpu, "system.cpu.time", "cpu.mode") == {
        ("user",): 2000 / TICK,
        ("nice",): 100 / TICK,
        ("system",): 600 / TICK,
        ("idle",): 16000 / TICK,
        ("iowait",): 200 / TICK,
        ("interrupt",): 20 / TICK,
        ("softirq",): 40 / TICK,
        ("steal",): 0,
    }
    assert values(cpu, "system.cpu.logical.count") == {(): 2}
    memory = list(system.memory(machine))
    assert values(memory, "system.memory.usage", "system.memory.state") == {
        ("free",): 4_000_000 * 1024,
        ("buffers",): 500_000 * 1024,
        ("cached",): 6_400_000 * 1024,
        ("used",): 5_100_000 * 1024,
    }
    assert values(memory, "system.paging.usage", "system.paging.state") == {
        ("used",): 500_000 * 1024,
        ("free",): 1_500_000 * 1024,
    }
    process = list(system.process(machine))
    assert values(process, "system.linux.context_switches") == {(): 700_000}
    assert values(process, "system.linux.interrupts") == {(): 90_000}  # the first number is all of them
    pressure = list(system.pressure(machine))
    assert [r.value for r in pressure] == [2.5, 0.125, 0.5, 0.005] * 3


def test_disk_columns_are_taken_as_the_kernel_numbers_them(tmp_path: Path) -> None:
    readings = list(disks.disk(host("server", tmp_path)))
    found = {(r.name.removeprefix("system.disk."), r.attributes[0][1]): r.value for r in readings}
    assert found == {
        ("io", "read"): 200 * 512,
        ("operations", "read"): 100,
        ("merged", "read"): 1,
        ("operation_time", "read"): 3.0,
        ("io", "write"): 80 * 512,
        ("operations", "write"): 50,
        ("merged", "write"): 2,
        ("operation_time", "write"): 4.0,
        ("pending_operations", "nvme0n1"): 7,
        ("io_time", "nvme0n1"): 5.0,
    }


def test_old_kernels_have_fewer_columns(tmp_path: Path) -> None:
    readings = list(disks.disk(host("riscv", tmp_path)))
    assert values(readings, "system.disk.io_time") == {(("system.device", "mmcblk1"),): 0.05}


def test_one_mount_a_device_and_none_of_the_kernels_own(tmp_path: Path) -> None:
    readings = list(filesystems.Filesystems()(host("server", tmp_path)))
    readonly = values(readings, "edgeobs.node.filesystem.readonly", "system.filesystem.mountpoint")
    assert readonly == {("/",): 0, ("/boot efi",): 1}
    here = os.statvfs(tmp_path)
    size = values(readings, "system.filesystem.limit", "system.filesystem.mountpoint")
    assert size["/",] == here.f_blocks * here.f_frsize
    states = values(readings, "system.filesystem.usage", "system.filesystem.mountpoint")
    assert set(states) == {("/",), ("/boot efi",)}


def test_mounts_of_a_container_are_seen_from_its_root() -> None:
    """Without the right to look at the first process: the machine's are below ours."""
    text = "overlay / overlay rw 0 0\n/dev/sda1 /host ext4 ro 0 0\n/dev/sdb1 /host/data ext4 rw 0 0\n"
    text += "/dev/sda1 /etc/hosts ext4 rw 0 0\n/dev/sdc1 /hosted ext4 rw 0 0\n"
    found = filesystems.chosen(text, frozenset({"ext4"}), "/host")
    assert [(mount.device, mount.place) for mount in found] == [("/dev/sda1", "/"), ("/dev/sdb1", "/data")]
    ours = filesystems.chosen(text, frozenset({"ext4"}))
    assert [mount.place for mount in ours] == [
        "/",
        "/host",
        "/host/data",
        "/hosted",
    ]  # the root, whatever it is


def test_a_share_of_another_machine_is_read_as_well(tmp_path: Path) -> None:
    readings = list(filesystems.Filesystems()(host("raspberry", tmp_path)))
    assert set(values(readings, "edgeobs.node.filesystem.stuck", "system.filesystem.mountpoint")) == {
        ("/",),
        ("/media/nfs",),
    }


def test_a_mount_that_hangs_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come_back, real = threading.Event(), os.statvfs

    def hanging(place: str) -> os.statvfs_result:
        if str(place).endswith("/media/nfs"):
            come_back.wait(60)
        return real(place)

    monkeypatch.setattr(os, "statvfs", hanging)
    source, machine = filesystems.Filesystems(within_s=2.0), host("raspberry", tmp_path)
    stuck = "edgeobs.node.filesystem.stuck"
    before = threading.active_count()
    for _ in range(3):
        readings = list(source(machine))
        assert values(readings, stuck, "system.filesystem.mountpoint") == {("/",): 0, ("/media/nfs",): 1}
        assert ("/",) in values(readings, "system.filesystem.limit", "system.filesystem.mountpoint")
    assert threading.active_count() - before <= 2  # the one that hangs, and the one that reads
    come_back.set()
    wait(lambda: not any(values(list(source(machine)), stuck, "system.device").values()), "it came back")


def test_interfaces_that_hardware_backs(tmp_path: Path) -> None:
    readings = list(network.network(host("server", tmp_path)))
    by = ("network.interface.name", "network.io.direction")
    assert values(readings, "system.network.io", *by) == {
        ("eno1", "receive"): 1e6,
        ("eno1", "transmit"): 3e6,
    }
    assert values(readings, "system.network.packet.dropped", *by)["eno1", "transmit"] == 4
    assert values(readings, "system.network.errors", *by)["eno1", "receive"] == 1


def test_tcp_is_read_by_the_names_of_its_columns(tmp_path: Path) -> None:
    readings = list(network.tcp(host("server", tmp_path)))
    assert [r.value for r in readings] == [2000, 25, 7]


def test_signal_and_noise(tmp_path: Path) -> None:
    readings = list(network.wireless(host("raspberry", tmp_path)))
    wlan = (("network.interface.name", "wlan0"),)
    assert values(readings, "edgeobs.node.wireless.signal") == {wlan: -56}
    assert values(readings, "edgeobs.node.wireless.noise") == {}  # −256: not known
    assert values(readings, "edgeobs.node.wireless.lost", "reason")["retry",] == 30


def test_a_signal_that_is_stored_unsigned(tmp_path: Path) -> None:
    machine = host("raspberry", tmp_path)
    text = machine.text(f"{machine.proc}/net/wireless").replace("-56.", "200.")
    write(tmp_path, "proc/net/wireless", text)
    assert values(list(network.wireless(machine)), "edgeobs.node.wireless.signal", "x") == {("",): -56}


@pytest.mark.parametrize(("board", "up"), [("server", [1]), ("raspberry", [0]), ("riscv", [])])
def test_a_gateway_is_down_when_the_kernel_asks_in_vain(board: str, up: list[float], tmp_path: Path) -> None:
    readings = list(network.gateway(host(board, tmp_path)))
    assert [r.value for r in readings] == up
    assert all(("network.peer.address", "192.168.0.1") in r.attributes for r in readings)


def test_temperatures_and_their_limits(tmp_path: Path) -> None:
    readings = list(heat.temperature(host("server", tmp_path)))
    assert values(readings, "hw.temperature", "hw.name") == {("x86_pkg_temp",): 61, ("Package id 0",): 60}
    assert values(readings, "hw.temperature.limit", "hw.limit_type") == {
        ("high.degraded",): 84,
        ("high.critical",): 100,
    }
    readings = list(heat.temperature(host("raspberry", tmp_path / "pi")))
    assert values(readings, "hw.temperature.limit", "hw.limit_type") == {
        ("high.degraded",): 80,
        ("high.critical",): 110,
    }


def test_throttling_as_each_board_tells_it(tmp_path: Path) -> None:
    server = list(heat.throttling(host("server", tmp_path / "server")))
    assert values(server, "edgeobs.node.throttle.events", "scope") == {("core",): 5, ("package",): 9}
    assert values(server, "edgeobs.node.throttle.time", "scope") == {("core",): 0.25, ("package",): 1.5}
    pi = list(heat.throttling(host("raspberry", tmp_path / "pi")))
    assert values(pi, "edgeobs.node.throttled", "reason") == {  # 0xd0008: since boot does not count as now
        ("undervoltage",): 0,
        ("frequency_capped",): 0,
        ("throttled",): 0,
        ("soft_temperature_limit",): 1,
    }
    assert values(pi, "edgeobs.node.cooling.state", "hw.name") == {("pwm-fan",): 1}
    jetson = list(heat.throttling(host("jetson", tmp_path / "jetson")))
    assert values(jetson, "edgeobs.node.throttled", "reason") == {("cooling_cpufreq",): 1}


def test_a_voltage_alarm_where_the_firmware_tells_nothing(tmp_path: Path) -> None:
    machine = host("raspberry", tmp_path)
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    write(tmp_path, "sys/class/hwmon/hwmon2/in0_lcrit_alarm", "1\n")
    readings = list(heat.throttling(machine))
    assert values(readings, "edgeobs.node.throttled", "reason") == {("undervoltage",): 1}


def test_wear_of_emmc(tmp_path: Path) -> None:
    readings = list(disks.wear(host("jetson", tmp_path)))
    used = values(readings, "hw.physical_disk.endurance_utilization", "hw.physical_disk.cells")
    assert used == {("a",): 0.2, ("b",): 1.0}
    assert values(readings, "edgeobs.node.disk.reserve_state", "hw.id") == {("mmcblk0",): 2}
    with pytest.raises(MissingError, match="SD card"):
        list(disks.wear(host("raspberry", tmp_path / "pi")))


def test_rails_of_a_jetson_and_the_one_that_is_all(tmp_path: Path) -> None:
    clock = Clock()
    machine = host("jetson", tmp_path, clock)
    first = list(power.power(machine))
    assert values(first, "hw.power", "hw.name") == pytest.approx(
        {("VDD_IN",): 6.0, ("VDD_CPU_GPU_CV",): 2.0, ("VDD_SOC",): 1.4952}
    )
    assert values(first, "hw.voltage", "hw.name")["VDD_SOC",] == pytest.approx(4.984)
    clock.now += 10
    write(tmp_path, "sys/class/hwmon/hwmon3/curr1_input", "1600\n")
    then = list(power.power(machine))
    assert values(then, "hw.host.energy") == {(): pytest.approx(70)}  # 6 W, then 8 W
    assert values(then, "hw.host.power", "edgeobs.energy.scope") == {("rail",): pytest.approx(7)}


def test_rapl_counts_packages_and_memory_but_not_what_is_in_them(tmp_path: Path) -> None:
    clock = Clock()
    machine = host("server", tmp_path, clock)
    assert values(list(power.power(machine)), "hw.host.energy") == {(): 0}
    clock.now += 1
    place = "sys/class/powercap/intel-rapl:{}/energy_uj"
    for zone, level in (("0", 25_000_000), ("0:0", 15_000_000), ("0:1", 4_000_000)):
        write(tmp_path, place.format(zone), f"{level}\n")
    readings = list(power.power(machine))
    assert values(readings, "hw.host.energy") == {(): pytest.approx(23)}
    assert values(readings, "hw.energy", "hw.name") == pytest.approx(
        {("package-0",): 20, ("core",): 12, ("dram",): 3}
    )
    clock.now += 1
    write(tmp_path, place.format("0"), "1000000\n")  # it wrapped at 262 kJ
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeobs.node.meters.MOST_W", 1e9)
        readings = list(power.power(machine))
    assert values(readings, "hw.host.energy") == {(): pytest.approx(23 + 262_143.328851 - 24)}


def test_rapl_that_only_root_may_read_is_told_and_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = host("server", tmp_path)
    number = machine.number

    def denied(path: str) -> float:
        if path.endswith("energy_uj"):
            raise PermissionError(path)
        return number(path)

    monkeypatch.setattr(machine, "number", denied)
    assert values(list(power.power(machine)), "edgeobs.node.supply.online", "hw.id") == {("AC",): 1}
    (tmp_path / "sys/class/power_supply/AC/online").unlink()
    with pytest.raises(PermissionError):
        list(power.power(machine))


def test_a_battery_that_discharges_measures_the_node(tmp_path: Path) -> None:
    clock = Clock()
    machine = host("riscv", tmp_path, clock)
    first = list(power.power(machine))
    assert values(first, "hw.power", "hw.id") == {("battery",): pytest.approx(6)}
    assert values(first, "hw.battery.charge", "hw.id") == {("battery",): 0.64}
    assert values(first, "hw.battery.time_left", "hw.id") == {("battery",): 7200}
    clock.now += 60
    assert values(list(power.power(machine)), "hw.host.energy") == {(): pytest.approx(360)}
    write(tmp_path, "sys/class/power_supply/battery/status", "Charging\n")
    clock.now += 60
    assert (
        values(list(power.power(machine)), "hw.host.energy") == {}
    )  # what goes in says nothing of what is used


UIDS = {"till": "11111111-2222-3333-4444-555555555555", "other": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}


def test_pods_of_version_2_get_their_part_of_the_energy(tmp_path: Path) -> None:
    clock = Clock()
    machine = host("server", tmp_path, clock)
    list(power.power(machine))
    first = list(pods.pods(machine))
    assert values(first, "k8s.pod.cpu.time", "k8s.pod.uid") == {(UIDS["till"],): 4, (UIDS["other"],): 8}
    assert values(first, "k8s.pod.memory.working_set", "k8s.pod.uid") == {
        (UIDS["till"],): 3_500_000,
        (UIDS["other"],): 0,
    }
    till = next(dict(r.attributes) for r in first if ("k8s.pod.uid", UIDS["till"]) in r.attributes)
    assert (till["k8s.namespace.name"], till["k8s.pod.name"]) == ("shop", "till-0")
    clock.now += 10  # two processors: 20 s could have been used
    slice_, tail = "sys/fs/cgroup/kubepods.slice", "cpu.stat"
    uid = UIDS["till"].replace("-", "_")
    write(tmp_path, f"{slice_}/kubepods-pod{uid}.slice/{tail}", "usage_usec 9000000\n")
    write(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", "105000000\n")
    list(power.power(machine))
    then = list(pods.pods(machine))
    assert values(then, "edgeobs.node.pod.energy", "k8s.pod.uid") == {
        (UIDS["till"],): pytest.approx(100 * 5 / 20),
        (UIDS["other"],): 0,
    }


def test_pods_of_version_1_and_static_ones(tmp_path: Path) -> None:
    readings = list(pods.pods(host("raspberry", tmp_path)))
    static = "0123456789abcdef0123456789abcdef"
    assert values(readings, "k8s.pod.cpu.time", "k8s.pod.uid") == {(static,): 3, (UIDS["other"],): 6}
    assert values(readings, "k8s.pod.memory.working_set", "k8s.pod.uid") == {
        (static,): 3000,
        (UIDS["other"],): 5000,
    }
    assert values(readings, "edgeobs.node.pod.energy") == {}  # nothing measures this board


def test_container_restarts_by_the_kubelets_files(tmp_path: Path) -> None:
    readings = list(pods.restarts(host("server", tmp_path)))
    by = ("k8s.pod.name", "k8s.container.name")
    assert values(readings, "k8s.container.restart.count", *by) == {
        ("till-0", "till"): 3,
        ("till-0", "side"): 0,
    }


def test_accelerators_in_sysfs(tmp_path: Path) -> None:
    server = list(accelerators.gpu(host("server", tmp_path / "server")))
    assert values(server, "hw.gpu.utilization", "hw.id") == {("card1",): 0.37}
    assert values(server, "hw.gpu.memory.limit", "hw.id") == {("card1",): 4_194_304}
    machine = host("jetson", tmp_path / "jetson")
    jetson = list(accelerators.gpu(machine))
    assert values(jetson, "hw.gpu.utilization", "hw.id") == {("gpu.0",): 0.632}
    assert values(jetson, "edgeobs.node.accelerator.frequency", "hw.id") == {("17000000.ga10b",): 306e6}
    assert values(list(accelerators.npu(machine)), "hw.temperature", "hw.name") == {("Edge TPU",): 51}
    riscv = host("riscv", tmp_path / "riscv")
    write(tmp_path / "riscv", "sys/kernel/debug/rknpu/load", "NPU load:  Core0: 12%, Core1:  0%,\n")
    assert values(list(accelerators.npu(riscv)), "hw.gpu.utilization", "hw.id") == {
        ("rknpu/0",): 0.12,
        ("rknpu/1",): 0,
    }


def test_nvidia_by_its_library_and_what_a_card_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml: Any = ModuleType("pynvml")

    class NVMLError(Exception):
        pass

    def unsupported(*_: object) -> None:
        raise NVMLError("Not Supported")

    nvml.NVMLError, nvml.NVML_TEMPERATURE_GPU, nvml.nvmlInit = NVMLError, 0, lambda: None
    nvml.nvmlDeviceGetCount, nvml.nvmlDeviceGetHandleByIndex = lambda: 1, lambda number: number
    nvml.nvmlDeviceGetUUID, nvml.nvmlDeviceGetName = lambda _: "GPU-1", lambda _: "T4"
    nvml.nvmlDeviceGetUtilizationRates = lambda _: SimpleNamespace(gpu=55, memory=3)
    nvml.nvmlDeviceGetMemoryInfo = unsupported
    nvml.nvmlDeviceGetTemperature, nvml.nvmlDeviceGetPowerUsage = lambda *_: 66, lambda _: 31_500
    nvml.nvmlDeviceGetTotalEnergyConsumption = lambda _: 12_000
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    readings = list(accelerators.nvidia(host("server", tmp_path)))
    labels = (("hw.id", "GPU-1"), ("hw.type", "gpu"), ("hw.name", "T4"))
    assert {r.name: r.value for r in readings} == {
        "hw.gpu.utilization": 0.55,
        "hw.temperature": 66,
        "hw.power": 31.5,
        "hw.energy": 12,
    }
    assert {r.attributes for r in readings} == {labels}
    nvml.nvmlInit = unsupported
    with pytest.raises(MissingError, match="Not Supported"):
        list(accelerators.nvidia(host("server", tmp_path)))


SMART_NVME = {
    "model_name": "SIMULATED",
    "smart_status": {"passed": False},
    "nvme_smart_health_information_log": {"percentage_used": 104, "available_spare": 9, "media_errors": 2},
    "power_on_time": {"hours": 1234},
}


def test_smart_by_smartctl(tmp_path: Path) -> None:
    program = tmp_path / "smartctl"
    text = str(SMART_NVME).replace("'", '"').replace("False", "false")
    program.write_text(f"#!/bin/sh\ncase $* in *standby*/dev/nvme0n1) echo '{text}';; *) exit 2;; esac\n")
    program.chmod(0o755)
    readings = list(disks.smart(host("server", tmp_path / "root", smartctl=str(program))))
    assert values(readings, "hw.status", "hw.state") == {("ok",): 0, ("failed",): 1}
    assert values(readings, "hw.physical_disk.endurance_utilization", "hw.id") == {("nvme0n1",): 1}
    assert values(readings, "hw.physical_disk.smart", "hw.physical_disk.smart_attribute") == {
        ("available_spare",): 9,
        ("media_errors",): 2,
        ("power_on_hours",): 1234,
    }
    with pytest.raises(MissingError, match="no ATA"):
        list(disks.smart(host("jetson", tmp_path / "jetson", smartctl=str(program))))


def test_ata_attributes_that_foretell_an_end() -> None:
    table = [
        {"name": "Reallocated_Sector_Ct", "raw": {"value": 8}},
        {"name": "Seek_Error_Rate", "raw": {"value": 999}},
    ]
    readings = list(disks.smart_readings("sda", {"ata_smart_attributes": {"table": table}}))
    assert [(dict(r.attributes)["hw.physical_disk.smart_attribute"], r.value) for r in readings] == [
        ("reallocated_sector_ct", 8)
    ]


def test_a_silent_kubelet_is_news_only_where_one_belongs(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/healthz"
        asked = (f"kubelet={url}", f"edgecore={url}")
        server = host("server", tmp_path / "server", endpoints=asked)
        jetson = host("jetson", tmp_path / "jetson", endpoints=asked)
        pi = host("raspberry", tmp_path / "pi", endpoints=asked)
        up = "edgeobs.node.service.up"
        assert values(list(services.services(server)), up, "service.name") == {("kubelet",): 0}
        assert values(list(services.services(jetson)), up, "service.name") == {("edgecore",): 0}
        with pytest.raises(MissingError):
            list(services.services(pi))


def test_the_kernels_log_is_read_once(tmp_path: Path) -> None:
    machine, log = host("raspberry", tmp_path), KernelLog()
    for _ in range(2):
        counts = values(list(log(machine)), "edgeobs.node.kernel.events", "event")
        assert {what: count for what, count in counts.items() if count} == {
            ("filesystem_error",): 1,
            ("filesystem_readonly",): 1,
            ("undervoltage",): 1,
        }
    with (tmp_path / "dev/kmsg").open("a") as file:
        file.write("6,10,5000000000,-;Memory cgroup out of memory: Killed process 77 (till) total-vm:1kB\n")
    counts = values(list(log(machine)), "edgeobs.node.kernel.events", "event")
    assert counts["oom_kill",] == 1
    log.close()


def test_a_process_that_writes_to_the_log_is_not_the_kernel(tmp_path: Path) -> None:
    log = KernelLog()
    list(log(host("server", tmp_path)))
    assert [event.what for event in log.events] == ["oom_kill"]
    log.close()


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_of_which_any_file_is_gone_or_broken_loses_no_more_than_that(
    board: str, tmp_path: Path
) -> None:
    """Every file in turn: empty, and not what it should be."""
    root = unpack(board, tmp_path)
    asked = {name: each for name, each in sources().items() if name not in NOT_FILES and not each.apart}

    def answers() -> dict[str, list[Reading]]:
        rounds = Rounds(host_at(root), asked)
        rounds.read()
        return {name: list(answer.readings) for name, answer in rounds.answers.items()}

    whole = answers()
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        kept = file.read_text()
        for broken in ("", "garbage\n"):
            file.write_text(broken)
            now = answers()
            lost = [name for name in asked if whole[name] and not now[name]]
            assert len(lost) <= 3, (file, lost)  # /proc/stat is three sources' own
        file.write_text(kept)


def host_at(root: Path) -> Host:
    """A machine whose files are there already."""
    return Host(Settings(root=str(root), within_s=30.0), Clock())
