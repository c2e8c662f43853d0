"""Stands in for an agent: ``stub_agent.py -c FILE``. It raises an incident once its core is not reached."""

import http.client
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import yaml

CONFIG = yaml.safe_load(Path(sys.argv[2]).read_text())
CORE = urlsplit(CONFIG["agent"]["uplink"]["url"])
WAITING = set[str]()


def tell(path: str) -> bool:
    """Whether the core has taken a parcel."""
    connection = http.client.HTTPConnection(str(CORE.hostname), CORE.port, timeout=1)
    try:
        connection.request("POST", CORE.path + path, b"parcel")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def run() -> None:
    raised = False
    while True:
        time.sleep(0.1)
        if not tell("/v1/metrics") and not raised:
            raised = True
            WAITING.add("incident")
        elif WAITING and tell("/v1/logs"):
            WAITING.clear()


class Agent(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(b"")

    def do_GET(self) -> None:
        counters = (
            f'edgeobs_uplink_waiting{{kind="incident"}} {len(WAITING)}\nedgeobs_uplink_sent_bytes_total 5\n'
        )
        self._say(counters.encode())

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    threading.Thread(target=run, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", CONFIG["server"]["http_port"]), Agent).serve_forever()
