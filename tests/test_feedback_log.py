"""The log of operators' words: its lines, who writes at the same time, what is skipped, the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from edgeobs import snapshot
from edgeobs.cli import app
from edgeobs.detect.feedback import Entry, FeedbackSettings, Target
from edgeobs.feedback_log import (
    AHEAD_NS,
    MOST_BYTES,
    NAME,
    Listener,
    Word,
    append,
    encode,
    factors,
    parse,
    said,
)
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Identity, Kind, Resource, Source

NOW = 1_700_000_000 * SECOND
GOOD = b'{"at": "2023-11-14T22:00:00Z", "verdict": "fine", "metric": "load"}\n'


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["feedback", *map(str, arguments)])


texts = st.text(st.characters(codec="utf-8"), max_size=8)
pairs = st.none() | st.dictionaries(texts, texts, max_size=3).map(lambda found: tuple(sorted(found.items())))
places = st.tuples(texts, texts).map(lambda place: Resource(zone=place[0], node=place[1]))
words = st.builds(
    Word,
    st.builds(
        Entry,
        st.builds(Target, texts.filter(bool), pairs, places),
        st.sampled_from(["fine", "real"]),
        st.integers(0, NOW // 1000).map(lambda us: us * 1000),
    ),
    texts,
)  # fmt: skip


@given(st.lists(words, max_size=5))
def test_what_is_written_is_read(log: list[Word]) -> None:
    assert parse(b"".join(map(encode, log)), NOW) == (log, [])


@given(words)
def test_a_line_cut_anywhere_is_skipped_and_spoils_no_other(word: Word) -> None:
    line = encode(word)
    for cut in range(1, len(line) - 1):
        found, bad = parse(GOOD + line[:cut] + b"\n" + GOOD, NOW)
        assert len(found) == 2
        assert [each.number for each in bad] == [2]


@given(st.binary(max_size=40))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    found, _ = parse(noise.replace(b"\n", b"") + b"\n" + GOOD, NOW)
    assert found[-1].entry.target == Target("load")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"verdict": "good"}, "fine or real"),
        ({"verdict": []}, "unhashable"),
        ({"nod": "n1"}, "found 'nod'"),
        ({"metric": ""}, "a metric"),
        ({"metric": None}, "a metric"),
        ({"node": 3}, "texts"),
        ({"labels": {"a": 1}}, "texts"),
        ({"labels": [["a", "b"]]}, "labels: expected an object"),
        ({"at": "2023-11-14T22:00:00"}, "offset"),
        ({"at": 1_700_000_000}, "offset"),
        ({"at": "yesterday"}, "isoformat"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "1970"),
        ({"at": "2024-11-14T22:00:00Z"}, "ahead"),
    ],
)
def test_a_line_that_is_no_word_says_why(change: dict[str, object], reason: str) -> None:
    line = json.dumps(json.loads(GOOD) | change).encode()
    found, ((number, why),) = parse(GOOD + b"\n" + line, NOW)
    assert (len(found), number) == (1, 3)
    assert reason in why


def test_deep_nesting_is_a_bad_line() -> None:
    assert [each.number for each in parse(b"[" * 100_000 + b"\n" + GOOD, NOW)[1]] == [1]


@pytest.mark.parametrize(
    ("node", "metric", "target"),
    [
        ("n1", "load", Target("load", None, Resource(node="n1"))),
        ("attic/n1", "load{}", Target("load", (), Resource(zone="attic", node="n1"))),
        ("attic/*", "load", Target("load", None, Resource(zone="attic"))),
        ("*", 'a:rate{z="1",b="ü \\" ,{}"}', Target("a:rate", (("b", 'ü \\" ,{}'), ("z", "1")))),
    ],
)
def test_what_the_page_shows_is_what_is_meant(node: str, metric: str, target: Target) -> None:
    assert said(node, metric, "real", "ann", NOW) == Word(Entry(target, "real", NOW), "ann")


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(max_size=6), max_size=3))
def test_a_series_is_found_by_its_own_text(labels: dict[str, str]) -> None:
    identity = Identity(Source((), Resource(node="n")), "m", tuple(sorted(labels.items())), Kind.GAUGE)
    if not any('",' in value for value in labels.values()):  # a text that has it may be read in two ways
        found = said("n", identity.text(), "fine", "", NOW).entry.target
        assert found == (Target.of(identity) if labels else Target("m", None, Resource(node="n")))


@pytest.mark.parametrize("metric", ['m{a="1"', "m{a=1}", 'm{a="1"x}', "{}", "", 'm{a="1",}'])
def test_what_is_no_series_is_refused(metric: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        said("n1", metric, "fine", "", NOW)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from edgeobs.feedback_log import append, said\n"
        "for k in range(50): append(Path(sys.argv[1]), said('n', 'm' * 300, 'fine', f'{sys.argv[2]}-{k}', k))"
    )
    path = tmp_path / NAME
    writers = [subprocess.Popen([sys.executable, "-c", script, path, str(n)]) for n in range(4)]
    assert [each.wait(60) for each in writers] == [0] * 4
    found, bad = parse(path.read_bytes(), NOW)
    assert not bad
    assert {word.by for word in found} == {f"{n}-{k}" for n in range(4) for k in range(50)}


def test_a_word_after_a_cut_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(GOOD + GOOD[:20])
    append(path, said("n1", "load", "real", "ann", NOW))
    found, bad = parse(path.read_bytes(), NOW)
    assert [word.entry.verdict for word in found] == ["fine", "real"]
    assert [each.number for each in bad] == [2]


def test_the_log_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"\n" * (MOST_BYTES - 10))
    done = run("n1", "load", "fine", "--data-dir", tmp_path)
    assert done.exit_code == 1
    assert "larger than" in done.stderr
    assert path.stat().st_size == MOST_BYTES - 10


def test_the_factor_is_of_the_word_and_wider_ones() -> None:
    log = [said(node, "load", "fine", "", NOW) for node in ("*", "n1", "attic/n1")]
    about = [word.entry.target for word in log]
    found = factors(log, about, FeedbackSettings(), NOW)
    assert found == pytest.approx([0.8, 0.64, 0.512], rel=1e-6)


class Told:
    """A listener, and what it says at each second."""

    def __init__(self, folder: Path) -> None:
        self.counts, self.now = Counts(), NOW
        self.listener = Listener(folder, self.counts)

    def __call__(self, later: int = SECOND) -> int | None:
        self.now += later
        found = self.listener.look(self.now)
        return None if found is None else len(found)

    @property
    def errors(self) -> int:
        return self.counts["edgeobs_store_errors_total", "feedback"]


def test_it_is_read_when_it_changed_and_only_then(tmp_path: Path) -> None:
    told, path = Told(tmp_path), tmp_path / NAME
    assert [told(), told()] == [0, None]
    append(path, said("n1", "load", "fine", "", NOW))
    assert [told(SECOND // 2), told(SECOND // 2), told()] == [None, 1, None]
    path.unlink()
    assert [told(), told()] == [0, None], "what is not in the log was not said"


def test_a_bad_line_is_skipped_counted_and_named_once(tmp_path: Path) -> None:
    told, path = Told(tmp_path), tmp_path / NAME
    path.write_bytes(GOOD + b"nonsense\n" + GOOD)
    with capture_logs() as logs:
        assert told() == 2
    assert [(each["line"], each["file"]) for each in logs if "line" in each] == [(2, str(path))]
    append(path, said("n1", "load", "fine", "", NOW))
    assert told() == 3
    assert told.errors == 1
    path.write_bytes(path.read_bytes() + b"more\n" * 1000)
    with capture_logs() as logs:
        assert told() == 3
    assert len(logs) < 20
    assert told.errors == 1001


def test_a_log_that_cannot_be_read_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    told, path = Told(tmp_path), tmp_path / NAME
    path.write_bytes(b"\n" * (MOST_BYTES + 1))
    with capture_logs() as logs:
        assert [told(), told()] == [None, None]
    assert [each["event"] for each in logs] == ["feedback_unreadable"]
    assert told.errors == 1
    path.write_bytes(GOOD)
    assert told() == 1
    path.unlink()
    path.mkdir()
    assert told() is None
    assert str(path) in told.listener.problem


def test_a_core_that_boots_before_its_clock_is_set_hears_in_the_end(tmp_path: Path) -> None:
    told = Told(tmp_path)
    append(tmp_path / NAME, said("n1", "load", "fine", "", NOW))
    told.now = 100 * SECOND
    assert [told(), told()] == [0, None]
    assert told(NOW - told.now) == 1
    assert told(-2 * AHEAD_NS) == 0


def test_the_command_writes_and_says_what_it_comes_to(tmp_path: Path) -> None:
    done = run("attic/n1", 'temp{sensor="ü"}', "fine", "--data-dir", tmp_path, "--by", "ann")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        f'{tmp_path / NAME}: fine: temp{{sensor="ü"}} on attic/n1, by ann\nfactor of its scores: 0.80\n'
    )
    line = json.loads((tmp_path / NAME).read_text(encoding="utf-8"))
    assert line.pop("at").endswith("+00:00")
    about = {"metric": "temp", "labels": {"sensor": "ü"}, "node": "n1", "zone": "attic"}
    assert line == about | {"by": "ann", "verdict": "fine"}
    assert "0.64" in run("attic/n1", 'temp{sensor="ü"}', "fine", "--data-dir", tmp_path).stdout
    assert "0.80" in run("attic/n1", 'temp{sensor="ü"}', "real", "--data-dir", tmp_path).stdout
    assert "1.25" in run("*", "load", "real", "--data-dir", tmp_path).stdout


def test_the_list_shows_words_factors_and_bad_lines(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(GOOD + b'{"by": "\\u001b[2J"}\n')
    run("n1", "load", "real", "--data-dir", tmp_path, "--by", "e\x1b[2J")
    done = run("--list", "--data-dir", tmp_path)
    assert done.exit_code == 0
    old, new = done.stdout.splitlines()
    assert old.startswith("2023-11-14 22:00:00 UTC  fine  ")
    assert old.endswith("  load on *")
    assert "  real  " in new
    assert "  load on n1, by e" in new
    assert done.stderr.startswith(f"{path}, line 2: ")
    assert "\x1b" not in done.output


def test_a_word_about_nothing_known_is_taken_and_doubted(tmp_path: Path) -> None:
    table = SeriesTable(5)
    table.intern(Identity(Source((), Resource("", "z", "n1")), "load", (), Kind.GAUGE), 0, NOW)
    snapshot.write(tmp_path / snapshot.NAME, table.state(), ["loopback"], {})
    assert run("n1", "load", "fine", "--data-dir", tmp_path).stderr == ""
    done = run("n2", "load", "fine", "--data-dir", tmp_path)
    assert done.exit_code == 0
    assert "no series of the last snapshot" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["n1"],
        ["n1", "m"],
        ["n1", "m", "good"],
        ["n1", "m{", "fine"],
        ["n1", "\udc80", "fine"],
        ["--list", "n1"],
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, "--data-dir", tmp_path)
    assert done.exit_code == 2
    assert "expected" in done.stderr or "utf-8" in done.stderr
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("n1", "load", "fine", "--data-dir", tmp_path / "none")
    assert (done.exit_code, done.stderr) == (1, f"{tmp_path / 'none' / NAME}: No such file or directory\n")


def test_a_word_written_in_part_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = os.write
    monkeypatch.setattr("edgeobs.feedback_log.file.os.write", lambda file, line: writing(file, line[:9]))
    done = run("n1", "load", "fine", "--data-dir", tmp_path)
    assert done.exit_code == 1
    assert "written in part" in done.stderr
