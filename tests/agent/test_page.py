"""docs/agent.md names every setting of the agent, with its default."""

import dataclasses
import re
from pathlib import Path

import pytest

from edgeobs.agent.settings import AgentSettings, Target
from edgeobs.uplink import Settings as UplinkSettings

PAGE = (Path(__file__).parents[2] / "docs" / "agent.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [AgentSettings, Target, UplinkSettings])
def test_every_setting_is_on_the_page(kind: type) -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE)) | {"uplink"}
    missing = {field.name for field in dataclasses.fields(kind)} - named
    assert not missing


def test_defaults_are_the_codes() -> None:
    row = re.compile(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|", re.MULTILINE)
    checked = 0
    for names, defaults in row.findall(PAGE):
        pairs = zip(names.replace("`", "").split(", "), defaults.strip().split(", "), strict=False)
        for name, default in pairs:
            for kind in (AgentSettings, UplinkSettings):
                value = {field.name: field.default for field in dataclasses.fields(kind)}.get(name)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    assert float(default) == value, name
                    checked += 1
    assert checked == 12


def test_every_setting_says_what_it_is() -> None:
    for kind in (AgentSettings, Target, UplinkSettings):
        source = Path(__file__).parents[2] / (kind.__module__.replace(".", "/") + ".py")
        text = source.read_text(encoding="utf-8")
        for field in dataclasses.fields(kind):
            assert re.search(rf'^    {field.name}: .*\n    """', text, re.MULTILINE), field.name
