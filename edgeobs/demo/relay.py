"""A link that can be cut: TCP on loopback, passed on to a port of this machine."""

import socket
import threading
from collections.abc import Callable
from socketserver import BaseRequestHandler, ThreadingTCPServer

_PIECE = 1 << 16
_CONNECT_S = 2.0


class Relay:
    """Listens on a free port of its own and passes on what comes, both ways, until it is closed.

    Parameters
    ----------
    host, port
        Whom it reaches while it is not cut.

    """

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._cut = threading.Event()
        self._lock, self._open = threading.Lock(), set[socket.socket]()
        self._server = _Server((host, 0), self._pass_on)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End what is open; whoever comes is hung up on."""
        self._cut.set()
        with self._lock:
            for each in self._open:
                _end(each)

    def mend(self) -> None:
        """Pass on again."""
        self._cut.clear()

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _pass_on(self, near: socket.socket) -> None:
        if self._cut.is_set():
            return
        with socket.create_connection(self._to, _CONNECT_S) as far:
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            try:
                if self._cut.is_set():  # just now, before these were among what is ended
                    return
                back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                back.start()
                _pump(near, far)
                back.join()
            finally:
                with self._lock:
                    self._open -= {near, far}


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], pass_on: Callable[[socket.socket], None]) -> None:
        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                pass_on(self.request)

        super().__init__(address, Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up, or cannot be reached, is no trouble of ours."""


def _pump(source: socket.socket, target: socket.socket) -> None:
    """One way, to its end; then the other side is told that no more comes."""
    try:
        while data := source.recv(_PIECE):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        _end(source)
        _end(target)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was over
