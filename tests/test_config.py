"""A config file is used whole, or refused with the place of every mistake."""

import ast
import contextlib
import dataclasses
import datetime as dt
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edgeobs.cli import app
from edgeobs.config import Config, ConfigError, load, parse, warnings
from edgeobs.detect.models import ModelSettings

UNPROTECTED = (
    "{model: anomaly.ThresholdFilter, parameters: {anomaly_detector: {model: anomaly.LODA}, threshold: 3, "
    "protect_anomaly_detector: false}}"
)
ODD_STEP = "{model: [{model: preprocessing.Normalizer, parameters: {ordr: 1}}, anomaly.LODA]}"


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
        (
            "server: {tokens: [{name: a, nodes: b}]}",
            "server.tokens[0].nodes: ",
            "expected a list or '*'",
            "'b'",
        ),
        ("server: {tokens: [{name: a, nodes: [3]}]}", "server.tokens[0].nodes[0]: ", "valid string", "3"),
        ("web: {port: 4318}", "web.port: ", "another port than server.http_port", "4318"),
        ("server: {grpc_port: 4318}", "server.grpc_port: ", "another port than server.http_port", "4318"),
        ("web: {port: 4317, host: 0.0.0.0}", "web.port: ", "another port than server.grpc_port", "4317"),
        ("remediate: {verbs: [reboot]}", "remediate.verbs[0]", "'cordon'", "'reboot'"),
        ("remediate: {cluster_share: 1.5}", "remediate.cluster_share", "less than or equal to 1", "1.5"),
        ("remediate: {cluster_share: 200 %}", "remediate.cluster_share", "number", "'200 %' (10 % is 0.1)"),
        ("remediate: {ladders: {disk_fail: []}}", "remediate.ladders.disk_fail", "disk_failing", "disk_fail"),
        (
            "remediate: {windows: [{start: 4:00, end: 22:30}]}",
            "remediate.windows[0].start",
            "HH:MM",
            "'4:00'",
        ),
        (
            "remediate: {windows: [{start: 01:00, end: 02:00, days: [son]}]}",
            "remediate.windows[0].days[0]",
            "'sun'",
            "'son'",
        ),
        (
            "remediate: {windows: [{start: 01:00, end: 02:00, timezone: Mars/X}]}",
            "remediate.windows[0].timezone",
            "IANA",
            "Mars/X",
        ),
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


def test_a_time_of_day_is_no_number_in_base_60() -> None:
    (window,) = parse("remediate: {windows: [{start: 22:30, end: 04:00}]}").remediate.windows
    assert (window.start, window.end) == ("22:30", "04:00")
    assert parse("server: {http_port: 1_318}").server.http_port == 1318


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("remediate: {dry_run: false, live: [cordon]}", "cluster.kind is not kubernetes"),
        ("remediate: {live: [cordon]}", "remediate.dry_run is on"),
        ("remediate: {dry_run: false}", "remediate.live names no action"),
        ("remediate: {live: [cordon], verbs: [taint]}", "not in remediate.verbs"),
        ("remediate: {pause: true}", "only this file can resume"),
        ("remediate: {per_hour: null}", "remediate.per_hour: no budget is set"),
        ("remediate: {cluster_share: 0}", "remediate.cluster_share: a budget of 0"),
        ("remediate: {live: [drain]}", "nobody can approve drain"),
    ],
)
def test_what_is_most_likely_not_meant_is_told_and_can_be_used(
    tmp_path: Path, text: str, warning: str
) -> None:
    assert any(warning in each for each in warnings(parse(text)))
    file = tmp_path / "edgeobs.yaml"
    file.write_text(text)
    done = CliRunner().invoke(app, ["check-config", str(file)])
    assert (done.exit_code, done.stdout) == (0, f"{file}: ok\n")
    assert warning in done.stderr
    assert not list(warnings(Config()))


def test_a_port_may_be_given_at_two_addresses_and_any_free_one_twice() -> None:
    assert parse("web: {port: 4318, host: 127.0.0.2}").web.port == 4318
    assert parse("web: {port: 0}\nserver: {http_port: 0, grpc_port: 0}").web.port == 0
    assert parse("server: {grpc_port: null}").server.grpc_port is None


