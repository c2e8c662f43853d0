"""Label values as they are exposed. Pure."""

from enum import Enum

OVERFLOW = "_overflow"
"""The value of every label of the series that takes what is beyond a metric's cap."""

LONGEST = 128
"""Characters that a label value may have; what is longer ends in …"""


def normal(value: object) -> str:
    """A value as a label: text of one line, at most `LONGEST` characters, valid UTF-8.

    None is the empty text (which Prometheus takes for *no such label*), a bool is ``true`` or ``false``, a
    member of an Enum is its value, bytes are UTF-8. White space is trimmed and every run of it, like every
    control character, becomes one space; what UTF-8 cannot say (a lone surrogate would make the whole page
    fail) becomes ``?``.
    """
    text = value if isinstance(value, str) and not isinstance(value, Enum) else _text(value)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    if not text.isprintable() or "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Enum):
        return _text(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return str(value)
