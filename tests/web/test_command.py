"""`edgeobs pause|resume|approve|veto|explain` against a running page."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from edgeobs.cli import app
from edgeobs.config import parse
from edgeobs.signals import Action, Check, Decision, Resource
from edgeobs.speak import core
from edgeobs.web import Explained, Refused, Settings, Step

Serve = Callable[..., AbstractContextManager[str]]
TOKEN = "0123456789abcdef-secret"


class Fake:
    """A desk that remembers what was said."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.note = ""

    def say(self, *said: str) -> str:
        if said[3] == "inc-9":
            raise Refused(404, "no such incident")
        self.heard.append(said)
        return self.note

    def steps(self, operation: str) -> list[Step]:
        raise Refused(404, operation)

    def explain(self, node: str, cluster: str | None) -> Explained:  # noqa: ARG002  as every desk
        if node != "edge-7":
            raise Refused(404, f"neither telemetry nor the cluster knows a node {node}")
        act = Action("drain", Resource("", "a", node), (), "its disk fails", "disk_failing", "inc-1")
        checks = (Check("paused", "allowed", "not paused"), Check("approved", "held", "drain waits\x1b[2J"))
        held = Decision("d", act, "held", "approved", "drain waits for a person", checks, False, 1)
        cordon = Decision("e", Action("cordon", *_rest(act)), "allowed", "all", "", checks, True, 1)
        paused = Check("paused", "held", "paused by ada")
        taint = replace(cordon, action=replace(act, verb="taint"), verdict="held", rule="paused",
                        reason=paused.reason, checks=(paused, checks[1]))  # fmt: skip
        return Explained((("zone", "a"), ("opted in", "yes")), (held,), (cordon, taint))


def _rest(act: Action) -> Any:
    return act.target, act.patch, act.reason, act.policy, act.incident


@pytest.fixture
def desk() -> Fake:
    return Fake()


@pytest.fixture
def run(canned: Any, desk: Fake, serve: Serve, tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Run a command against a page whose token is in a file."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with serve(canned, Settings(token_file=file), desk=desk) as url:

        def go(*arguments: str, token_file: Path | None = file) -> Result:
            environment = {"EDGEOBS_SERVER": url, "EDGEOBS_TOKEN_FILE": str(token_file or "")}
            return CliRunner().invoke(app, list(arguments), env=environment)

        yield go


@pytest.mark.parametrize(
    ("command", "heard", "printed"),
    [
        (("pause", "--why", "x"), ("pause", "ada", "x", "", ""), "paused\n"),
        (("resume", "-w", "x"), ("resume", "ada", "x", "", ""), "resumed\n"),
        (("approve", "inc-1", "-w", "x"), ("approve", "ada", "x", "inc-1", ""), "approved: inc-1\n"),
        (("approve", "inc-1", "-w", "x", "-a", "drain"), ("approve", "ada", "x", "inc-1", "drain"),
         "approved: inc-1\n"),
        (("veto", "inc-1", "-w", "x"), ("veto", "ada", "x", "inc-1", ""), "vetoed: inc-1\n"),
    ],
)  # fmt: skip
def test_a_word_is_said(run: Any, desk: Fake, command: tuple[str, ...], heard: Any, printed: str) -> None:
    done = run(*command, "--as", "ada")
    assert (done.exit_code, done.stdout) == (0, printed)
    assert desk.heard == [heard]


def test_without_a_name_it_is_the_user(run: Any, desk: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    run("pause", "--why", "x")
    assert desk.heard[0][1] == "grace"


def test_what_is_refused_or_not_everywhere_is_exit_1_with_the_reason(run: Any, desk: Fake) -> None:
    done = run("veto", "inc-9", "--why", "x")
    assert (done.exit_code, done.stderr) == (1, "404: no such incident\n")
    desk.note = "still held: by the configuration"
    done = run("resume", "--why", "x")
    assert (done.exit_code, done.stderr) == (1, "resumed, but: still held: by the configuration\n")


def test_wrong_usage_is_exit_2(run: Any, desk: Fake, tmp_path: Path) -> None:
    for command in (("pause",), ("pause", "--why", " "), ("veto", "--why", "x"), ("approve",)):
        assert run(*command).exit_code == 2
    (tmp_path / "short").write_text("x")
    done = run("pause", "--why", "x", token_file=tmp_path / "short")
    assert done.exit_code == 2
    assert "token" in done.stderr
    assert desk.heard == []


def test_without_the_token_nothing_is_said(run: Any, desk: Fake, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another-token-of-length")
    done = run("pause", "--why", "x", token_file=tmp_path / "other")
    assert (done.exit_code, desk.heard) == (1, [])
    assert done.stderr.startswith("401: ")


def test_where_nobody_answers() -> None:
    for url in ("http://127.0.0.1:1", "nonsense", "http://"):
        done = CliRunner().invoke(app, ["pause", "--why", "x", "--server", url])
        assert done.exit_code == 1
        assert url in done.stderr


def test_a_node_is_explained(run: Any) -> None:
    done = run("explain", "node/edge-7")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "  drain, because its disk fails" in lines
    assert "  → held by approved: drain waits for a person" in lines
    assert any(line.split()[:3] == ["held", "approved", "drain"] for line in lines)
    assert "  cordon      would be allowed, and nothing done (dry-run)" in lines
    number = lines.index("  taint       held by paused: paused by ada")
    assert lines[number + 1].strip().startswith("held by approved: drain waits")
    assert "\x1b" not in done.stdout
    assert '"facts"' in run("explain", "node/edge-7", "--json").stdout
    unknown = run("explain", "node/edge-8")
    assert (unknown.exit_code, "knows a node edge-8" in unknown.stderr) == (2, True)


def test_the_address_and_token_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    config = parse(f"web: {{host: '::', port: 7, token_file: {tmp_path / 'token'}}}")
    found = core(config, "", None, "ada:eve")
    assert (found.url, found.token, found.name) == ("http://127.0.0.1:7", TOKEN, "ada eve")
    assert not found.open_wire
    for url, is_open in (("http://pi.lan:9464", True), ("https://pi.lan", False), ("http://[::1]:1", False)):
        assert core(config, url, None, "ada").open_wire == is_open