@pytest.mark.parametrize(
    ("model", "place", "expected", "found"),
    [
        ("{}", "model", "a value", "nothing"),
        ("{model: anomaly.LODA, pre: node}", "pre", "per", "did you mean 'per'?"),
        ("{model: anomaly.LODA, per: pod}", "per", "'node' or 'workload'", "'pod'"),
        ("{model: anomaly.LODA, max_models: 0}", "max_models", "greater than or equal to 1", "0"),
        ("{model: 3}", "model", "a name such as anomaly.HalfSpaceTrees", "3"),
        ("{model: []}", "model", "at least one step", "empty"),
        ("{model: anomaly.HalfSpaceTree}", "model", "River has no", "mean 'anomaly.HalfSpaceTrees'?"),
        ("{model: os.system}", "model", "expected a class of one of anomaly", "'os.system'"),
        ("{model: anomaly.base.os}", "model", "expected a class of one of anomaly", "'anomaly.base.os'"),
        ("{model: anomaly.__doc__}", "model", "River has no", "'anomaly.__doc__'"),
        ("{model: datasets.CreditCard}", "model", "expected a class of one of anomaly", "datasets"),
        ("{model: linear_model.LinearRegression}", "model", "anomaly or drift detector", "LinearRegression"),
        ("{model: anomaly.LODA, parameters: {n_bin: 3}}", "parameters.n_bin", "n_bins", "mean 'n_bins'?"),
        ("{model: anomaly.LODA, parameters: {n_bins: few}}", "parameters", "does not run", "Error"),
        ("{model: anomaly.LODA, parameters: {n_bins: .nan}}", "parameters.n_bins", "finite", "nan"),
        ("{model: anomaly.QuantileFilter, parameters: {q: 0.9}}", "parameters.anomaly_detector", "value", ""),
        (
            "{model: anomaly.HalfSpaceTrees, parameters: {limits: {a: [0, 1]}}}",
            "parameters.limits",
            "none",
            "",
        ),
        (UNPROTECTED, "parameters.protect_anomaly_detector", "true", "never learns"),
        ("{model: [stats.Mean]}", "model", "anomaly or drift detector", "Mean"),
        ("{model: [anomaly.LODA, anomaly.LODA]}", "model", "transformers before the last", "LODA (step 0)"),
        ("{model: [preprocessing.Normalizer, {modl: x}]}", "model[1].modl", "model, parameters", "'modl'"),
        ("{model: [preprocessing.Normalizer, {model: x.Y}]}", "model[1].model", "class of one of", "'x.Y'"),
        ("{model: [preprocessing.Normalizer, anomaly.GaussianScorer]}", "model", "name it alone", "Gaussian"),
        ("{model: [preprocessing.Normalizer, drift.ADWIN]}", "model", "name it alone", "ADWIN"),
        (ODD_STEP, "model[0].parameters.ordr", "Normalizer takes order", "did you mean 'order'?"),
        ("{model: [anomaly.LODA], parameters: {n_bins: 3}}", "parameters", "none", "each step has its own"),
    ],
)
def test_a_wrong_model_is_told_with_its_place(model: str, place: str, expected: str, found: str) -> None:
    pytest.importorskip("river", reason="needs River: pip install 'edgeobs[river]'")
    (problem,) = problems(f"detectors: {{mine: {model}}}")
    assert problem.startswith(f"detectors.mine.{place}: ")
    assert expected in problem
    assert found in problem


def test_a_model_has_a_plain_name() -> None:
    (problem,) = problems("detectors: {a/b: {model: anomaly.LODA}}")
    assert problem.startswith("detectors.a/b")
    assert "pattern" in problem


def test_models_without_river_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("edgeobs.detect.river")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "river", None)
    (problem,) = problems("detectors: {mine: {model: anomaly.LODA}}")
    assert problem == "detectors: need river, which is not installed: pip install 'edgeobs[river]'"


