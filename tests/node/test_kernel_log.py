"""Records of the kernel's log, and what they tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.kernel_log import SIGNS, Event, Record, event, records

MESSAGES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=60)
RECORDS = st.builds(
    Record,
    level=st.integers(0, 7),
    own=st.booleans(),
    sequence=st.integers(0, 2**48),
    at_s=st.integers(0, 10**15).map(lambda micros: micros / 1e6),
    message=MESSAGES,
)


def written(record: Record, more: str = "") -> str:
    """As /dev/kmsg has it."""
    priority = record.level | (0 if record.own else 3 << 3)
    return f"{priority},{record.sequence},{round(record.at_s * 1e6)},-{more};{record.message}\n"


@given(st.lists(RECORDS, max_size=8), st.sampled_from(["", ",caller=T1"]))
def test_records_come_back_with_or_without_their_pairs(found: list[Record], more: str) -> None:
    text = "".join(written(record, more) + " SUBSYSTEM=net\n DEVICE=+pci:1;2\n" for record in found)
    assert list(records(text)) == found


@given(st.text(max_size=200))
def test_any_text_is_borne(text: str) -> None:
    for record in records(text):
        assert 0 <= record.level <= 7
        found = event(record)
        assert found is None or (found.what in SIGNS and len(found.about) <= 256)


@pytest.mark.parametrize(
    ("message", "what", "about"),
    [
        (
            "Out of memory: Killed process 4242 (python3) total-vm:1kB, anon-rss:1kB",
            "oom_kill",
            "4242 (python3)",
        ),
        ("Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB", "oom_kill", "7 (x)"),
        ("INFO: task kworker/u8:2:123 blocked for more than 120 seconds.", "hung_task", "kworker/u8:2:123"),
        ("INFO: task Web Content:9 blocked for more than 241 seconds.", "hung_task", "Web Content:9"),
        ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [cam:1]", "soft_lockup", "CPU#3"),
        ("watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1", "hard_lockup", "cpu 1"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu_stall", "rcu_preempt"),
        ("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", "rcu_stall", "rcu_sched"),
        ("EXT4-fs (sda1): Remounting filesystem read-only", "filesystem_readonly", "sda1"),
        ("EXT4-fs error (device mmcblk0p2): ext4_find_entry:1463: inode #2", "filesystem_error", "mmcblk0p2"),
        ("blk_update_request: I/O error, dev mmcblk0, sector 12345", "io_error", "mmcblk0"),
        ("CPU2: Core temperature above threshold, cpu clock throttled (total events = 1)", "thermal", "CPU2"),
        ("CPU0: Package temperature/speed above threshold", "thermal", "CPU0"),
        ("Under-voltage detected! (0x00050005)", "undervoltage", "Under-voltage"),
        ("hwmon hwmon1: Undervoltage detected!", "undervoltage", "Undervoltage"),
        ("BUG: unable to handle page fault for address: 0", "oops", "BUG: unable to handle"),
    ],
)
def test_what_the_kernel_says(message: str, what: str, about: str) -> None:
    assert event(Record(3, True, 1, 2.5, message)) == Event(what, 2.5, about)
    assert event(Record(3, False, 1, 2.5, message)) is None  # a process said it


@pytest.mark.parametrize(
    "message",
    [
        "CPU2: Core temperature/speed normal",
        "EXT4-fs (sda1): mounted filesystem with ordered data mode",
        "oom_reaper: reaped process 4242 (python3)",
        "hung_task: blocked tasks",
        "Voltage normalised (0x00000000)",
    ],
)
def test_what_is_no_problem(message: str) -> None:
    assert event(Record(6, True, 1, 2.5, message)) is None
