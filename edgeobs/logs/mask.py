"""Words without their parameters: ``port 4711 from 10.0.0.7`` → ``port <num> from <ip>``.

Two steps, so that most of it is one look-up a word. Every digit becomes 0 (one pass in C over the line),
which leaves few distinct words in any log; what a word becomes then is worked out once and remembered. So a
mask may look at where digits stand, never at which they are.
"""

import re

ZEROED = bytes.maketrans(b"123456789", b"0" * 9)
"""For ``bytes.translate``: any digit → 0."""

WILD = "<*>"
"""A whole word that differs between the lines of a template."""

MORE = "<more>"
"""The last word of a template whose lines went on past what is looked at."""

KINDS = ("time", "uuid", "mac", "ip", "hex", "num")
MASKED = re.compile(rf"<(?:{'|'.join(KINDS)}|\*)>")
"""A parameter in a word of a template."""

_HEX = "[0a-fA-F]"
_ENDS = "(?![0A-Za-z])"
_RULES = {
    # dates and times of day, together or alone: 2026-11-30T12:00:00.000Z, 2005-06-03-15.42.50.675872
    "time": r"0000[-/]00[-/]00(?:[T-]00[:.]00[:.]00(?:[.,]0+)?(?:Z|[+-]00:?00)?)?|00:00:00(?:[.,]0+)?",
    "uuid": rf"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    "mac": rf"(?<![\w:]){_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}(?![\w:])",
    # IPv4 with or without a port; IPv6, where it is shortened with at least one digit (std::string is none)
    "ip": rf"(?<![\w.])0{{1,3}}(?:\.0{{1,3}}){{3}}(?::0+)?(?![\w.]*\.\w)"
    rf"|(?<![\w:])(?:{_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}(?![\w:])"
    rf"|(?<![\w:])(?=[a-fA-F:]*0)(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?::"
    rf"(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,6}})?(?![\w:])",
    # 0x…; 8 and more hexadecimal digits with both letters and digits; 16 and more in any case
    "hex": rf"0[xX]{_HEX}+|(?<![0A-Za-z])(?=0*[a-fA-F])(?:(?=[a-fA-F]*0){_HEX}{{8,}}|{_HEX}{{16,}}){_ENDS}",
    "num": r"(?:(?<![0A-Za-z])[-+])?0+(?:[.,]0+)*",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{rule})" for kind, rule in _RULES.items()), re.ASCII)
_NEVER_AGAIN = re.compile(f"{_RULES['uuid']}|{_RULES['hex']}".encode()).fullmatch
"""Whole words that are not worth remembering."""

_UUID_LENGTH = 36
_SHORTEST = 16  # a word without any digit and shorter holds no parameter
_KEPT_BYTES = 64  # longer words are not remembered


def masked(word: bytes) -> str:
    """What a word with its digits zeroed looks like without its parameters."""
    if b"0" not in word and len(word) < _SHORTEST:
        return word.decode("utf-8", "replace")
    return _ANY.sub(lambda found: f"<{found.lastgroup}>", word.decode("utf-8", "replace"))


class Words(dict[bytes, str]):
    """`masked`, remembered for up to ``limit`` words of at most 64 bytes; past it all are forgotten."""

    def __init__(self, limit: int = 32_768) -> None:
        super().__init__()
        self.limit = limit

    def __missing__(self, word: bytes) -> str:
        if _NEVER_AGAIN(word):
            return "<uuid>" if len(word) == _UUID_LENGTH else "<hex>"
        found = masked(word)
        if len(word) <= _KEPT_BYTES:
            if len(self) >= self.limit:
                self.clear()
            self[word] = found
        return found
