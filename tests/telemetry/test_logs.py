"""Whoever logs, one line comes out, and machines can read it."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from edgeobs.telemetry import logging_setup


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, servers = logging.getLogger(), logging.getLogger("uvicorn.error")
    handlers, level = list(root.handlers), root.level
    servers.setLevel(logging.CRITICAL)  # as a server that was started before may have left it
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_structlog_and_the_standard_library_write_the_same_json() -> None:
    out = io.StringIO()
    logging_setup("info", "json", out)
    structlog.get_logger("edgeobs.engine").warning("store failed", path="/x", tries=2)
    logging.getLogger("uvicorn.error").warning("port %d is busy", 4318)
    ours, theirs = lines(out)
    assert ours["event"] == "store failed"
    assert (ours["path"], ours["tries"], ours["level"], ours["logger"]) == (
        "/x",
        2,
        "warning",
        "edgeobs.engine",
    )
    assert (theirs["event"], theirs["level"], theirs["logger"]) == (
        "port 4318 is busy",
        "warning",
        "uvicorn.error",
    )
    assert ours["timestamp"].endswith("Z")


def test_a_line_break_or_exception_stays_within_one_json_line() -> None:
    out = io.StringIO()
    logging_setup("info", "json", out)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger("edgeobs").exception("it\nbroke", what=object())
    (line,) = lines(out)
    assert line["event"] == "it\nbroke"
    assert "ValueError: first\nsecond" in line["exception"]


def test_chatty_libraries_speak_at_debug_only() -> None:
    out = io.StringIO()
    logging_setup("info", "json", out)
    logging.getLogger("httpx").info("GET …")
    logging.getLogger("edgeobs").debug("detail")
    assert out.getvalue() == ""
    logging_setup("debug", "json", out)
    logging.getLogger("httpx").info("GET …")
    assert [line["event"] for line in lines(out)] == ["GET …"]


def test_a_second_setup_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    logging_setup("info", "json", first)
    logging_setup("info", "console", second)
    structlog.get_logger("edgeobs").info("hello", node="edge-17")
    assert first.getvalue() == ""
    assert "hello" in second.getvalue()
    assert "edge-17" in second.getvalue()
    assert "\x1b" not in second.getvalue()  # not a terminal: no colours


def test_importing_changes_nothing() -> None:
    probe = (
        "import logging, threading; import edgeobs.telemetry; "
        "print(len(logging.getLogger().handlers), threading.active_count(), "
        "'opentelemetry.sdk' in __import__('sys').modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "False"]
