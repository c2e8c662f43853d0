"""The rules on own metrics: each fires when it should, stays quiet when it should, and says what to do."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeobs.catalogue import METRICS


@pytest.fixture(scope="module")
def rules(root: Path) -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    groups = yaml.safe_load((root / "alerts/edgeobs.rules.yaml").read_text())["groups"]
    found = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


@pytest.mark.real
@pytest.mark.parametrize(
    "arguments", [["check", "rules", "edgeobs.rules.yaml"], ["test", "rules", "edgeobs.rules.test.yaml"]]
)
def test_promtool_accepts_the_rules_and_their_tests(
    arguments: list[str], root: Path, program: Callable[[str, str], str]
) -> None:
    command = [program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, cwd=root / "alerts", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_shown_to_fire_and_to_stay_quiet(root: Path, rules: dict[str, Any]) -> None:
    scenarios = yaml.safe_load((root / "alerts/edgeobs.rules.test.yaml").read_text())["tests"]
    cases = [case for scenario in scenarios for case in scenario["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == quiet == set(rules)


def test_every_metric_in_an_alert_is_declared(rules: dict[str, Any]) -> None:
    for name, rule in rules.items():
        for metric in re.findall(r"\bedgeobs_\w+", rule["expr"]):
            assert re.sub(r"_(bucket|count|sum)$", "", metric) in METRICS, name


def test_every_alert_says_what_it_means_and_where_to_read_on(root: Path, rules: dict[str, Any]) -> None:
    for name, rule in rules.items():
        assert rule["labels"]["severity"] in {"critical", "warning"}, name
        assert {"summary", "description", "runbook"} == set(rule["annotations"]), name
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (root / page).read_text(), re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, name
