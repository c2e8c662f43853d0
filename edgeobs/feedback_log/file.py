"""The log of operators' words in a core's data directory: one JSON object a line, only ever added to."""

import errno
import os
from pathlib import Path

from edgeobs.durable import sync_folder
from edgeobs.feedback_log.words import Word, encode

NAME = "feedback.jsonl"
MOST_BYTES = 1 << 20
"""Of the file; some 6000 words."""


def read(path: Path) -> bytes:
    """The file; empty when there is none. Raises OSError, also when it is too large."""
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return b""
    _check_size(path, len(body))
    return body


def append(path: Path, word: Word) -> None:
    """Add a word, durably, whoever else does at the same time. Raises OSError, ValueError as `encode`."""
    line = encode(word)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line  # whoever wrote last was cut short: that line is lost, this one is not
        _check_size(path, size + len(line))
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, "written in part", str(path))
        os.fsync(file)
    finally:
        os.close(file)
    sync_folder(path.parent)  # the file may be new


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES} bytes: take old lines out", str(path))
