"""Real programs on loopback: started with free ports, ready when they say so, ended with the test."""

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families as families

from edgeobs.demo.children import Children
from tests.real.api import wait

START_S = 90.0
STARTS = 3
"""A port that was free can be taken before it is used."""
_TAKEN = "address already in use"


class ProgramError(Exception):
    """It did not come up; with the end of what it said."""


Command = Callable[[Mapping[str, int]], Sequence[str]]
"""From its ports by name, all on 127.0.0.1, to the program and its arguments."""


@dataclass
class Program:
    """One that can be started, asked to end, killed and started again, on the same ports.

    Parameters
    ----------
    children
        Who keeps it, from the main thread.
    name
        Of its log file, too.
    command
        What to run.
    listens
        Names of the ports that it needs.
    ready
        Name of the port, and path there, that answer 2xx once it is ready.
    env
        Its whole environment beside PATH, asked for at each start.

    """

    children: Children
    name: str
    command: Command
    listens: Sequence[str]
    ready: tuple[str, str]
    env: Callable[[], Mapping[str, str]] = dict
    ports: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Until it is ready; a port that was taken meanwhile is chosen anew, if nobody knows it yet."""
        known = bool(self.ports)
        for attempt in range(1, STARTS + 1):
            if not known:
                self._choose()
            self._run()
            try:
                wait(f"{self.name} is ready", self._answers, START_S)
                return
            except (ProgramError, TimeoutError) as error:
                self.kill()
                said = self.said()
                if known or attempt == STARTS or _TAKEN not in said:
                    raise ProgramError(f"{error}\n{said}") from error

    def stop(self) -> None:
        """As an operator would; what it does on the way out is awaited."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Of the process itself: all that starts it becomes it."""
        return self.children.running[self.name].pid

    def address(self, port: str) -> str:
        """Of one of its ports, which from now on it keeps."""
        if not self.ports:
            self._choose()
        return f"127.0.0.1:{self.ports[port]}"

    def url(self, port: str, path: str = "") -> str:
        """The same with a path there."""
        return f"http://{self.address(port)}{path}"

    def said(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.children.last_lines(self.name, 30))

    def metric(self, port: str, name: str, **labels: str) -> float:
        """The sum of samples of this name (and labels) at /metrics of a port; 0 while there are none."""
        answer = httpx.get(self.url(port, "/metrics"), timeout=10, trust_env=False)
        answer.raise_for_status()
        return sum(
            sample.value
            for family in families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def _choose(self) -> None:
        self.ports = {name: free_port() for name in self.listens}

    def _run(self) -> None:
        own = [f"{key}={value}" for key, value in {"PATH": os.environ["PATH"], **self.env()}.items()]
        self.children.start(self.name, ["/usr/bin/env", "-i", *own, *self.command(self.ports)])

    def _answers(self) -> bool:
        if (code := self.children.ended(self.name)) is not None:
            raise ProgramError(f"{self.name} ended with {code}")
        try:
            return httpx.get(self.url(*self.ready), timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _end(self, how: signal.Signals) -> None:
        child = self.children.running[self.name]
        if child.poll() is None:
            child.send_signal(how)
        child.wait(30)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def written(path: Path, text: str) -> Path:
    """A file of this text, readable by us alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(text)
    return path
