"""A Kubernetes control plane on loopback for as long as a ``with`` block.

etcd, API server, controller manager, scheduler, and KWOK in place of kubelets.
"""

import json
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from edgeobs.demo.children import Children
from tests.real.api import Api, Object, documents, wait
from tests.real.parts import Parts, find

START_S = 60.0
STARTS = 3
"""A port that was free can be taken before it is used."""
KUBELET = "edgeobs.test/kubelet"
"""The label of nodes that KWOK plays the kubelet of, while its value is ``running``."""
_READY_AGAIN = Path(__file__).parent / "kwok/pod-ready-again.yaml"
_USERS = {
    "harness": "system:masters",
    "kwok": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
}
_AUDIT: Object = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:masters", "system:serviceaccounts:kube-system"]},
        {"level": "None", "users": [*_USERS, "system:apiserver", "system:anonymous"]},
        {"level": "Metadata"},
    ],
}


class ControlPlaneError(Exception):
    """It did not come up."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How soon Kubernetes itself notices a dead node and gives its pods up, seconds; by default as it ships.

    ``lease_s`` is how long a node's Lease lasts (renewed every quarter of it), ``monitor_s`` how often the
    controller manager looks, ``grace_s`` after how long without a renewal it says NotReady, ``toleration_s``
    how long pods stay bound to a node that is not ready, ``calls`` how many the controller manager allows
    itself a second.
    """

    lease_s: int = 40
    monitor_s: int = 5
    grace_s: int = 50
    toleration_s: int = 300
    calls: int = 20


AS_SHIPPED = Timing()
QUICK = Timing(lease_s=4, monitor_s=1, grace_s=10, calls=200)
"""A dead node is NotReady in about 11 s; its pods are left to whoever is being tested."""


@dataclass(frozen=True, slots=True)
class Account:
    """A ServiceAccount's credentials."""

    name: str  # as the API server calls it: system:serviceaccount:NAMESPACE:NAME
    token: str
    kubeconfig: Path


