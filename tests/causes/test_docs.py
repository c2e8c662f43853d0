"""The example of the page on causes runs."""

import re
from pathlib import Path

from edgeobs.causes import Settings

PAGE = Path(__file__).parents[2] / "docs" / "causes.md"


def test_the_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(example, "causes.md", "exec"), {})  # noqa: S102  it is ours


def test_the_values_that_the_page_tells_are_those_of_the_code() -> None:
    page, settings = PAGE.read_text(), Settings()
    for told in (
        f"counts {settings.most:.0f} decades at most",
        f"Below {settings.floor:.0f} decades it is noise",
        f"pays {settings.calm_costs:.0f} decades for each calm member",
        f"and {settings.wide_costs:.0f} (a zone {2 * settings.wide_costs:.0f}) for being the larger claim",
        f"falls tenfold with every {settings.doubt:.0f} decades",
        f"the last {settings.memory} calm intervals",
    ):
        assert told in page, told
    assert (settings.half_life_s, settings.unused, settings.guard_s, settings.slow_factor) == (
        120,
        0.25,
        60,
        2,
    )
