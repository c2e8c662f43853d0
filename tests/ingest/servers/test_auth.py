"""Who may speak."""

import os
from pathlib import Path
from typing import Any

import pytest

from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Forbidden, Unauthenticated
from edgeobs.ingest.settings import Limits, Settings, Token

LIMITS = Limits(max_series_per_sender=77)


def token(tmp_path: Path, name: str, secret: str, **more: Any) -> Token:
    path = tmp_path / name
    path.write_text(secret + "\n")
    return Token(name=name, token_file=str(path), **{"nodes": ("edge-1",), **more})


def auth(*tokens: Token) -> Auth:
    return Auth(Settings(tokens=tokens), LIMITS)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_without_tokens_loopback_is_served(peer: str) -> None:
    principal = auth().identify(peer, "", "", 0)
    assert (principal.id, principal.nodes, principal.max_series) == (0, None, 77)


@pytest.mark.parametrize(
    "peer", ["10.0.0.7", "192.168.1.1", "::ffff:10.0.0.7", "2001:db8::1", "", "localhost"]
)
def test_without_tokens_nobody_else_is(peer: str) -> None:
    with pytest.raises(Forbidden, match="loopback"):
        auth().identify(peer, "Bearer anything", "", 0)


def test_a_token_stands_for_its_nodes(tmp_path: Path) -> None:
    one, two = token(tmp_path, "one", "secret-1"), token(tmp_path, "two", "secret-2", nodes="*", max_series=5)
    both = auth(one, two)
    first = both.identify("10.0.0.1", "Bearer secret-1", "", 0)
    second = both.identify("10.0.0.1", "bearer  secret-2 ", "", 0)
    assert (first.id, first.name, first.nodes, first.max_series) == (1, "one", frozenset({"edge-1"}), 77)
    assert (second.id, second.name, second.nodes, second.max_series) == (2, "two", None, 5)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic secret-1", "secret-1", "\xff"]
)
def test_with_tokens_everyone_needs_one(tmp_path: Path, header: str) -> None:
    with pytest.raises(Unauthenticated):
        auth(token(tmp_path, "one", "secret-1")).identify("127.0.0.1", header, "", 0)


def test_a_changed_file_is_read_again_and_a_missing_one_withdraws(tmp_path: Path) -> None:
    one = token(tmp_path, "one", "old")
    known = auth(one)
    path = Path(one.token_file)
    path.write_text("new-token")
    os.utime(path, ns=(1, 1))
    assert known.identify("::1", "Bearer new-token", "", 2.0).name == "one"
    with pytest.raises(Unauthenticated):
        known.identify("::1", "Bearer old", "", 2.1)
    path.unlink()
    with pytest.raises(Unauthenticated):
        known.identify("::1", "Bearer new-token", "", 4.0)
    path.write_text("")
    with pytest.raises(Unauthenticated):
        known.identify("::1", "Bearer ", "", 6.0)


def test_a_token_that_becomes_anothers_serves_neither(tmp_path: Path) -> None:
    one, two = token(tmp_path, "one", "secret-1"), token(tmp_path, "two", "secret-2")
    known = auth(one, two)
    Path(two.token_file).write_text("secret-1")
    os.utime(two.token_file, ns=(1, 1))
    with pytest.raises(Unauthenticated):
        known.identify("::1", "Bearer secret-1", "", 2.0)


def test_what_cannot_work_is_said_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gone"):
        auth(Token(name="gone", token_file=str(tmp_path / "gone"), nodes="*"))
    with pytest.raises(ValueError, match="empty"):
        auth(token(tmp_path, "nothing", ""))
    with pytest.raises(ValueError, match="one and two"):
        auth(token(tmp_path, "one", "same"), token(tmp_path, "two", "same"))
    with pytest.raises(ValueError, match="token_file or a common_name"):
        auth(Token(name="bare", nodes="*"))
    with pytest.raises(ValueError, match="2 senders have the name one"):
        auth(token(tmp_path, "one", "a"), token(tmp_path, "one", "b"))


def test_a_certificate_stands_for_its_nodes() -> None:
    known = auth(Token(name="cert", common_name="edge-9.example", nodes=("edge-9",)))
    assert known.identify("10.0.0.1", "", "edge-9.example", 0).nodes == frozenset({"edge-9"})
    with pytest.raises(Unauthenticated):
        known.identify("10.0.0.1", "", "edge-8.example", 0)
