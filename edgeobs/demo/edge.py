"""A node of the site with an agent of its own, behind a link that is cut and mended; what became of it."""

import gzip
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.demo.children import Children
from edgeobs.demo.faults import Fault
from edgeobs.demo.relay import Relay
from edgeobs.demo.setting import LOOPBACK, a_free_port
from edgeobs.demo.site import CLUSTER, zone_of

AGENT = (sys.executable, "-m", "edgeobs", "agent")
_SUMMARY_S = 5.0
_KIND = "incident"
_SENT = "edgeobs_uplink_sent_bytes_total"

Counters = Mapping[tuple[str, str], float]
"""(metric, its label ``kind``) → value."""


class Seen(NamedTuple):
    """What is known of the node at one moment, by its agent's counters and the core's."""

    cut: bool
    waiting: float = 0.0  # incidents that are queued at the agent
    taken: float = 0.0  # incidents that the core has of agents
    sent_bytes: float = 0.0  # compressed, from the agent to the core


class Story(NamedTuple):
    """What became of what happened while the node was cut off."""

    raised: int = 0  # incidents that waited when the link came back
    delivered: int = 0
    taken_before: float = 0.0
    kept_percent: float = 0.0  # of the bytes that its workloads sent to the agent

    @property
    def problems(self) -> list[str]:
        """What was not right, once all is over."""
        if not self.raised:
            return ["no incident was raised while the link was cut"]
        if self.delivered < self.raised:
            return [f"{self.raised - self.delivered} incidents raised offline were not delivered after"]
        return []

    def text(self, node: str) -> str:
        """For people."""
        kept = f"{self.kept_percent:.1f} % of the bytes of its workloads kept at the edge"
        return f"{node}: {self.raised} incidents raised offline, {self.delivered} delivered after; {kept}"


def told(story: Story, seen: Seen, given_bytes: float) -> Story:
    """The story with one more look. Pure."""
    kept = 100.0 * (1.0 - seen.sent_bytes / given_bytes) if given_bytes else 0.0
    if seen.cut:
        return story._replace(raised=int(seen.waiting), taken_before=seen.taken, kept_percent=kept)
    delivered = min(int(seen.taken - story.taken_before), story.raised)
    return story._replace(delivered=delivered, kept_percent=kept)


class Edge:
    """The agent's process, its link, and what its counters say.

    Parameters
    ----------
    folder
        For its configuration and its data.
    node
        Which node of the site it is on.
    core_port, page
        Where the core takes OTLP/HTTP; its page.
    command
        The agent's program, that is started with ``-c FILE``.

    """

    def __init__(self, folder: Path, node: str, core_port: int, page: str, command: Sequence[str]) -> None:
        self._command = command
        self.node, self.url = node, f"http://{LOOPBACK}:{a_free_port()}"
        self.story = Story()
        self._relay = Relay(LOOPBACK, core_port)
        self._core, self._cut = f"{page}metrics", False
        self._file = folder / "agent.yaml"
        self._file.write_text(yaml.safe_dump(self._config(folder)), encoding="utf-8")
        self._http = httpx.Client(timeout=2.0, trust_env=False)
        self._lock, self._given = threading.Lock(), 0

    def start(self, children: Children) -> None:
        """Begin."""
        children.start("agent", [*self._command, "-c", str(self._file)])

    def give(self, body: bytes) -> None:
        """Count a request that its workloads send; from any thread."""
        size = len(gzip.compress(body, 1))
        with self._lock:
            self._given += size

    def look(self, faults: Sequence[Fault], now_s: float) -> list[tuple[str, str]]:
        """Cut or mend as the faults say; what is new, as (word, text)."""
        cut = any(f.kind == "cut" and f.target == self.node and f.on(now_s) for f in faults)
        news = []
        if cut and not self._cut:
            self._relay.cut()
        elif self._cut and not cut:
            news.append(("mended", f"the link of {self.node}: {self.story.raised} incidents wait there"))
            self._relay.mend()
        self._cut = cut
        before = self.story.delivered
        self._tell()
        if self.story.delivered > before:
            news.append(
                ("delivered", f"{self.story.delivered} of {self.story.raised} incidents of {self.node}")
            )
        return news

    def settled(self) -> bool:
        """Whether all is as it should be."""
        return not (self._cut or self.story.problems)

    def close(self) -> None:
        """The link, and what is open; the process is another's to end."""
        self._relay.close()
        self._http.close()

    def _tell(self) -> None:
        try:
            agent, core = self._counters(f"{self.url}/metrics"), self._counters(self._core)
        except (httpx.HTTPError, ValueError):
            return  # next time
        seen = Seen(
            self._cut,
            agent.get(("edgeobs_uplink_waiting", _KIND), 0.0),
            core.get(("edgeobs_uplink_taken_total", _KIND), 0.0),
            agent.get((_SENT, ""), 0.0),
        )
        with self._lock:
            self.story = told(self.story, seen, self._given)

    def _counters(self, url: str) -> Counters:
        text = self._http.get(url).raise_for_status().text
        return {
            (sample.name, sample.labels.get("kind", "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("edgeobs_uplink_")
        }

    def _config(self, folder: Path) -> dict[str, object]:
        """Soon to tell and to try again, so that it can be watched."""
        port = int(self.url.rsplit(":", 1)[1])
        uplink = {
            "url": f"http://{LOOPBACK}:{self._relay.port}/api/v1/uplink",
            "spread_s": 1.0,
            "longest_pause_s": 2.0,
        }
        return {
            "detect": {"compiled": False},
            "engine": {"data_dir": str(folder / "agent")},
            "server": {"host": LOOPBACK, "http_port": port},
            "logs": {"interval_s": 1.0, "grace_s": 1.0},
            "traces": {"interval_s": 1.0, "wait_s": 2.0},
            "agent": {
                "node": self.node, "zone": zone_of(self.node), "cluster": CLUSTER, "read_node": False,
                "summary_s": _SUMMARY_S, "uplink": uplink,
            },
        }  # fmt: skip
