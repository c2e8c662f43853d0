"""TLS and client certificates, over HTTP and gRPC."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from edgeobs.ingest.grpc_server import SERVICES
from edgeobs.ingest.serve import ssl_context
from edgeobs.ingest.settings import Tls, Token

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl (apt-get install openssl)"),
]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca, server (for 127.0.0.1), edge-7 and stranger (of another authority): .pem and .key."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    def key(name: str) -> tuple[str, ...]:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        return (*curve, "-keyout", f"{name}.key")

    for ca in ("ca", "other"):
        openssl("req", "-x509", *key(ca), "-out", f"{ca}.pem", "-subj", f"/CN={ca}", "-days", "2")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("edge-7", "ca"), ("stranger", "other")):
        openssl("req", "-new", *key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem"),
            *("-days", "2", "-extfile", "san"),
        )
    return folder


def tls(pki: Path, *, mutual: bool) -> Tls:
    authority = str(pki / "ca.pem") if mutual else ""
    return Tls(cert_file=str(pki / "server.pem"), key_file=str(pki / "server.key"), client_ca_file=authority)


def post(edge: Any, pki: Path, client: str = "") -> int:
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if client:
        context.load_cert_chain(pki / f"{client}.pem", pki / f"{client}.key")
    url = f"https://127.0.0.1:{edge.http_port}/v1/metrics"
    with httpx.Client(verify=context, timeout=10) as http:
        return http.post(
            url, content=bytes(2_000_000), headers={"content-type": "application/x-protobuf"}
        ).status_code


def export(edge: Any, pki: Path, client: str = "") -> str:
    pair = [(pki / f"{client}.{kind}").read_bytes() if client else None for kind in ("key", "pem")]
    credentials = grpc.ssl_channel_credentials((pki / "ca.pem").read_bytes(), *pair)
    with grpc.secure_channel(f"127.0.0.1:{edge.grpc_port}", credentials) as channel:
        try:
            channel.unary_unary(next(iter(SERVICES)))(b"", timeout=10)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_tls(start: Any, pki: Path) -> None:
    edge = start(tls=tls(pki, mutual=False))
    assert post(edge, pki) == 200
    assert export(edge, pki) == "OK"
    assert len(edge.deliveries[0].body) == 2_000_000


def test_plain_http_to_a_tls_port_is_refused(start: Any, pki: Path) -> None:
    edge = start(tls=tls(pki, mutual=False))
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://127.0.0.1:{edge.http_port}/v1/metrics", content=b"")


def test_a_client_certificate_is_who_speaks(start: Any, pki: Path) -> None:
    known = Token(name="seven", common_name="edge-7", nodes=("edge-7",))
    edge = start(tls=tls(pki, mutual=True), tokens=(known,))
    assert post(edge, pki, "edge-7") == 200
    assert export(edge, pki, "edge-7") == "OK"
    assert [d.principal.name for d in edge.deliveries] == ["seven", "seven"]
    assert post(edge, pki, "server") == 401  # of our authority, but nobody we know
    assert export(edge, pki, "server") == "UNAUTHENTICATED"


@pytest.mark.parametrize("client", ["", "stranger"])
def test_without_a_certificate_of_ours_there_is_no_connection(start: Any, pki: Path, client: str) -> None:
    edge = start(tls=tls(pki, mutual=True))
    with pytest.raises(httpx.TransportError):
        post(edge, pki, client)
    assert export(edge, pki, client) == "UNAVAILABLE"
    assert edge.deliveries == []


def test_files_that_are_wrong_are_named(pki: Path) -> None:
    with pytest.raises(ValueError, match=r"cert_file.*gone"):
        ssl_context(Tls(cert_file=str(pki / "gone")))
    with pytest.raises(ValueError, match=r"client_ca_file.*gone"):
        ssl_context(
            Tls(
                cert_file=str(pki / "server.pem"),
                key_file=str(pki / "server.key"),
                client_ca_file=str(pki / "gone"),
            )
        )
    with pytest.raises(ValueError, match="need a cert_file"):
        ssl_context(Tls(client_ca_file="x"))
