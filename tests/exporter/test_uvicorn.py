"""A service of two uvicorn workers: one page for both, also when one is killed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.waiting import wait

APP = """
import os
from fastapi import FastAPI
from edgeobs.exporter import Exporter

exporter = Exporter("shop", process=False)
app = FastAPI()
app.add_middleware(exporter.asgi)

@app.get("/pid/{number}")
def pid(number: int) -> int:
    return os.getpid()
"""
COUNT = (
    'http_server_request_duration_seconds_count{error_type="",http_request_method="GET",'
    'http_response_status_code="200",http_route="/pid/{number}"}'
)


def test_two_workers_are_one_service(tmp_path: Path) -> None:
    (tmp_path / "shop_app.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "uvicorn", "shop_app:app", "--workers", "2", "--log-level", "warning",
            "--port", url.rpartition(":")[2],
        ],
        cwd=tmp_path, env={**os.environ, "EDGEOBS_EXPORTER_SHARE": str(tmp_path / "share")},
    )  # fmt: skip
    asked, pids = 0, set[int]()

    def ask() -> int:
        nonlocal asked
        found: int = httpx.get(f"{url}/pid/{asked}").json()
        asked += 1
        return found

    def both() -> bool:
        pids.add(ask())
        return len(pids) == 2

    def told() -> bool:
        return f"{COUNT} {float(asked)}" in httpx.get(f"{url}/metrics").text.splitlines()

    try:
        wait(ask, "nobody answers")
        wait(both, "only one worker ever answers")
        wait(told, "the sum is not told")
        os.kill(pids.pop(), signal.SIGKILL)
        for _ in range(5):
            wait(ask, "nobody answers")
        wait(told, "the sum is not told once one is gone")
    finally:
        process.terminate()
        process.wait(60)
