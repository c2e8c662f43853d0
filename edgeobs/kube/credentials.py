"""Where the API server is and who we are to it: a kubeconfig, or the service account of our pod.

lightkube reads and applies them; what it would leave out in silence is refused here.
"""

import os
import ssl
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from edgeobs.kube.proxy import proxy_for
from edgeobs.kube.settings import KubernetesSettings

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's service account."""

_EXEC_VERSIONS = {f"client.authentication.k8s.io/{version}" for version in ("v1alpha1", "v1beta1")}
_KNOWN = {
    "cluster": {
        "certificate-authority", "certificate-authority-data", "disable-compression", "extensions",
        "insecure-skip-tls-verify", "proxy-url", "server",
    },
    "user": {
        "client-certificate", "client-certificate-data", "client-key", "client-key-data", "exec",
        "extensions", "password", "token", "tokenFile", "username",
    },
}  # fmt: skip


class CredentialsError(ValueError):
    """There are none, or they cannot be used; the message names the file and the key."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach a server."""

    server: str
    namespace: str
    verify: ssl.SSLContext
    auth: Callable[[], httpx.Auth | None]  # one for each client
    proxy: str | None
    source: str  # for people: where they come from


class TokenFile(httpx.Auth):
    """A bearer token in a file that somebody else renews.

    It is read again when the file has changed, and when the server answers 401: that request was refused
    before anything was done, so it may be sent once more. While the file cannot be read the last one is used.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[tuple[int, int, int], str] | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, and once more with a renewed token. Raises CredentialsError without any."""
        token = self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and (renewed := self._token(again=True)) != token:
            request.headers["Authorization"] = f"Bearer {renewed}"
            yield request

    def _token(self, *, again: bool = False) -> str:
        try:
            stat = self._file.stat()
            seen = stat.st_mtime_ns, stat.st_ino, stat.st_size
            if self._read is None or again or self._read[0] != seen:
                self._read = seen, self._file.read_text().strip() or (self._read or ("", ""))[1]
        except (OSError, UnicodeDecodeError) as error:
            if self._read is None:
                raise CredentialsError(f"{self._file}: the token cannot be read: {error}") from error
        if self._read is None or not self._read[1]:
            raise CredentialsError(f"{self._file}: the token is empty")
        return self._read[1]


def load(
    settings: KubernetesSettings, environ: Mapping[str, str] = os.environ, account: Path = ACCOUNT
) -> Credentials:
    """The credentials that the settings name. Raises CredentialsError."""
    if settings.metaserver_url:
        return _metaserver(settings.metaserver_url)
    if settings.kubeconfig is None and not settings.context and (account / "token").exists():
        return _in_cluster(environ, account)
    file = settings.kubeconfig or Path(environ.get("KUBECONFIG") or "~/.kube/config")
    return _from_kubeconfig(file.expanduser(), settings.context, environ)


def _metaserver(url: str) -> Credentials:
    if not url.startswith(("http://", "https://")):
        raise CredentialsError(f"metaserver_url: expected http://… or https://…; found {url!r}")
    context = ssl.create_default_context()
    return Credentials(url.rstrip("/"), "default", context, lambda: None, None, f"MetaServer {url}")


def _in_cluster(environ: Mapping[str, str], account: Path) -> Credentials:
    host, port = (environ.get(f"KUBERNETES_SERVICE_{each}", "") for each in ("HOST", "PORT"))
    if not host or not port:
        raise CredentialsError(
            f"{account} has a service account, but KUBERNETES_SERVICE_HOST or …_PORT is not set"
        )
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        verify = ssl.create_default_context(cafile=str(account / "ca.crt"))
        namespace = (account / "namespace").read_text().strip()
    except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{account}: the service account cannot be read: {error}") from error
    return Credentials(
        server, namespace, verify, lambda: TokenFile(account / "token"), proxy_for(server, environ),
        f"service account of namespace {namespace}",
    )  # fmt: skip


def _from_kubeconfig(file: Path, context: str, environ: Mapping[str, str]) -> Credentials:
    if os.pathsep in str(file) and not file.exists():
        raise CredentialsError(f"KUBECONFIG: one file is read, found several: {file}")
    try:
        found = yaml.safe_load(file.read_text())
    except OSError as error:
        raise CredentialsError(f"{file}: the kubeconfig cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CredentialsError(f"{file}: no YAML: {' '.join(str(error).split())}") from error
    try:
        chosen = KubeConfig.from_dict(found, fname=file).get(context or None)
        raw = {part: _raw(found, part, chosen) for part in _KNOWN} if chosen else {}
    except ConfigError as error:
        raise CredentialsError(f"{file}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{file}: no kubeconfig: {error!r} is missing or wrong") from error
    if chosen is None:
        raise CredentialsError(f"{file}: no current context")
    return _checked(file, chosen, raw, environ)


def _raw(found: Mapping[str, Any], part: str, chosen: SingleConfig) -> Mapping[str, Any]:
    """The chosen cluster or user as the file has it."""
    name = getattr(chosen.context, part)
    entries = [each[part] for each in found.get(f"{part}s") or () if each["name"] == name]
    return (entries[0] or {}) if entries else {}


def _checked(
    file: Path, chosen: SingleConfig, raw: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str]
) -> Credentials:
    for part, known in _KNOWN.items():
        for key in raw[part].keys() - known:
            raise CredentialsError(f"{file}: {part} {getattr(chosen.context, part)}: {key} is not supported")
    command = raw["user"].get("exec")
    if command and command.get("apiVersion") not in _EXEC_VERSIONS:
        raise CredentialsError(
            f"{file}: exec: expected apiVersion {' or '.join(sorted(_EXEC_VERSIONS))}; "
            f"found {command.get('apiVersion')!r}"
        )
    server = chosen.cluster.server.rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise CredentialsError(f"{file}: server: expected https://…; found {server!r}")
    try:
        verify = verify_cluster(chosen.cluster, chosen.user, chosen.abs_file, trust_env=False)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise CredentialsError(f"{file}: certificates of context {chosen.context_name}: {error}") from error
    return Credentials(
        server, chosen.namespace, verify, lambda: _auth(chosen, raw["user"]),
        raw["cluster"].get("proxy-url") or proxy_for(server, environ),
        f"context {chosen.context_name} of {file}",
    )  # fmt: skip


def _auth(chosen: SingleConfig, user: Mapping[str, Any]) -> httpx.Auth | None:
    file = user.get("tokenFile")
    return TokenFile(Path(chosen.abs_file(file))) if file else user_auth(chosen.user)
