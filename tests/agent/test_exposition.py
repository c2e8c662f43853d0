"""Prometheus's text: as prometheus_client reads it, whole and by layout, and no garbage gets through."""

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edgeobs.agent.exposition import Exposition, Walk, parse
from edgeobs.ingest.decoders import exposition_walk

NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABEL = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True)
ODD = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # str.splitlines ends a line here, the format does not
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters=ODD), max_size=8)
SPACE = st.sampled_from([" ", "  ", "\t", " \t "])
NUMBER = (
    st.floats().map(repr)
    | st.integers(-(10**20), 10**20).map(str)
    | st.sampled_from(["+Inf", "-Inf", "NaN", "1e+06"])
)

SHORT = st.builds(
    lambda x, form: form % x, st.floats(-1e20, 1e20), st.sampled_from(["%.6g", "%.3f", "%.9e", "%d"])
)

WALK = exposition_walk(compiled=True)
both = pytest.mark.parametrize(
    "walk",
    [None, pytest.param(WALK, marks=pytest.mark.skipif(WALK is None, reason="nothing is compiled here"))],
    ids=["plain", "compiled"],
)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, str, int | None]:
    """The key, the value and perhaps the time of a sample."""
    pairs = draw(st.dictionaries(LABEL, TEXT, max_size=3))
    inside = ",".join(f'{k}="{escaped(v)}"' for k, v in pairs.items())
    trailing = draw(st.sampled_from(["", ","] if pairs else [""]))
    key = draw(NAMES) + draw(st.sampled_from(["{" + inside + trailing + "}"] + ([] if pairs else [""])))
    return key, draw(NUMBER), draw(st.one_of(st.none(), st.integers(0, 2**41)))


def ours(found: Exposition) -> list[tuple[str, dict[str, str], str]]:
    return [(s.name, dict(s.labels), repr(s.value)) for s in found.samples]


def theirs(text: str) -> list[tuple[str, dict[str, str], str]]:
    found = []
    for family in text_string_to_metric_families(text):
        found += [(s.name, s.labels, repr(float(s.value))) for s in family.samples]
    return found


def body(samples: Iterable[tuple[str, str, int | None]], space: str) -> str:
    return "".join(
        f"{key}{space}{value}{'' if time is None else f'{space}{time}'}\n" for key, value, time in samples
    )


@given(st.lists(lines(), max_size=6), SPACE)
def test_what_is_read_is_what_prometheus_client_reads(
    samples: list[tuple[str, str, int | None]], space: str
) -> None:
    text = body(samples, space)
    found = parse(text.encode(), 100)
    assert ours(found) == theirs(text)
    assert [s.time_ms for s in found.samples] == [time for _, _, time in samples]


@both
@given(st.lists(lines().map(lambda line: (line[0], line[1], None)), min_size=2, max_size=6), st.data())
def test_the_next_body_of_the_same_layout_is_read_as_the_whole_parser_would(
    walk: Walk | None, samples: list[tuple[str, str, None]], data: st.DataObject
) -> None:
    head = "# HELP a b\n# TYPE a gauge\n"
    first = parse((head + body(samples, " ")).encode(), 100, walk)
    again = [(key, data.draw(NUMBER | SHORT), None) for key, _, _ in samples]
    text = head + body(again, " ")
    assert first.layout is not None
    values = first.layout.values(text.encode())
    assert values is not None
    assert [repr(v) for v in values.tolist()] == [repr(s.value) for s in parse(text.encode(), 100).samples]


FIRST = b'# TYPE a counter\na{x="1"} 1\nb 2\nc 3\n'
OTHERS = {
    "another type": b'# TYPE a gauge\na{x="1"} 1\nb 2\nc 3\n',
    "another order": b'# TYPE a counter\nb 2\na{x="1"} 1\nc 3\n',
    "one more": b'# TYPE a counter\na{x="1"} 1\nb 2\nc 3\nd 4\n',
    "one less": b'# TYPE a counter\na{x="1"} 1\nb 2\n',
    "another label": b'# TYPE a counter\na{x="2"} 1\nb 2\nc 3\n',
    "a longer name": b'# TYPE a counter\na{x="1"} 1\nbb 2\nc 3\n',
    "a timestamp": b'# TYPE a counter\na{x="1"} 1\nb 2 1700000000000\nc 3\n',
    "no number": b'# TYPE a counter\na{x="1"} 1\nb two\nc 3\n',
    "nothing": b"",
}


@both
@pytest.mark.parametrize("what", OTHERS)
def test_a_body_of_another_layout_is_not_taken_for_this_one(what: str, walk: Walk | None) -> None:
    layout = parse(FIRST, 10, walk).layout
    assert layout is not None
    assert layout.values(FIRST) is not None
    assert layout.values(OTHERS[what]) is None


SPELLED = [
    "0", "-0", "+5", "1.", ".5", "00012", "1e+06", "1E-7", "1e22", "1e23", "5e-324", "1e400",
    "123456789012345", "1234567890123456", "0.30000000000000004", "123456789012345e22",
    "0." + "0" * 40 + "1", "1_0", "NaN", "+Inf", "", "-", "e5", "1e", "1e+", "1.2.3", "--1", "0x1",
    "1 2", "1 ", "1\r", "\u0661",
]  # fmt: skip


@both
@pytest.mark.parametrize("text", SPELLED)
def test_a_number_is_what_python_reads_or_none(text: str, walk: Walk | None) -> None:
    layout = parse(b"a 1\nb 2", 10, walk).layout
    assert layout is not None
    found = layout.values(f"a 1\nb {text}".encode())
    try:
        expected = [1.0, float(text.encode())]
    except ValueError:
        assert found is None
    else:
        assert found is not None
        assert [repr(each) for each in found.tolist()] == [repr(each) for each in expected]


BAD = {
    b"a": "line 1: expected a sample",
    b"ok 1\na one\n": "line 2: expected a number",
    b"1a 2\n": "line 1: expected a sample",
    b'a{b="c} 1\n': "line 1: expected a label",
    b'a{b=c} 1\n': "line 1: expected a label",
    b'a{b="1",b="2"} 1\n': "line 1: a label twice",
    b"a 1 2 3\n": "line 1: expected a sample",
    b"a 1 soon\n": "line 1: expected a sample",
    b"a 1 999999999999999999\n": "line 1: a time of more than 64 bits",
    b"a" + b" " * 16_000 + b"1" + b" " * 16_000 + b"z": "line 1: expected a sample",  # in no time at all
    b'a{b="\xff"} 1\n': "line 1: expected UTF-8",
    b"# TYPE a thing\n": "line 1: expected one of counter",
    b"<html>hello</html>\n": "line 1: expected a sample",
    b'a 1 # {trace="x"} 1\n': "line 1: expected a sample",
    b"a 1\nb 1\nc 1\n": "line 3: more than 2 samples",
    b"#\n" * 2000: "2001 lines for at most 2 samples",
    b'a{b="' + b"x" * 40_000 + b'"} 1\n': "line 1: more than 32768 bytes",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_garbage_is_refused_as_a_whole_and_the_line_is_named(text: bytes) -> None:
    with pytest.raises(ValueError, match=BAD[text]):
        parse(text, 2)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = parse(raw, 10)
    except ValueError:
        return
    assert all(isinstance(s.value, float) for s in found.samples)


def test_no_samples_are_no_trouble() -> None:
    assert parse(b"", 10).samples == []
    assert parse(b"\n# anything at all\n\r\n", 10).samples == []
    assert math.isnan(parse(b"a NaN\n", 10).samples[0].value)
