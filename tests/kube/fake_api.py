"""A small HTTP server that answers lists and watches as an API server does, and fails as told."""

import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


class FakeApi:
    """Objects by the path of their collection. Faults are taken from ``lists`` and ``watches``, in order.

    A fault of a list is an answer: ``(status, headers, body)``. One of a watch is a function that is given
    the handler after its 200 has been sent, or an answer instead. ``calls`` has everything that was asked.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.version = 10
        self.objects: dict[str, dict[str, Json]] = {}
        self.events: dict[str, list[tuple[int, str, Json]]] = {}
        self.oldest = 0
        self.lists: deque[Any] = deque()
        self.watches: deque[Any] = deque()
        self.answers: deque[Any] = deque()  # of everything else
        self.calls: list[tuple[str, str, dict[str, str], Any, dict[str, str]]] = []
        self.closing = False
        self.bookmarks = True
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                owner.get(self)

            def do_POST(self) -> None:
                owner.other(self)

            do_PATCH = do_PUT = do_DELETE = do_POST  # noqa: N815

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.closing = True
        with self.lock:
            self.lock.notify_all()
        self.http.shutdown()
        self.http.server_close()

    def put(self, path: str, name: str, **more: Any) -> Json:
        """Add or change an object."""
        with self.lock:
            self.version += 1
            held = self.objects.setdefault(path, {})
            event = "MODIFIED" if name in held else "ADDED"
            meta = {"name": name, "uid": f"u-{name}", "resourceVersion": str(self.version)}
            held[name] = {"metadata": meta | more.pop("metadata", {}), **more}
            self.events.setdefault(path, []).append((self.version, event, held[name]))
            self.lock.notify_all()
            return held[name]

    def delete(self, path: str, name: str) -> None:
        with self.lock:
            self.version += 1
            gone = self.objects[path].pop(name)
            gone = gone | {"metadata": gone["metadata"] | {"resourceVersion": str(self.version)}}
            self.events.setdefault(path, []).append((self.version, "DELETED", gone))
            self.lock.notify_all()

    def forget(self) -> None:
        """Compact: watches from before now are answered 410."""
        with self.lock:
            self.oldest = self.version
            self.events.clear()

    def asked(self, method: str = "GET", **params: str) -> list[tuple[str, dict[str, str]]]:
        """Path and parameters of the requests of a method that had these parameters."""
        return [(path, given) for m, path, given, *_ in self.calls if m == method and given | params == given]

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        params = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.calls.append(("GET", url.path, params, None, dict(handler.headers)))
        if "watch" in params:
            self._watch(handler, url.path, params)
        elif "limit" in params:
            self._list(handler, url.path, params)
        else:
            self._respond(handler, *(self.answers.popleft() if self.answers else status(404, "NotFound")))

    def other(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        params = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        found = json.loads(body) if body else None
        self.calls.append((handler.command, url.path, params, found, dict(handler.headers)))
        answer = (
            self.answers.popleft() if self.answers else (200, {}, {"metadata": {"resourceVersion": "99"}})
        )
        if callable(answer):
            answer(handler)
        else:
            self._respond(handler, *answer)

    def _respond(self, handler: BaseHTTPRequestHandler, code: int, headers: Json, body: Any) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(code)
        for key, value in ({"Content-Length": len(sent)} | headers).items():
            handler.send_header(key, str(value))
        handler.end_headers()
        handler.wfile.write(sent)

    def _list(self, handler: BaseHTTPRequestHandler, path: str, params: dict[str, str]) -> None:
        if self.lists and (fault := self.lists.popleft()) is not None:
            self._respond(handler, *fault)
            return
        with self.lock:
            at, limit = int(params.get("continue") or 0), int(params["limit"])
            items = list(self.objects.get(path, {}).values())
            meta = {"resourceVersion": str(self.version)}
            if at + limit < len(items):
                meta["continue"] = str(at + limit)
        self._respond(handler, 200, {}, {"metadata": meta, "items": items[at : at + limit]})

    def _watch(self, handler: BaseHTTPRequestHandler, path: str, params: dict[str, str]) -> None:
        fault: Any = self.watches.popleft() if self.watches else None
        if isinstance(fault, tuple):
            self._respond(handler, *fault)
            return
        since = int(params["resourceVersion"])
        if since < self.oldest:
            self._respond(handler, *status(410, "Expired"))
            return
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            if fault is not None:
                fault(handler)
            else:
                self._stream(handler, path, since, time.monotonic() + float(params["timeoutSeconds"]))
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True

    def _stream(self, handler: BaseHTTPRequestHandler, path: str, since: int, until: float) -> None:
        marked = not self.bookmarks
        while not self.closing and time.monotonic() < until:
            with self.lock:
                version = self.version
                new = [each for each in self.events.get(path, ()) if each[0] > since]
                if not new:
                    self.lock.wait(0.05)
            for _, kind, found in new:
                send(handler, {"type": kind, "object": found})
            since = new[-1][0] if new else since
            if not new and not marked:
                marked = True
                bookmark = {"metadata": {"resourceVersion": str(version)}}
                send(handler, {"type": "BOOKMARK", "object": bookmark})
                since = max(since, version)


def send(handler: BaseHTTPRequestHandler, event: Json | bytes) -> None:
    """An event as a chunk."""
    line = event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n"
    handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
    handler.wfile.flush()


def status(code: int, reason: str, message: str = "", **details: Any) -> tuple[int, Json, Json]:
    """A refusal."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return code, {}, body
