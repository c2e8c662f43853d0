"""Words lose their parameters and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeobs.logs.mask import ZEROED, Words, masked


def mask(word: str) -> str:
    return masked(word.encode().translate(ZEROED))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("4711", "<num>"),
        ("-3.5e", "<num>e"),
        ("took=123ms,", "took=<num>ms,"),
        ("1,234.5", "<num>"),
        ("10.251.73.220:50010", "<ip>"),
        ("/10.251.73.220", "/<ip>"),
        ("rhost=218.188.2.4", "rhost=<ip>"),
        ("10.0.0.0/8", "<ip>/<num>"),
        ("fe80::1ff:fe23:4567:890a", "<ip>"),
        ("2001:db8:0:0:0:0:2:1", "<ip>"),
        ("[::1]:8080", "[<ip>]:<num>"),
        ("std::string", "std::string"),
        ("00:1a:2b:3c:4d:5e", "<mac>"),
        ("00-1A-2B-3C-4D-5E", "<mac>"),
        ("3f2a1b4c-12ab-4cde-9f00-a1b2c3d4e5f6", "<uuid>"),
        ("[req-3f2a1b4c-12ab-4cde-9f00-a1b2c3d4e5f6", "[req-<uuid>"),
        ("0xDEADbeef", "<hex>"),
        ("113d3a99c3da401fbd62cc2caa5b96d2", "<hex>"),
        ("sha256:113d3a99c3da401fbd62cc2caa5b96d2", "sha<num>:<hex>"),
        ("blk_-1608999687919862906", "blk_<num>"),
        ("12:34:56.789", "<time>"),
        ("2005-06-03-15.42.50.675872", "<time>"),
        ("2026-11-30T12:00:00.123Z", "<time>"),
        ("[2026-11-30T12:00:00+01:00]", "[<time>]"),
        ("2026/11/30", "<time>"),
        ("internationalization", "internationalization"),
        ("deadbeef", "deadbeef"),  # a word as well as a number
        ("user=jürgen", "user=jürgen"),
    ],
)
def test_parameters_are_known_by_their_shape(word: str, wanted: str) -> None:
    assert mask(word) == wanted


@given(st.binary(min_size=1, max_size=80).filter(lambda raw: not raw.split() or len(raw.split()) == 1))
def test_no_digit_is_left_and_what_is_remembered_is_what_is_worked_out(raw: bytes) -> None:
    words = Words(limit=4)
    word = raw.translate(ZEROED)
    first, again = words[word], words[word]
    assert first == again == masked(word)
    assert not set("0123456789") & set(first)


@given(st.text("0123456789abcdefABCDEFx:.-/", min_size=1, max_size=60))
def test_only_where_digits_stand_matters(word: str) -> None:
    other = "".join("7" if character.isdigit() else character for character in word)
    assert mask(word) == mask(other)


def test_words_are_bounded() -> None:
    words = Words(limit=100)
    for number in range(1000):
        words[b"word-" + str(number).encode().translate(bytes.maketrans(b"0123456789", b"abcdefghij"))]
    words[b"x" * 10_000]
    assert len(words) <= 100
    assert max(map(len, words)) <= 64
