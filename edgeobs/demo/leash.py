"""Runs a program that ends when its parent does, however that ends: ``leash.py PROGRAM ARGUMENT…``.

Linux sends SIGKILL when the thread that started us is gone (PR_SET_PDEATHSIG of prctl(2)), and keeps to that
over exec. A script of its own, imported by nobody: start it from a thread that lives as long as the parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):  # it went before we were on the leash
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 a leash is what this is: the program takes our place
