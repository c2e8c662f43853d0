"""The mirror of a large cluster, in a process of its own: what it weighs, what it costs to read and to keep.

``python -m benchmarks.kube_memory URL PODS SECONDS`` is that process; the API server is this one, and plays
objects as Kubernetes writes them, managed fields and all.
"""

import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.measure import Measure

NODES, PODS, SECONDS = 5000, 100_000, 120
QUICK = 1000, 20_000, 15
REPLICAS = 20
RENEWED_S = 10  # how often a kubelet renews its Lease
Json = dict[str, Any]


def run(quick: bool) -> list[Measure]:
    """Start both processes and ask the one for its figures."""
    nodes, pods, seconds = QUICK if quick else (NODES, PODS, SECONDS)
    server = Played(nodes, pods)
    command = [sys.executable, "-m", "benchmarks.kube_memory", server.url, str(pods), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1200)
    server.close()
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    what = f"{nodes} nodes, {pods} pods"
    return [
        Measure("kube_rss_mib", found["rss"], "MiB", f"{what}; without them {found['empty']:.0f}"),
        Measure("kube_peak_mib", found["peak"], "MiB", "while all pods, changed, were listed anew"),
        Measure("kube_first_list_s", found["list"], "s", f"{found['list_cpu']:.1f} s of processor time"),
        Measure("kube_inventory_ms", found["inventory"], "ms", "after a pod has changed"),
        Measure(
            "kube_watch_core_percent", found["core"], "%", f"{nodes / RENEWED_S:.0f} Lease renewals a second"
        ),
        Measure("kube_calls_per_hour", found["calls"], "1/h", "at rest, elections aside"),
    ]


class Played:
    """An API server with so many nodes and pods, whose Leases are renewed."""

    def __init__(self, nodes: int, pods: int) -> None:
        self.nodes, self.pods, self.version, self.relist = nodes, pods, 1000, False
        self.requests = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                owner.requests += 1
                owner.answer(self)

            def do_POST(self) -> None:
                owner.command(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self.http.shutdown()
        self.http.server_close()

    def command(self, handler: BaseHTTPRequestHandler) -> None:
        """Of the process that is measured: how many requests so far; and from now on all pods are others."""
        if handler.path == "/relist":
            self.version, self.relist = self.version + 1, True
        _reply(handler, 200, {"requests": self.requests})

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """A page or a watch."""
        url = urlsplit(handler.path)
        params = {key: values[0] for key, values in parse_qs(url.query).items()}
        plural = url.path.rsplit("/", 1)[1]
        if "watch" in params:
            if plural == "pods" and int(params["resourceVersion"]) < self.version:
                _reply(handler, 410, {"kind": "Status", "code": 410, "reason": "Expired"})
                return
            self._watch(handler, plural, float(params["timeoutSeconds"]))
            return
        total = {"nodes": self.nodes, "leases": self.nodes, "pods": self.pods, "replicasets": 0}.get(
            plural, 0
        )
        first = int(params.get("continue") or 0)
        last = min(first + int(params["limit"]), total)
        meta = {"resourceVersion": str(self.version)} | ({"continue": str(last)} if last < total else {})
        make = {"nodes": node, "leases": lease, "pods": pod}.get(plural, lease)
        items = [make(number, self.version) for number in range(first, last)]
        _reply(handler, 200, {"metadata": meta, "items": items})

    def _watch(self, handler: BaseHTTPRequestHandler, plural: str, seconds: float) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        until, number, begun = time.monotonic() + seconds, 0, time.monotonic()
        marked = False
        try:
            while (now := time.monotonic()) < until:
                while plural == "leases" and number < (now - begun) * self.nodes / RENEWED_S:
                    number += 1
                    _send(
                        handler,
                        {"type": "MODIFIED", "object": lease(number % self.nodes, 10**9 + int(now * 1e3))},
                    )
                if not marked and now > until - 2:
                    marked = True
                    version = {"resourceVersion": str(10**12 if plural == "leases" else self.version)}
                    _send(handler, {"type": "BOOKMARK", "object": {"metadata": version}})
                if plural == "pods" and self.relist:
                    self.relist = False
                    break
                time.sleep(0.002 if plural == "leases" else 0.2)
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True


def _reply(handler: BaseHTTPRequestHandler, code: int, body: Json) -> None:
    sent = json.dumps(body, separators=(",", ":")).encode()
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(sent)))
    handler.end_headers()
    handler.wfile.write(sent)


def _send(handler: BaseHTTPRequestHandler, event: Json) -> None:
    line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
    handler.wfile.flush()


def _meta(name: str, namespace: str, version: int, **more: Any) -> Json:
    fields: Json = {
        f"f:{part}{number}": {"f:value": {}} for part in ("spec", "status") for number in range(12)
    }
    return {
        "name": name,
        **({"namespace": namespace} if namespace else {}),
        "uid": f"{abs(hash(name)):032x}"[:36] + "-uid",
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}] * 2,
        **more,
    }


