"""Who we are to the API server, and by which way it is reached."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from edgeobs.kube import credentials as module
from edgeobs.kube.connection import client
from edgeobs.kube.credentials import CredentialsError, TokenFile, load
from edgeobs.kube.proxy import proxy_for
from edgeobs.kube.settings import KubernetesSettings
from tests.kube.fake_api import FakeApi


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that can stand for an authority."""
    file = tmp_path_factory.mktemp("ca") / "ca.crt"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", "/CN=ca", "-days", "2", "-keyout", str(file.with_suffix(".key")), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def kubeconfig(folder: Path, user: Any = None, **cluster: Any) -> Path:
    file = folder / "config"
    found = {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "ops"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"} | cluster}],
        "users": [{"name": "u", "user": {"token": "secret"} if user is None else user}],
    }
    file.write_text(yaml.safe_dump(found))
    return file


def of(file: Path, **environ: str) -> module.Credentials:
    return load(KubernetesSettings(kubeconfig=file), environ)


def header(auth: httpx.Auth | None) -> str:
    """What it signs a request with."""
    assert auth
    request = httpx.Request("GET", "http://127.0.0.1/")
    return next(auth.sync_auth_flow(request)).headers["Authorization"]


def test_a_kubeconfig(tmp_path: Path, authority: Path) -> None:
    data = base64.b64encode(authority.read_bytes()).decode()
    found = of(kubeconfig(tmp_path, **{"certificate-authority-data": data}))
    assert (found.server, found.namespace, found.proxy) == ("https://10.0.0.1:6443", "ops", None)
    assert "context main" in found.source
    assert header(found.auth()) == "Bearer secret"


def test_a_token_file_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    assert header(of(kubeconfig(tmp_path, {"tokenFile": "token"})).auth()) == "Bearer first"


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({"token": "x", "as": "root"}, {}, "user u: as is not supported"),
        ({"auth-provider": {}}, {}, "user u: auth-provider is not supported"),
        (None, {"tls-server-name": "x"}, "cluster c: tls-server-name is not supported"),
        (None, {"server": "10.0.0.1"}, "server: expected https://…; found '10.0.0.1'"),
        (None, {"certificate-authority": "/nowhere"}, "certificates of context main"),
        (None, {"certificate-authority-data": "bm90IG9uZQ=="}, "certificates of context main"),
        ({"client-certificate": "a"}, {}, "certificates of context main"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}}, {}, "exec: expected"),
    ],
)  # fmt: skip
def test_what_would_be_left_out_in_silence_is_refused(
    tmp_path: Path, user: Any, cluster: Any, said: str
) -> None:
    with pytest.raises(CredentialsError, match=said):
        of(kubeconfig(tmp_path, user, **cluster))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no YAML"),
        ("a: 1", "no kubeconfig"),
        ("[]", "no kubeconfig"),
        ("clusters: []\ncontexts: []", "No current context"),
        ("clusters: []\ncontexts: []\ncurrent-context: x", "Context 'x' not found"),
    ],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(CredentialsError, match=said) as caught:
        of(file)
    assert str(file) in str(caught.value)


