"""The whole of it at the command line: figures, JSON, the page, a diff, and what is said when it cannot."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner, Result

from edgeobs.cli import app

START = 1_700_000_000
FAULT = (600, 660)
CHROMIUM = shutil.which("chromium")
DATA = Path(__file__).parents[3] / "shared" / "data"
NAUGHTY = '<script>alert("x")</script>&'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])


def fleet(folder: Path, *, marked: bool = False) -> Path:
    """Two nodes of two metrics for 15 minutes; n1's both jump for a minute."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(7)
    for node in ("n1", "n2"):
        values = random.normal(10, 0.5, (2, 900))
        if node == "n1":
            values[:, FAULT[0] : FAULT[1]] += 20
        frame = pl.DataFrame({"time": START + np.arange(900), "cpu": values[0], NAUGHTY: values[1]})
        if marked:
            wrong = np.zeros(900, np.int64)
            wrong[FAULT[0] : FAULT[1]] = node == "n1"
            frame = frame.with_columns(label=wrong)
        frame.write_csv(folder / f"{node}.csv")
    return folder


def labelled(path: Path) -> Path:
    path.write_text(f'series,start,end\n"{{node=""n1""}}",{START + FAULT[0]},{START + FAULT[1] - 1}\n')
    return path


def test_a_fault_is_found_and_said(tmp_path: Path) -> None:
    done = run("--data", fleet(tmp_path / "d"), "--labels", labelled(tmp_path / "l.csv"))
    assert done.exit_code == 0, done.output
    text = done.stdout
    assert text.startswith("3600 samples of 4 series, ")
    assert re.search(r"alarms of series: \d+, precision 1 .*, recall 1 \(1 of 1 labels\), delay 2 s", text), (
        text
    )
    assert re.search(r"incidents: 1, precision 1 \(1 of 1\), recall 1", text), text
    assert (
        "false alarms a series-day: promised 0.0864, over the threshold 0, alarms after de-bouncing 0" in text
    )
    assert done.stderr == ""


def test_json_says_the_same_and_a_column_of_labels_will_do(tmp_path: Path) -> None:
    folder = fleet(tmp_path / "d", marked=True)
    found: dict[str, Any] = json.loads(run("--data", folder, "--json").stdout)
    again = json.loads(run("--data", folder, "--labels", labelled(tmp_path / "l.csv"), "--json").stdout)
    assert found == again
    assert (found["alarms"]["precision"], found["alarms"]["recall"], found["alarms"]["labels"]) == (1, 1, 1)
    assert {each["place"]["node"] for each in found["by_series"] if each["alarms"]} == {"n1"}
    assert found["by_incident"][0]["found_labels"] == [0]


def test_a_diff_of_two_configurations(tmp_path: Path) -> None:
    folder = fleet(tmp_path / "d", marked=True)
    deaf, eager = tmp_path / "deaf.yaml", tmp_path / "eager.yaml"
    deaf.write_text("incidents: {open_score: 20.0}\n")
    eager.write_text("incidents: {persist_hits: 1}\n")
    text = run("--data", folder, "--against", deaf).stdout
    assert re.search(
        rf"against {deaf}: ([1-9]) alarms gained \(\1 true\), 0 lost .*; 2 of 4 series differ", text
    ), text
    found = json.loads(
        run("--data", folder, "-c", eager, "--against", tmp_path / "no.yaml", "--json").stdout or "{}"
    )
    assert found == {}, "a configuration that is not there is no default"
    none = tmp_path / "none.yaml"
    none.write_text("")
    found = json.loads(run("--data", folder, "-c", eager, "--against", none, "--json").stdout)
    changed = found["against"]["alarms_changed"]
    assert changed["earlier"] == 2
    assert changed["lost"] == 0
    same = json.loads(run("--data", folder, "--against", none, "--json").stdout)["against"]
    assert same["by_series"] == []


