"""docs/agent.md names every setting of the agent, with its default."""

import dataclasses
import re
from pathlib import Path

import pytest

from edgeobs.agent.alone.rules import RULES
from edgeobs.agent.alone.settings import Pods, Signs, Unit
from edgeobs.agent.alone.settings import Settings as AloneSettings
from edgeobs.agent.settings import AgentSettings, Target
from edgeobs.uplink import Settings as UplinkSettings

PAGE = (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8")
AGENT, ACTING_ALONE = PAGE.split("## Acting alone")
KINDS = (AgentSettings, Target, UplinkSettings, AloneSettings, Signs, Unit, Pods)


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_is_on_the_page(kind: type) -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE)) | {"uplink", "alone"}
    missing = {field.name for field in dataclasses.fields(kind)} - named
    assert not missing


@pytest.mark.parametrize(
    ("page", "kinds", "number"),
    [(AGENT, (AgentSettings, UplinkSettings), 12), (ACTING_ALONE, (AloneSettings,), 7)],
    ids=["agent", "alone"],
)
def test_defaults_are_the_codes(page: str, kinds: tuple[type, ...], number: int) -> None:
    row = re.compile(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|", re.MULTILINE)
    checked = 0
    for names, defaults in row.findall(page):
        pairs = zip(names.replace("`", "").split(", "), defaults.strip().split(", "), strict=False)
        for name, default in pairs:
            for kind in kinds:
                value = {field.name: field.default for field in dataclasses.fields(kind)}.get(name)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    assert float(default) == value, name
                    checked += 1
    assert checked == number


def test_every_rule_of_acting_alone_is_on_the_page_in_its_order() -> None:
    column = re.findall(r"^\| (`[a-z_`, ]+`) \| [^|]+ \|$", ACTING_ALONE, re.MULTILINE)
    assert ", ".join(column).replace("`", "").split(", ") == list(RULES)


def test_every_setting_says_what_it_is() -> None:
    for kind in KINDS:
        source = Path(__file__).parents[2] / (kind.__module__.replace(".", "/") + ".py")
        text = source.read_text(encoding="utf-8")
        for field in dataclasses.fields(kind):
            assert re.search(rf'^    {field.name}: .*\n    """', text, re.MULTILINE), field.name
