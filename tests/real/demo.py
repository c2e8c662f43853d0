"""The demo against a real control plane, actions switched on: ``python -m tests.real.demo [--once]``.

Nodes of KWOK's with the names of the simulated ones, and one for this machine; Deployments that opted in;
and the account that is shipped. What was told on the node whose disk fails stands at the end.
"""

import signal
import socket
import subprocess
import sys

from edgeobs.demo.faults import Plan
from edgeobs.demo.site import CLUSTER, zone_of
from edgeobs.demo.workloads import LAYOUT
from tests.real.api import wait
from tests.real.control_plane import ControlPlane, Timing
from tests.real.nodes import Nodes
from tests.real.parts import MissingPartsError, find
from tests.real.product import OPTED_IN, RBAC, deployment, running

SHIPPED = Timing(calls=200)
APPS = ("video", "checkout", "sensors")


def main(arguments: list[str]) -> int:
    """The demo's exit code; 2 when there is nothing to run with."""
    try:
        parts = find()
    except MissingPartsError as missing:
        print(f"{missing}\nmake real-parts builds them", file=sys.stderr)
        return 2
    print("starting etcd, API server, controller manager, scheduler and KWOK", flush=True)
    with ControlPlane(timing=SHIPPED, parts=parts) as plane:
        _prepare(plane)
        account = plane.account(RBAC)
        print(
            f"kubectl for you: {parts.programs['kubectl']} --kubeconfig {plane.kubeconfig('harness')}",
            flush=True,
        )
        command = [
            sys.executable,
            "-m",
            "edgeobs",
            "demo",
            "--kubeconfig",
            str(account.kubeconfig),
            *arguments,
        ]
        code = _run(command)
        print(_told(plane, Plan().disk_node))
        return code


def _prepare(plane: ControlPlane) -> None:
    nodes = Nodes(plane.api)
    zones = {f"edge-{number:02d}": "" for number in range(1, len(LAYOUT) + 1)}
    zones = {name: zone_of(name) for name in zones} | {socket.gethostname(): "here"}
    for name, zone in zones.items():
        nodes.add(name, zone, OPTED_IN)
    nodes.wait_ready(list(zones), 90)
    for app in APPS:
        plane.api.apply(deployment(app, "default", len(zones)))
    for app in APPS:
        wait(f"{app} runs", lambda app=app: len(running(plane.api, "default", app)) == len(zones), 90)  # type: ignore[misc]
    print(f"cluster {CLUSTER}: {len(zones)} nodes, {len(APPS)} Deployments with a pod on each", flush=True)


def _run(command: list[str]) -> int:
    """Until it ends; Ctrl-C is its matter."""
    child = subprocess.Popen(command)
    before = {
        number: signal.signal(number, lambda *_: child.send_signal(signal.SIGINT)) for number in _ENDING
    }
    try:
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(plane: ControlPlane, name: str) -> str:
    """What `kubectl describe node` tells of us."""
    said = plane.kubectl("describe", "node", name)
    lines = said.splitlines()
    ours = [line for line in lines if "edgeobs" in line.lower()]
    return f"\n$ kubectl describe node {name} | grep -i edgeobs\n" + "\n".join(line[:400] for line in ours)


_ENDING = (signal.SIGINT, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