class Reader(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def report(tmp_path: Path, *more: object) -> Path:
    page = tmp_path / "report.html"
    done = run("--data", fleet(tmp_path / "d", marked=True), "--report", page, *more)
    assert done.exit_code == 0, done.output
    return page


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    text = report(tmp_path).read_text()
    reader = Reader()
    reader.feed(text)
    assert {"script", "link", "img", "iframe", "image", "use"}.isdisjoint(reader.tags)
    assert {"src", "href", "xlink:href", "onload"}.isdisjoint(name for name, _ in reader.attributes)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", text)
    assert "url(" not in text
    assert NAUGHTY not in text
    assert reader.tags.count("svg") == 4 + 2, "each series, and close up where there is something to tell"
    drawn = [value for name, value in reader.attributes if name == "class"]
    assert {"value", "band", "score over", "label", "threshold", "alarm true"} <= set(drawn)


def test_the_page_is_bounded(tmp_path: Path) -> None:
    reader = Reader()
    page = report(tmp_path, "--plots", 1)
    reader.feed(page.read_text())
    assert reader.tags.count("svg") == 2
    assert page.stat().st_size < 100_000
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.real
@pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it_and_asks_for_nothing(tmp_path: Path, scheme: Any, width: int) -> None:
    address = report(tmp_path).as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        view.on("console", lambda message: said.append(message.text))
        view.on("request", lambda request: asked.append(request.url))
        view.goto(address)
        ground = view.evaluate("getComputedStyle(document.body).backgroundColor")
        wide = view.evaluate("document.documentElement.scrollWidth")
        box = view.locator("svg path.value").first.bounding_box()
        browser.close()
    assert (said, asked) == ([], [address])
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
    assert wide <= width, "what is wide scrolls inside its card"
    assert box is not None
    assert box["height"] > 20


def test_what_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    folder = fleet(tmp_path / "d")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("series,start,end\ncpu,noon,noon\n")
    (tmp_path / "other.csv").write_text(f"series,start,end\nmemory,{START},{START + 9}\n")
    (tmp_path / "ago.csv").write_text("series,start,end\ncpu,1000,2000\n")
    (tmp_path / "bad.yaml").write_text("limits: {max_serie: 1}")
    for arguments, said in (
        (["--data", tmp_path / "none.csv"], "none.csv"),
        (["--data", tmp_path / "empty"], "empty: holds no .parquet and no .csv"),
        (["--data", tmp_path / "bad.yaml"], "bad.yaml: expected a name ending in"),
        (["--data", folder, "--labels", tmp_path / "bad.csv"], "bad.csv: row 1, column 'start'"),
        (["--data", folder, "--labels", tmp_path / "none.json"], "none.json"),
        (
            ["--data", folder, "--labels", tmp_path / "other.csv"],
            "none of 1 labels is of a series in it: 'memory'",
        ),
        (["--data", folder, "--labels", tmp_path / "ago.csv"], "none of 1 labels is in the time of the data"),
        (["--data", folder, "--config", tmp_path / "bad.yaml"], "limits.max_serie"),
        (["--data", folder, "--against", tmp_path / "bad.yaml"], "limits.max_serie"),
        (["--data", folder, "--report", tmp_path / "no" / "r.html"], "r.html"),
        (["--data", "http://127.0.0.1:1"], "--query: expected"),
        (["--data", "http://127.0.0.1:1", "--query", "up", "--step", "0"], "--step: expected a duration"),
        (
            ["--data", "http://127.0.0.1:1", "--query", "up", "--start", "soon"],
            "--start: expected Unix seconds",
        ),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert said in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1
        assert isinstance(done.exception, SystemExit)
    assert run().exit_code == 2


def test_files_of_the_same_name_are_different_nodes(tmp_path: Path) -> None:
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "x.csv").write_text("time,cpu\n1700000000,1\n1700000001,2\n")
    found = json.loads(run("--data", tmp_path, "--json").stdout)
    assert [each["place"]["node"] for each in found["by_series"]] == ["a/x", "b/x"]


def test_nab_is_judged_where_it_lies() -> None:
    folder = DATA / "nab"
    if not folder.exists():
        pytest.skip("needs the public data set folder nab beside the checkout, in ../shared/data")
    labels = folder / "labels" / "combined_windows.json"
    done = run("--data", folder / "data" / "artificialWithAnomaly", "--labels", labels, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["alarms"]["labels"] >= 3
    assert 0 <= found["alarms"]["recall"] <= 1