def test_no_credentials_at_all(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read: No such file"):
        load(KubernetesSettings(), {"KUBECONFIG": str(tmp_path / "none")}, tmp_path)
    with pytest.raises(CredentialsError, match="one file is read, found several"):
        load(KubernetesSettings(), {"KUBECONFIG": "/a:/b"}, tmp_path)


def account(folder: Path, authority: Path) -> Path:
    (folder / "ca.crt").write_bytes(authority.read_bytes())
    (folder / "namespace").write_text("edgeobs")
    (folder / "token").write_text("pod")
    return folder


def test_in_a_pod(tmp_path: Path, authority: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    found = load(KubernetesSettings(), environ, account(tmp_path, authority))
    assert (found.server, found.namespace) == ("https://10.96.0.1:443", "edgeobs")
    assert header(found.auth()) == "Bearer pod"
    found = load(KubernetesSettings(), environ | {"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path)
    assert found.server == "https://[fd00::1]:443"
    with pytest.raises(CredentialsError, match="KUBERNETES_SERVICE_HOST or …_PORT is not set"):
        load(KubernetesSettings(), {}, tmp_path)
    (tmp_path / "ca.crt").write_text("none")
    with pytest.raises(CredentialsError, match="the service account cannot be read"):
        load(KubernetesSettings(), environ, tmp_path)


def test_a_named_context_is_never_overridden_by_the_pod(tmp_path: Path, authority: Path) -> None:
    environ = {"KUBECONFIG": str(kubeconfig(tmp_path))}
    settings = KubernetesSettings(context="main")
    assert "context main" in load(settings, environ, account(tmp_path, authority)).source


def test_a_renewed_token_is_taken_up_when_the_file_changes_and_when_the_old_is_refused(
    tmp_path: Path, fake: FakeApi
) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    auth = TokenFile(file)
    with httpx.Client(base_url=fake.url, auth=auth) as http:
        http.get("/x")
        file.with_name("new").write_text("two")
        file.with_name("new").rename(file)
        http.get("/x")
        fake.answers.append((401, {}, b""))
        auth._read = ((0, 0, 0), "stale")
        stat = file.stat()
        auth._read = ((stat.st_mtime_ns, stat.st_ino, stat.st_size), "stale")
        assert http.get("/x").status_code == 404
        file.unlink()
        http.get("/x")
        fake.answers.append((401, {}, b""))
        assert http.get("/x").status_code == 401
    used = [call[4]["Authorization"].removeprefix("Bearer ") for call in fake.calls]
    assert used == ["one", "two", "stale", "two", "two", "two"]


def test_without_any_token_nothing_is_sent(tmp_path: Path, fake: FakeApi) -> None:
    with (
        httpx.Client(base_url=fake.url, auth=TokenFile(tmp_path / "none")) as http,
        pytest.raises(CredentialsError, match="the token cannot be read"),
    ):
        http.get("/x")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(CredentialsError, match="the token is empty"):
        header(TokenFile(tmp_path / "empty"))
    assert not fake.calls


def test_a_plug_in_gives_the_token(tmp_path: Path) -> None:
    plug_in = tmp_path / "plug-in"
    plug_in.write_text('#!/bin/sh\necho \'{"status": {"token": "plugged"}}\'\n')
    plug_in.chmod(0o755)
    command = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(plug_in)}
    assert header(of(kubeconfig(tmp_path, {"exec": command})).auth()) == "Bearer plugged"


def test_a_metaserver_needs_no_credentials() -> None:
    found = load(KubernetesSettings(metaserver_url="http://127.0.0.1:10550/"), {})
    assert (found.server, found.auth(), found.proxy) == ("http://127.0.0.1:10550", None, None)
    with pytest.raises(CredentialsError, match="metaserver_url: expected http://"):
        load(KubernetesSettings(metaserver_url="127.0.0.1:10550"), {})


PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api:6443", {}, None),
        ("https://api:6443", PROXY, "http://proxy:3128"),
        ("https://api:6443", {"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("http://api:6443", PROXY, None),
        ("https://127.0.0.1:6443", PROXY, None),
        ("https://localhost:6443", PROXY, None),
        ("https://[::1]:6443", PROXY, None),
        ("https://api:6443", PROXY | {"NO_PROXY": "*"}, None),
        ("https://10.96.0.1", PROXY | {"NO_PROXY": "x, 10.96.0.0/12"}, None),
        ("https://10.1.0.1", PROXY | {"NO_PROXY": "10.96.0.0/12"}, "http://proxy:3128"),
        ("https://10.96.0.1", PROXY | {"no_proxy": "10.96.0.1"}, None),
        ("https://[fd00::1]:443", PROXY | {"NO_PROXY": "fd00::/8"}, None),
        ("https://api.edge.org", PROXY | {"NO_PROXY": "edge.org"}, None),
        ("https://api.edge.org", PROXY | {"NO_PROXY": ".edge.org"}, None),
        ("https://api.edge.org", PROXY | {"NO_PROXY": "*.edge.org"}, None),
        ("https://edge.org", PROXY | {"NO_PROXY": "edge.org"}, None),
        ("https://edge.org", PROXY | {"NO_PROXY": ".edge.org"}, "http://proxy:3128"),
        ("https://xedge.org", PROXY | {"NO_PROXY": "edge.org"}, "http://proxy:3128"),
        ("https://api:6443", PROXY | {"NO_PROXY": "api:6443"}, None),
        ("https://api:6443", PROXY | {"NO_PROXY": "api:443"}, "http://proxy:3128"),
        ("https://10.1.0.1", PROXY | {"NO_PROXY": "a/b,10.1.0.1/x"}, "http://proxy:3128"),
    ],
)
def test_which_proxy(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


def test_a_kubeconfigs_own_proxy_wins_and_the_client_takes_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    found = of(kubeconfig(tmp_path, **{"proxy-url": "http://proxy:1"}), **PROXY)
    assert found.proxy == "http://proxy:1"
    with client(found, 1.0) as http:
        assert http.trust_env is False


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"timeout_s": 6.0}, "timeout_s below lease_s"), ({"retry_s": 5.0}, "renew_s at least 2")],
)
def test_times_that_let_two_lead_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        KubernetesSettings(**settings)