class ControlPlane:
    """Starts on entry, is ready then, and ends on exit or with the process that started it.

    Enter it from the main thread: what it starts ends with the thread that started it. The listeners are on
    free ports of 127.0.0.1; RBAC is on; requests of anyone but Kubernetes and the harness are audited.

    Parameters
    ----------
    folder
        For its files, which hold secrets; a temporary one by default.
    timing
        How soon Kubernetes acts on its own.
    parts
        The programs; those that are found by default.

    """

    def __init__(
        self, folder: Path | None = None, timing: Timing = AS_SHIPPED, parts: Parts | None = None
    ) -> None:
        self.timing, self.parts = timing, parts or find()
        self._folder = folder
        self._tokens = {user: secrets.token_urlsafe() for user in _USERS}
        self.token = self._tokens["harness"]
        self._exits = ExitStack()
        self.server = ""
        self.folder: Path
        self.certificate: Path
        self.children: Children
        self.api: Api

    def __enter__(self) -> Self:
        with self._exits as exits:
            folder = self._folder or exits.enter_context(tempfile.TemporaryDirectory(prefix="edgeobs-real-"))
            self.folder = Path(folder)
            self.certificate, self.key = self.folder / "server.crt", self.folder / "server.key"
            self.children = Children(self.folder)
            exits.callback(self.children.stop)
            self._write()
            self._start()
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def new_kubelets(self) -> None:
        """End all kubelets, and let others begin; for when no nodes are left.

        KWOK 0.8.0 may stop renewing Leases for good once a node was removed and made anew under its name: an
        entry that is twice in its queue of due renewals stays at the front, and all that is behind it waits.
        """
        with self.children.running.pop("kwok") as before:
            before.kill()
        self._start_kubelets()

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None, within_s: float = 60) -> str:
        """Run kubectl, by default as the administrator; what it prints.

        Raises
        ------
        RuntimeError
            If it fails, with what it said.

        """
        config = f"--kubeconfig={kubeconfig or self.kubeconfig('harness')}"
        cache = f"--cache-dir={self.folder / 'kubectl'}"
        command = [str(self.parts.programs["kubectl"]), config, cache, *arguments]
        own = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}  # nothing of the user's
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=within_s, check=False)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def account(self, manifests: Path, server: str = "", lasts_s: int = 3600) -> Account:
        """Apply manifests that hold one ServiceAccount, and get a token for it.

        Parameters
        ----------
        manifests
            With its namespace, roles and bindings.
        server
            That its kubeconfig names; this API server by default.
        lasts_s
            The token's lifetime, seconds (600 at least, says Kubernetes).

        """
        self.api.apply(manifests)
        (found,) = (each["metadata"] for each in documents(manifests) if each["kind"] == "ServiceAccount")
        path = f"/api/v1/namespaces/{found['namespace']}/serviceaccounts/{found['name']}/token"
        answer = self.api("POST", path, {"spec": {"expirationSeconds": lasts_s}})
        token: str = answer["status"]["token"]
        name = f"system:serviceaccount:{found['namespace']}:{found['name']}"
        return Account(name, token, self.kubeconfig(name, token, server))

    def kubeconfig(self, name: str, token: str = "", server: str = "") -> Path:
        """A kubeconfig with a token; by default with that of the user of this name, for this API server."""
        server = server or self.server
        path = self.folder / f"{name.replace(':', '-')}-{server.rsplit(':', 1)[1]}.kubeconfig"
        cluster = {"server": server, "certificate-authority": str(self.certificate)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token or self._tokens[name]}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": name}}],
            "current-context": "real",
        }
        _private(path, yaml.safe_dump(config))
        return path

    def audit(self, user: str) -> list[Object]:
        """What the API server noted of a user's requests so far (audit.k8s.io/v1, level Metadata)."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        events: list[Object] = [json.loads(line) for line in lines]
        return [event for event in events if event["user"].get("username") == user]

    def _write(self) -> None:
        _certificate(self.certificate, self.key)
        groups = {f'{token},{user},{user},"{_USERS[user]}"' for user, token in self._tokens.items()}
        _private(self.folder / "tokens.csv", "\n".join(groups) + "\n")
        _private(self.folder / "audit-policy.yaml", json.dumps(_AUDIT))

    def _start(self) -> None:
        for attempt in range(1, STARTS + 1):
            try:
                self._start_all()
                return
            except ControlPlaneError as error:
                if attempt == STARTS or "address already in use" not in str(error):
                    raise
                self.children.stop()

    def _start_all(self) -> None:
        etcd, peer, secure = (_free_port() for _ in range(3))
        self.server = f"https://127.0.0.1:{secure}"
        self.api = self._exits.enter_context(Api(self.server, self.certificate, self.token))
        self._run("etcd", self._etcd(etcd, peer))
        self._run("kube-apiserver", self._apiserver(etcd, secure))
        self._await("the API server", f"{self.server}/readyz")
        self._run("kube-controller-manager", self._controller_manager())
        self._run("kube-scheduler", self._scheduler())
        self._start_kubelets()
        # Pods cannot be made before their namespace's account is there, which the controller manager makes.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._await("the controller manager", self.server + account)

    def _start_kubelets(self) -> None:
        port = _free_port()
        self._run("kwok", self._kwok(port))
        self._await("KWOK", f"http://127.0.0.1:{port}/healthz")

    def _run(self, name: str, flags: Mapping[str, Any]) -> None:
        values = [f"--{key}={value}" for key, value in flags.items() if key != "config"]
        several = [f"--config={value}" for value in flags.get("config", ())]
        self.children.start(name, [str(self.parts.programs[name]), *values, *several])

    def _await(self, what: str, url: str) -> None:
        def answers() -> bool:
            for name in self.children.running:
                if self.children.ended(name) is not None:
                    raise ControlPlaneError(f"{name} ended:\n" + "\n".join(self.children.last_lines(name)))
            try:
                return self.api.http.get(url).is_success
            except httpx.TransportError:
                return False

        try:
            wait(f"{what} is ready", answers, START_S)
        except TimeoutError as error:
            ends = {name: "\n".join(self.children.last_lines(name, 5)) for name in self.children.running}
            said = "\n".join(f"{name}: {end}" for name, end in ends.items())
            raise ControlPlaneError(f"{error}\n{said}") from error

    def _etcd(self, port: int, peer: int) -> dict[str, Any]:
        client, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
        return {
            "data-dir": self.folder / f"etcd-{port}",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",
            "logger": "zap",
            "log-level": "warn",
        }

    def _apiserver(self, etcd: int, port: int) -> dict[str, Any]:
        return {
            "etcd-servers": f"http://127.0.0.1:{etcd}",
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "endpoint-reconciler-type": "none",  # it refuses to publish a loopback address
            "secure-port": port,
            "tls-cert-file": self.certificate,
            "tls-private-key-file": self.key,
            "token-auth-file": self.folder / "tokens.csv",
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self.certificate,
            "service-account-signing-key-file": self.key,
            "service-cluster-ip-range": "10.96.0.0/16",
            "default-not-ready-toleration-seconds": self.timing.toleration_s,
            "default-unreachable-toleration-seconds": self.timing.toleration_s,
            "audit-policy-file": self.folder / "audit-policy.yaml",
            "audit-log-path": self.folder / "audit.log",
        }

    def _controller_manager(self) -> dict[str, Any]:
        return {
            "kubeconfig": self.kubeconfig("system:kube-controller-manager"),
            "secure-port": 0,
            "leader-elect": "false",
            "use-service-account-credentials": "true",
            "service-account-private-key-file": self.key,
            "root-ca-file": self.certificate,
            "kube-api-qps": self.timing.calls,
            "kube-api-burst": self.timing.calls * 3 // 2,
            "node-monitor-period": f"{self.timing.monitor_s}s",
            "node-monitor-grace-period": f"{self.timing.grace_s}s",
        }

    def _scheduler(self) -> dict[str, Any]:
        return {
            "kubeconfig": self.kubeconfig("system:kube-scheduler"),
            "secure-port": 0,
            "leader-elect": "false",
        }

    def _kwok(self, port: int) -> dict[str, Any]:
        return {
            "kubeconfig": self.kubeconfig("kwok"),
            "manage-nodes-with-label-selector": f"{KUBELET}=running",
            "node-lease-duration-seconds": self.timing.lease_s,
            "server-address": f"127.0.0.1:{port}",
            "config": [*self.parts.stages, _READY_AGAIN],
        }


def _certificate(certificate: Path, key: Path) -> None:
    """One pair for TLS, trusted as its own authority, and for signing tokens of ServiceAccounts."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = [
        "-days",
        "30",
        "-subj",
        "/CN=edgeobs-real",
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
    ]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)


def _private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
