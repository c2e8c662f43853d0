"""What was really done to a real cluster: read from its API, not from the core's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from httpx import Client

from edgeobs.calls import Unreachable
from edgeobs.demo.faults import Fault
from edgeobs.kube.connection import client
from edgeobs.kube.credentials import load
from edgeobs.kube.live import Live
from edgeobs.kube.settings import KubernetesSettings

_OURS = "edgeobs.io/"
_TIMEOUT_S = 5.0


@dataclass(slots=True)
class Touched:
    """A node on which something of ours was seen. Unix seconds; 0: not seen."""

    node: str
    pods_before: int  # that are moved: of a controller, not of a daemon's
    pods: int = 0  # as last seen
    cordoned_s: float = 0.0
    tainted_s: float = 0.0
    undone_s: float = 0.0
    reason: str = ""  # as it stands on the node

    @property
    def standing(self) -> bool:
        """Whether it is marked still."""
        return not self.undone_s


@dataclass(slots=True)
class Witness:
    """Looks at the cluster of a kubeconfig. Raises CredentialsError."""

    kubeconfig: Path
    touched: dict[str, Touched] = field(default_factory=dict)
    trouble: str = ""  # why the last look saw nothing
    _before: dict[str, int] = field(default_factory=dict)
    _live: Live = field(init=False)
    _http: Client = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is asked yet."""
        credentials = load(KubernetesSettings(kubeconfig=self.kubeconfig))
        self._http = client(credentials, _TIMEOUT_S)
        self._live = Live(self._http, _TIMEOUT_S)

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def look(self, now_s: float) -> list[tuple[str, str]]:
        """Look at all nodes and pods; what is new, as (word, text)."""
        try:
            nodes, pods = self._items("/api/v1/nodes"), self._items("/api/v1/pods")
        except Unreachable as error:
            self.trouble = str(error)
            return []
        self.trouble = ""
        numbers = _counted(pods)
        news = [line for node in nodes for line in self._see(node, numbers, now_s)]
        for node in nodes:
            name = node["metadata"]["name"]
            if name not in self.touched:
                self._before[name] = numbers.get(name, 0)
        return news

    def problems(self, faults: Sequence[Fault]) -> list[str]:
        """What should have been done and was not, or was done and should not have been; once all is over."""
        found = [self.trouble] if self.trouble else []
        disks = {fault.target for fault in faults if fault.kind == "disk"}
        mine = disks | {fault.target for fault in faults if fault.kind in {"burn", "cut"}}
        for name in sorted(disks):
            found += _of_disk(name, self.touched.get(name))
        found += [
            f"{name} was marked, and nothing was wrong with it" for name in sorted(self.touched.keys() - mine)
        ]
        found += [
            f"{each.node} is marked still"
            for each in self.touched.values()
            if each.standing and each.node in disks
        ]
        return found

    def settled(self, faults: Iterable[Fault]) -> bool:
        """Whether all that was to be done to nodes with a failing disk was done, and taken back."""
        disks = [fault.target for fault in faults if fault.kind == "disk"]
        return all(name in self.touched and not self.touched[name].standing for name in disks)

    def _items(self, path: str) -> list[dict[str, Any]]:
        return list((self._live.read(path) or {}).get("items") or ())

    def _see(self, node: dict[str, Any], numbers: dict[str, int], now_s: float) -> list[tuple[str, str]]:
        name, spec = node["metadata"]["name"], node.get("spec") or {}
        ours = [taint for taint in spec.get("taints") or () if taint["key"].startswith(_OURS)]
        here = numbers.get(name, 0)
        known = self.touched.get(name)
        if known is None:
            if not ours:
                return []
            known = self.touched[name] = Touched(name, self._before.get(name, here))
            known.reason = (node["metadata"].get("annotations") or {}).get(f"{_OURS}reason", "")
        said, before = [], known.pods
        if ours and spec.get("unschedulable") and not known.cordoned_s:
            known.cordoned_s = now_s
            said.append(
                ("cordoned", f"{name}, says the cluster: {ours[0]['key']}={ours[0].get('value', '')}")
            )
        elif ours and not known.tainted_s and not known.cordoned_s:
            known.tainted_s = now_s
            said.append(("tainted", f"{name}, says the cluster: {ours[0]['key']}"))
        if not ours and not known.undone_s and not spec.get("unschedulable"):
            known.undone_s = now_s
            said.append(("undone", f"{name} is as it was, says the cluster"))
        known.pods = here if not known.undone_s else known.pods
        if known.cordoned_s and known.pods == 0 and before and not known.undone_s:
            said.append(("moved", f"{known.pods_before} pods have left {name}, says the cluster"))
        return said


def _of_disk(name: str, seen: Touched | None) -> list[str]:
    if seen is None or not seen.cordoned_s:
        return [f"{name} was not cordoned, says the cluster"]
    return [f"{seen.pods} pods are still on {name}, says the cluster"] if seen.pods else []


def _counted(pods: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Node → pods that a controller would start again, and that are not on their way."""
    found: dict[str, int] = {}
    for pod in pods:
        meta, name = pod["metadata"], pod["spec"].get("nodeName", "")
        owners = {owner["kind"] for owner in meta.get("ownerReferences") or ()}
        if name and "deletionTimestamp" not in meta and owners and "DaemonSet" not in owners:
            found[name] = found.get(name, 0) + 1
    return found
