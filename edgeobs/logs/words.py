"""What the first words of a line tell besides its template: when it was written, and how grave it is."""

import re
from functools import lru_cache

from edgeobs.signals import SEVERITIES

_LOOKED_AT = 8  # words
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_STAMP = re.compile(
    rf"\[?(?:{_DAY} )?(?:{_MONTH} <num>,? |<num> {_MONTH} )?(?:<num>,? )?"
    r"(?:<time>[\],:]* ){1,2}(?:<num>\][:,]? )?"
)
_NAMED = {
    "trace": "trace", "debug": "debug", "dbg": "debug", "info": "info", "information": "info",
    "notice": "info", "warn": "warn", "warning": "warn", "error": "error", "err": "error", "severe": "error",
    "fatal": "fatal", "critical": "fatal", "crit": "fatal", "alert": "fatal", "emerg": "fatal",
    "emergency": "fatal", "panic": "fatal",
}  # fmt: skip
_LETTER = {"T": "trace", "D": "debug", "I": "info", "N": "info", "W": "warn", "E": "error", "F": "fatal"}
_TENS = {"10": "trace", "20": "debug", "30": "info", "40": "warn", "50": "error", "60": "fatal"}
_NAMES = "|".join(sorted(_NAMED, key=len, reverse=True))
_LEVEL = re.compile(
    rf"""(?i:\b(?:level|lvl|severity)["']?[=:]["']?(?P<field>{_NAMES})\b)
    |(?<!\w)(?P<upper>{_NAMES.upper()})(?!\w)
    |[\[<(](?i:(?P<framed>{_NAMES}))[\])>]
    |^(?i:(?P<colon>{_NAMES})):""",
    re.VERBOSE,
)


class Levels(dict[str, int]):
    """Severity that a masked word tells, into `SEVERITIES`; remembered for up to ``limit`` short words."""

    def __init__(self, limit: int = 8192) -> None:
        super().__init__()
        self.limit = limit

    def __missing__(self, word: str) -> int:
        found = _LEVEL.search(word)
        told = SEVERITIES.index(_NAMED[found[found.lastgroup or 0].lower()]) if found else 0
        if len(word) <= 64:
            if len(self) >= self.limit:
                self.clear()
            self[word] = told
        return told

    def of(self, line: tuple[str, ...]) -> int:
        """What the first words say: ``level=error``, ``ERROR``, ``[error]``, ``error:``, klog's ``E0102``."""
        if line[0][1:] == "<num>" and line[0][0] in "IWEF":  # as klog writes: letter, month and day
            return SEVERITIES.index(_LETTER[line[0][0]])
        return next(filter(None, map(self.__getitem__, line[:_LOOKED_AT])), 0)


def stamped(line: tuple[str, ...]) -> int:
    """How many leading words are a date and time; never the whole line."""
    begin = " ".join(line[:_LOOKED_AT])
    found = _STAMP.match(begin) if "<time>" in begin else None
    return found[0].count(" ") if found else 0


def severity(level: object) -> int:
    """Into `SEVERITIES`: a level as a JSON line gives it, by name or in tens as bunyan and pino do."""
    if isinstance(level, bool) or not isinstance(level, int | str):
        return 0
    return _named(str(level)[:32])


@lru_cache(maxsize=256)
def _named(level: str) -> int:
    word = level.strip().lower()
    name = _TENS.get(word) or _NAMED.get(word) or _LETTER.get(word.upper(), "")
    return SEVERITIES.index(name)
