"""A core as a child process, and what it costs: the same command an operator runs."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

START_S = 60.0


@dataclass(frozen=True, slots=True)
class Core:
    """A running core."""

    pid: int
    http_port: int
    web_port: int

    def cpu_s(self) -> float:
        """User and system time the process has used so far, seconds."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    def rss_mib(self) -> float:
        """Resident memory, MiB."""
        return psutil.Process(self.pid).memory_info().rss / 2**20

    def get(self, path: str) -> Any:
        """JSON of an API path."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
            return json.load(answer)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples on /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )


@contextmanager
def core(config: dict[str, Any] | None = None, folder: Path | None = None) -> Iterator[Core]:
    """A core with free ports; without a folder of its own, in one that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgeobs-bench-") as temporary:
        home = folder or Path(temporary)
        http, web = free_port(), free_port()
        settings: dict[str, Any] = {
            "server": {"http_port": http, "grpc_port": None},
            "web": {"port": web},
            "engine": {"data_dir": f"{home}/data"},
            "telemetry": {"log_level": "warning"},
        }
        for section, values in (config or {}).items():
            settings.setdefault(section, {}).update(values)
        file = home / "edgeobs.yaml"
        file.write_text(yaml.safe_dump(settings))
        child = subprocess.Popen([sys.executable, "-m", "edgeobs", "serve", "-c", str(file)])
        try:
            _wait_ready(child, web)
            yield Core(child.pid, http, web)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port() -> int:
    """A TCP port on loopback that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Connection:
    """A keep-alive HTTP/1.1 connection that costs its sender next to nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def post(self, path: str, body: bytes | memoryview, headers: str = "") -> int:
        """Send a body, read the whole answer, return its status."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self._socket.sendall(head.encode())
        self._socket.sendall(body)
        return self._answer()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _answer(self) -> int:
        data = self._rest
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, rest = data.partition(b"\r\n\r\n")
        length = next(
            (int(h.split(b":")[1]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")),
            0,
        )
        while len(rest) < length:
            rest += self._more()
        self._rest = rest[length:]
        return int(head.split(b" ", 2)[1])

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the core hung up")
        return data


def _wait_ready(child: "subprocess.Popen[bytes]", web: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"the core ended with {child.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"the core was not ready within {START_S:g} s")


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
