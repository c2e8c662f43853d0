"""Who is speaking: bearer token, client certificate or loopback → `Principal`."""

import hashlib
import ipaddress
from collections import Counter
from pathlib import Path

import structlog

from edgeobs.ingest.delivery import Forbidden, Unauthenticated
from edgeobs.ingest.settings import Limits, Settings, Token
from edgeobs.signals import Principal

_LOOK_AGAIN_S = 1.0

_Stamp = tuple[int, int, int]  # of a file: mtime, size, inode


class Auth:
    """Tells senders apart.

    Without any token only loopback peers are served; behind a proxy on this machine every peer looks like
    one, so a proxy needs tokens. With tokens everyone needs one, loopback too. Token files are read again
    within a second of a change; a file that is gone or empty is a token withdrawn.

    Raises
    ------
    ValueError
        A token file cannot be read or is empty, or two senders are the same; the message names them.

    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._tokens = settings.tokens
        self.loopback = Principal(0, "loopback", None, limits.max_series_per_sender)
        self.principals = [_principal(i, token, limits) for i, token in enumerate(settings.tokens, 1)]
        _check(settings.tokens)
        self._by_name = {
            token.common_name: principal
            for token, principal in zip(settings.tokens, self.principals, strict=True)
            if token.common_name
        }
        self._stamps = [_stamp(Path(token.token_file)) for token in self._tokens]
        self._by_digest = self._read(strict=True)
        self._looked_s = 0.0

    def identify(self, peer: str, authorization: str, common_name: str, now_s: float) -> Principal:
        """Whom a request comes from.

        Parameters
        ----------
        peer
            IP address of the other end; empty when it has none.
        authorization
            The ``Authorization`` header, or empty.
        common_name
            Of the verified client certificate, or empty.
        now_s
            A monotonic clock, for looking at the token files once a second.

        Raises
        ------
        Unauthenticated, Forbidden

        """
        if not self._tokens:
            if is_loopback(peer):
                return self.loopback
            raise Forbidden("no token is configured: only loopback is served")
        if common_name in self._by_name:
            return self._by_name[common_name]
        if now_s - self._looked_s >= _LOOK_AGAIN_S:
            self._looked_s = now_s
            self._look_again()
        return self._by_token(authorization)

    def _by_token(self, authorization: str) -> Principal:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("a bearer token is needed")
        # By digest: what the time of a lookup tells of the digest tells nothing of the token.
        principal = self._by_digest.get(_digest(secret.strip()))
        if principal is None:
            raise Unauthenticated("the bearer token is not known")
        return principal

    def _look_again(self) -> None:
        stamps = [_stamp(Path(token.token_file)) for token in self._tokens]
        if stamps != self._stamps:
            self._stamps = stamps
            self._by_digest = self._read(strict=False)

    def _read(self, *, strict: bool) -> dict[bytes, Principal]:
        digests: list[tuple[bytes, Principal]] = []
        for token, principal in zip(self._tokens, self.principals, strict=True):
            if not token.token_file:
                continue
            try:
                digests.append((_digest(_secret(token)), principal))
            except ValueError as error:
                if strict:
                    raise
                structlog.get_logger().warning("token withdrawn", sender=token.name, reason=str(error))
        count = Counter(digest for digest, _ in digests)
        shared = [principal.name for digest, principal in digests if count[digest] > 1]
        if shared and strict:
            raise ValueError(f"the same token for {' and '.join(shared)}")
        if shared:
            structlog.get_logger().warning("tokens withdrawn: they are the same", senders=shared)
        return {digest: principal for digest, principal in digests if count[digest] == 1}


def is_loopback(peer: str) -> bool:
    """Whether an address is this machine's own; anything unreadable is not."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _principal(number: int, token: Token, limits: Limits) -> Principal:
    nodes = None if token.nodes == "*" or "*" in token.nodes else frozenset(token.nodes)
    return Principal(number, token.name, nodes, token.max_series or limits.max_series_per_sender)


def _check(tokens: tuple[Token, ...]) -> None:
    for token in tokens:
        if not token.token_file and not token.common_name:
            raise ValueError(f"sender {token.name}: needs a token_file or a common_name")
    for what in ("name", "common_name"):
        for value, times in Counter(getattr(token, what) for token in tokens).items():
            if value and times > 1:
                raise ValueError(f"{times} senders have the {what} {value}")


def _secret(token: Token) -> str:
    try:
        secret = Path(token.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"sender {token.name}: {token.token_file}: {error}") from None
    if not secret:
        raise ValueError(f"sender {token.name}: {token.token_file} is empty")
    return secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