def test_a_wrong_model_exits_2(tmp_path: Path) -> None:
    pytest.importorskip("river", reason="needs River: pip install 'edgeobs[river]'")
    file = tmp_path / "edgeobs.yaml"
    file.write_text("detectors: {mine: {model: anomaly.HalfSpaceTree}}")
    for arguments in (["check-config", str(file)], ["serve", "-c", str(file)]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert f"{file}: detectors.mine.model: River has no 'anomaly.HalfSpaceTree'" in result.output


def test_every_mistake_is_told_at_once() -> None:
    assert len(problems("server: {http_port: x, nonsense: 1}\nweb: {port: -1}")) == 3


@given(st.text(max_size=80))
def test_no_text_does_anything_but_load_or_be_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text), Config)


def test_every_setting_says_what_it_is() -> None:
    """A field of a section is documented by a string under it, with a unit or a meaning."""

    def documented(kind: type) -> set[str]:
        source = Path(__import__("inspect").getsourcefile(kind)).read_text()
        body = next(
            n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == kind.__name__
        ).body
        return {
            field.target.id
            for field, text in pairwise(body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        }  # fmt: skip

    def undocumented(kind: type, name: str) -> list[str]:
        found = []
        for field in dataclasses.fields(kind):
            inner = field.default if dataclasses.is_dataclass(field.default) else None
            if inner is not None:
                found += undocumented(type(inner), f"{name}.{field.name}")
            if field.name not in documented(kind):
                found.append(f"{name}.{field.name}")
        return found

    sections = {field.name: getattr(Config(), field.name) for field in dataclasses.fields(Config)}
    sections["detectors"] = ModelSettings(model="any")
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


@pytest.mark.parametrize("name", ["Mars/Base", "", "../../etc/passwd"])
def test_a_time_zone_that_is_none_is_named(name: str) -> None:
    (problem,) = problems(f"detect: {{timezone: '{name}'}}")
    assert problem.startswith("detect.timezone: expected an IANA time zone")
    assert repr(name) in problem


def test_sites_have_days_of_their_own(tmp_path: Path) -> None:
    dates = tmp_path / "dates.txt"
    dates.write_text("# Saxony\n2026-11-18  # of repentance\n\n2026-12-25\n")
    config = parse(
        f"detect: {{holidays: [2026-01-01], holidays_file: {dates}, sites: {{"
        f"dresden: {{timezone: Europe/Berlin, holidays_file: {dates}}}, "
        f"riyadh: {{rest_days: [friday, saturday]}}}}}}"
    )
    day = dt.date
    first, repentance, christmas = day(2026, 1, 1), day(2026, 11, 18), day(2026, 12, 25)
    assert config.detect.holidays == (first, repentance, christmas)
    assert config.detect.sites["dresden"].holidays == (repentance, christmas)
    assert config.detect.sites["riyadh"].holidays is None
    assert config.detect.sites["riyadh"].rest_days == ("friday", "saturday")


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("sites: {oslo: {timezone: Europe/Olso}}", "detect.sites.oslo.timezone", "IANA"),
        ("sites: {oslo: {zone: Europe/Oslo}}", "detect.sites.oslo.zone", "timezone"),
        ("sites: {oslo: {rest_days: [sun]}}", "detect.sites.oslo.rest_days[0]", "'sunday'"),
        ("rest_days: [funday]", "detect.rest_days[0]", "'sunday'"),
        ("holidays: [2026-02-30]", "detect.holidays[0]", "2026-02-30"),
        ("holidays_file: nowhere.txt", "detect.holidays_file", "nowhere.txt"),
        ("sites: {oslo: {holidays_file: DATES}}", "detect.sites.oslo.holidays_file", "line 2"),
    ],
)
def test_a_wrong_calendar_is_told_with_its_place(
    text: str, place: str, expected: str, tmp_path: Path
) -> None:
    dates = tmp_path / "dates.txt"
    dates.write_text("2026-12-25\n26.12.2026\n")
    (problem,) = problems(f"detect: {{{text.replace('DATES', str(dates))}}}")
    assert problem.startswith(f"{place}: ")
    assert expected in problem
