"""Who may read and who may speak, how, and what browsers are told to refuse.

Whatever changes anything is a POST with the token, never from another site: a browser sends the password it
knows along with whatever any page makes it send, so the request must also say where it comes from, and carry
a header that no form can make and no other site may add.
"""

import hmac
import re
from base64 import b64decode
from collections.abc import Collection
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SPOKEN = re.compile(
    r"/api/v1/(?:remediation/(?:pause|resume)|incidents/[^/]{1,200}/(?:approve|veto))", re.ASCII
)
"""Paths to which a person's word may be posted; all else is only read."""

MARK = "X-Edgeobs-Word"
"""A header that every POST carries, with any value."""

MOST_BYTES = 8192
"""Of a POST's body."""

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


def given(authorization: str) -> tuple[str, str]:
    """Name and token of an Authorization header: bearer has no name; both empty when there is none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return "", rest.strip()
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, token = b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return "", ""
    return name, token


def refusal(method: str, path: str) -> Refusal | None:
    """Why such a request is refused whoever asks; None when it is not."""
    if method == "POST" and SPOKEN.fullmatch(path):
        return None
    if method not in {"GET", "HEAD"}:
        return Refusal(405, "only GET and HEAD: nothing can be changed here", (("Allow", "GET, HEAD"),))
    return None


def mute(token: str) -> str:
    """Why nobody may change anything; empty: whoever has the token may."""
    return "" if token else "to pause, approve or veto here, set web.token_file: the page then asks for it"


def forged(headers: Headers) -> Refusal | None:
    """Why a POST may not be what a person meant; None when it is."""
    site, origin, host = (headers.get(name, "") for name in ("sec-fetch-site", "origin", "host"))
    if site not in {"", "same-origin"} or (origin and origin.partition("://")[2].lower() != host.lower()):
        return Refusal(403, "sent by another site")
    if MARK.lower() not in headers:
        return Refusal(403, f"without the header {MARK} it may come from another site's form")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "expected application/json")
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return Refusal(411, "expected a Content-Length")
    if int(length[:9]) > MOST_BYTES:
        return Refusal(413, f"larger than {MOST_BYTES} bytes")
    return None


def stranger(client: str, headers: Headers, token: str, allowed_hosts: Collection[str]) -> Refusal | None:
    """Why this client is refused; None when it is not. Without a token: only loopback, under a known name."""
    if token:
        if hmac.compare_digest(given(headers.get("authorization", ""))[1].encode(), token.encode()):
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
        headers, speaks = Headers(scope=scope), scope["method"] == "POST"
        refused = refusal(scope["method"], scope["path"])
        if refused is None and speaks and (reason := mute(self.token)):
            refused = Refusal(403, reason)
        if refused is None and scope["path"] not in PROBES:
            refused = stranger(client, headers, self.token, self.allowed_hosts)
        if refused is None and speaks:
            refused = forged(headers)
        if refused is not None:
            answer = JSONResponse({"detail": refused.reason}, refused.status, dict(refused.headers))
            await answer(scope, receive, headed)
        else:
            await self.app({**scope, "method": "POST" if speaks else "GET"}, receive, headed)
