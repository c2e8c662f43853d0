"""Freed memory stays, where the C library can be told so."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from edgeobs.ingest.allocator import keep_freed
if sys.argv[1] == "keep" and not keep_freed():
    sys.exit(3)
for _ in range(3):
    bytearray(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    held = [bytearray(1 << 20), bytearray(3 << 20)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

GIVING = """
import sys
from edgeobs.ingest.allocator import give_back, keep_freed
if not keep_freed():
    sys.exit(3)
def resident():
    return int(open("/proc/self/statm").read().split()[1])
held = [bytearray(1 << 20) for _ in range(50)]
full = resident()
held.clear()
kept = resident()
give_back()
print(full - kept, kept - resident())
"""


def faults(what: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, what], capture_output=True, text=True, check=False, timeout=60
    )
    if run.returncode == 3:
        pytest.skip("needs glibc: other C libraries have no mallopt")
    assert not run.stderr
    return int(run.stdout)


def test_memory_is_not_faulted_in_again_and_again() -> None:
    assert faults("keep") < faults("default") / 2


def test_what_is_kept_is_given_back_on_request() -> None:
    run = subprocess.run(
        [sys.executable, "-c", GIVING], capture_output=True, text=True, check=False, timeout=60
    )
    if run.returncode == 3:
        pytest.skip("needs glibc: other C libraries have no mallopt")
    assert not run.stderr
    before, after = map(int, run.stdout.split())
    assert before < 1000 < after  # pages
