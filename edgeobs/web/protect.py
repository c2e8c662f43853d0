"""Who may read, how, and what browsers are told to refuse. Read-only: nothing here changes anything."""

import hmac
from base64 import b64decode
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROBES = frozenset({"/healthz", "/readyz"})
"""What an orchestrator asks from outside, without a name or token: answers yes or no and why."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


def read_token(path: Path) -> str:
    """The token in a file, without white space around it; ValueError when there is none."""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{path}: cannot read a token: {error}") from error
    if len(token) < 16:
        raise ValueError(f"{path}: expected a token of at least 16 characters, found {len(token)}")
    return token


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def host_name(header: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def given_token(authorization: str) -> str:
    """The token of an Authorization header: bearer, or the password of basic; empty when there is none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""


def refusal(method: str) -> Refusal | None:
    """Why such a request is refused whoever asks; None when it is not."""
    if method not in {"GET", "HEAD"}:
        return Refusal(405, "only GET and HEAD: nothing can be changed here", (("Allow", "GET, HEAD"),))
    return None


def stranger(client: str, headers: Headers, token: str, allowed_hosts: Collection[str]) -> Refusal | None:
    """Why this client is refused; None when it is not. Without a token: only loopback, under a known name."""
    if token:
        given = given_token(headers.get("authorization", ""))
        if hmac.compare_digest(given.encode(), token.encode()):
            return None
        challenge = 'Basic realm="edgeobs", charset="UTF-8", Bearer realm="edgeobs"'
        return Refusal(
            401, "a token is needed: bearer, or basic's password", (("WWW-Authenticate", challenge),)
        )
    if not is_loopback(client):
        return Refusal(403, "without a token (web.token_file) only this machine is served")
    host = host_name(headers.get("host", ""))
    if host == "localhost" or is_loopback(host) or host in allowed_hosts:
        return None
    return Refusal(421, "not served under this name (web.allowed_hosts)")


class Protect:
    """ASGI middleware: refuses what `refusal` says, and adds the headers."""

    def __init__(self, app: ASGIApp, token: str, allowed_hosts: Collection[str]) -> None:
        self.app = app
        self.token = token
        self.allowed_hosts = frozenset(name.lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. HEAD is GET whose body goes nowhere."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
                await send(message)
                if head:
                    await send({"type": "http.response.body", "body": b""})
            elif not head:
                await send(message)

        client = (scope.get("client") or ("", 0))[0]
        refused = refusal(scope["method"])
        if refused is None and scope["path"] not in PROBES:
            refused = stranger(client, Headers(scope=scope), self.token, self.allowed_hosts)
        if refused is not None:
            answer = JSONResponse({"detail": refused.reason}, refused.status, dict(refused.headers))
            await answer(scope, receive, headed)
        else:
            await self.app({**scope, "method": "GET"}, receive, headed)
