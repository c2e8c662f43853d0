"""A config file is used whole, or refused with the place of every mistake."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgeobs.cli import app
from edgeobs.config import Config, ConfigError, load, parse


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.problems


def test_an_empty_file_is_a_working_core() -> None:
    assert parse("") == Config()
    assert Config().remediate.dry_run


def test_what_is_set_is_set_and_the_rest_keeps_its_default() -> None:
    config = parse(
        "server: {http_port: 1}\nremediate: {pause: true}\nalertmanager: {urls: ['http://a:9093']}"
    )
    assert config.server.http_port == 1
    assert config.remediate.pause
    assert config.alertmanager.urls == ("http://a:9093",)
    assert config.server.grpc_port == Config().server.grpc_port


@pytest.mark.parametrize(
    ("text", "place", "expected", "found"),
    [
        ("serverr: {}", "serverr", "server", "did you mean 'server'?"),
        ("server: {http_prot: 1}", "server.http_prot", "http_port", "did you mean 'http_port'?"),
        ("server: {http_port: many}", "server.http_port", "integer", "'many'"),
        ("server: {http_port: 70000}", "server.http_port", "less than or equal to 65535", "70000"),
        ("server: {tls: {cert: x}}", "server.tls.cert", "cert_file", "'cert'"),
        ("server: {tokens: [{name: a, nodes: [b], nods: c}]}", "server.tokens[0].nods", "nodes", "'nods'"),
        ("server: {tokens: [{name: a}]}", "server.tokens[0].nodes", "a value", "nothing"),
        ("remediate: {verbs: [reboot]}", "remediate.verbs[0]", "'cordon'", "'reboot'"),
        ("remediate: {cluster_share: 1.5}", "remediate.cluster_share", "less than or equal to 1", "1.5"),
        ("server: 3", "server", "keys with values", "3"),
        ("web: {token_file: 3}", "web.token_file", "a path", "3"),
        ("- a", "the file", "", "['a']"),
        ("server: {http_port: 1, http_port: 2}", "", "", "given twice"),
        ("a: [", "", "", "expected"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, place: str, expected: str, found: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(place)
    assert expected in problem
    assert found in problem


def test_every_mistake_is_told_at_once() -> None:
    assert len(problems("server: {http_port: x, nonsense: 1}\nweb: {port: -1}")) == 3


@given(st.text(max_size=80))
def test_no_text_does_anything_but_load_or_be_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text), Config)


def test_every_setting_says_what_it_is() -> None:
    """A field of a section is documented by a string under it, with a unit or a meaning."""

    def undocumented(kind: type, name: str) -> list[str]:
        source = Path(__import__("inspect").getsourcefile(kind)).read_text()
        found = []
        for field in dataclasses.fields(kind):
            inner = field.default if dataclasses.is_dataclass(field.default) else None
            if inner is not None:
                found += undocumented(type(inner), f"{name}.{field.name}")
            after = source.split(f"\n    {field.name}: ", 1)[1].split("\n", 1)[1].lstrip()
            if not after.startswith('"""'):
                found.append(f"{name}.{field.name}")
        return found

    sections = {field.name: getattr(Config(), field.name) for field in dataclasses.fields(Config)}
    assert [f for name, section in sections.items() for f in undocumented(type(section), name)] == []


def test_check_config_says_ok_or_exits_2_with_every_line(tmp_path: Path) -> None:
    file = tmp_path / "edgeobs.yaml"
    file.write_text("web: {port: 0}")
    good = CliRunner().invoke(app, ["check-config", str(file)])
    assert (good.exit_code, good.output.strip()) == (0, f"{file}: ok")
    file.write_text("web: {port: x}\nnope: 1")
    bad = CliRunner().invoke(app, ["check-config", str(file)])
    assert bad.exit_code == 2
    assert "web.port: expected" in bad.output
    assert "nope: expected one of" in bad.output


@pytest.mark.parametrize(
    "arguments", [["check-config", "/nowhere/x.yaml"], ["serve", "-c", "/nowhere/x.yaml"]]
)
def test_a_missing_file_exits_2_by_name(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "/nowhere/x.yaml" in result.output


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_text("#" * (1 << 21))
    with pytest.raises(ConfigError, match="larger than"):
        load(file)