def node(number: int, version: int) -> Json:
    """As a kubelet registers it."""
    name = f"edge-{number}"
    labels = {
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64",
        "topology.kubernetes.io/zone": f"zone-{number % 50}", "node.kubernetes.io/instance-type": "k3s",
    }  # fmt: skip
    conditions = [
        {
            "type": kind,
            "status": "True" if kind == "Ready" else "False",
            "reason": "KubeletSays",
            "message": "so",
        }
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable", "Ready")
    ]
    room = {"cpu": "8", "memory": "16292Mi", "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "metadata": _meta(name, "", version, labels=labels, annotations={"edgeobs.io/x": "enabled"}),
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {"allocatable": room, "capacity": room, "conditions": conditions,
                   "images": [{"names": [f"registry/image-{n}"], "sizeBytes": n} for n in range(20)]},
    }  # fmt: skip


def lease(number: int, version: int) -> Json:
    """A kubelet's."""
    spec = {"holderIdentity": f"edge-{number}", "leaseDurationSeconds": 40}
    renewed = time.strftime("%Y-%m-%dT%H:%M:%S.123456Z", time.gmtime())
    return {
        "metadata": _meta(f"edge-{number}", "kube-node-lease", version),
        "spec": spec | {"renewTime": renewed},
    }


def pod(number: int, version: int) -> Json:
    """One of twenty of its Deployment."""
    app = f"app-{number // REPLICAS}"
    labels = {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/part-of": "shop",
        "pod-template-hash": "6d4b75cb6d",
    }
    container = {
        "name": "main", "image": f"registry/{app}:1",
        "env": [{"name": f"E{n}", "value": "v"} for n in range(10)],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets"}],
    }  # fmt: skip
    owner = {"kind": "ReplicaSet", "name": f"{app}-6d4b75cb6d", "uid": f"rs-{app}", "controller": True}
    spread = {
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}},
    }  # fmt: skip
    return {
        "metadata": _meta(f"{app}-6d4b75cb6d-{number:05d}", f"team-{number % 40}", version, labels=labels,
                          ownerReferences=[owner]),
        "spec": {"nodeName": f"edge-{number % 1000}", "containers": [container],
                 "topologySpreadConstraints": [spread],
                 "tolerations": [{"key": f"node.kubernetes.io/{k}", "operator": "Exists",
                                  "effect": "NoExecute", "tolerationSeconds": 300}
                                 for k in ("not-ready", "unreachable")],
                 "volumes": [{"name": "token", "projected": {"sources": []}}], "priority": 0},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
                   "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "PodScheduled")],
                   "containerStatuses": [{"name": "main", "ready": True, "imageID": "sha256:" + "0" * 64}]},
    }  # fmt: skip


def measured(url: str, pods: int, seconds: int) -> dict[str, float]:
    """What the process that mirrors it says of itself."""
    import ssl  # noqa: PLC0415  only the process that is measured imports what is measured

    import httpx  # noqa: PLC0415

    from edgeobs.kube.cluster import Cluster  # noqa: PLC0415
    from edgeobs.kube.credentials import Credentials  # noqa: PLC0415
    from edgeobs.kube.settings import KubernetesSettings  # noqa: PLC0415

    credentials = Credentials(url, "default", ssl.create_default_context(), lambda: None, None, "played")
    cluster = Cluster(KubernetesSettings(qps=1000), credentials)
    found = {"empty": _mib("VmRSS")}
    begun = time.monotonic()
    cluster._thread.start()  # without an election: nobody keeps a Lease here
    _until(lambda: cluster.fresh and len(cluster.mirror.inventory(1).pods) == pods)
    found |= {"list": time.monotonic() - begun, "list_cpu": time.process_time()}
    time.sleep(5)
    asked, before, now = _post(httpx, url, "/"), time.process_time(), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - now
    found["core"] = 100 * (time.process_time() - before) / passed
    found["calls"] = (_post(httpx, url, "/") - asked) * 3600 / passed
    found["rss"], found["inventory"] = _mib("VmRSS"), min(_inventory(cluster.mirror) for _ in range(20))
    lists = cluster.mirror.shelves()["Pod"][1]
    _post(httpx, url, "/relist")
    _until(lambda: cluster.mirror.shelves()["Pod"][1] > lists)
    found["peak"] = _mib("VmHWM")
    cluster.stop()
    return found


def _inventory(mirror: Any) -> float:
    """Milliseconds of a snapshot after a pod has changed."""
    mirror._shelves["Pod"].changed = True
    begun = time.perf_counter()
    mirror.inventory(time.time_ns())
    return (time.perf_counter() - begun) * 1e3


def _post(httpx: Any, url: str, path: str) -> int:
    return int(httpx.post(url + path, timeout=60).json()["requests"])


def _mib(line: str) -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split(f"{line}:")[1].split()[0]) / 1024


def _until(holds: Any) -> None:
    until = time.monotonic() + 600
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the mirror was not filled")
        time.sleep(0.1)


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
