"""Series selectors, as Prometheus writes them: ``name``, ``{node="edge-1"}``, ``name{disk=~"sd."}``."""

import re
from dataclasses import dataclass
from functools import lru_cache

from edgeobs.signals import Identity, Resource

_MATCHER = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPED = re.compile(r"\\(.)")


class SelectorError(ValueError):
    """The text selects nothing; the message says where it stops making sense."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label, or on the place: ``node``, ``zone`` …; a label that is missing is empty."""

    key: str
    pattern: re.Pattern[str]
    wanted: bool

    def fits(self, identity: Identity) -> bool:
        """Whether a series meets it."""
        return bool(self.pattern.fullmatch(_label(identity, self.key))) == self.wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series are meant; an empty name is any."""

    text: str
    name: str
    matchers: tuple[Matcher, ...]

    def fits(self, identity: Identity) -> bool:
        """Whether a series, or the one it was computed from (``name:rate``), is meant."""
        named = not self.name or self.name in {identity.name, identity.name.rpartition(":")[0]}
        return named and all(matcher.fits(identity) for matcher in self.matchers)


def selector(text: str) -> Selector:
    """Read a selector; without braces all of it is a name, and an empty one means every series.

    Raises SelectorError.
    """
    whole = text.strip()
    name, brace, inside = whole.partition("{")
    if not brace:
        return Selector(whole, whole, ())
    if not inside.endswith("}"):
        raise SelectorError(f"{text!r}: expected a closing brace at the end")
    return Selector(whole, name.strip(), tuple(_matchers(inside[:-1], text)))


def of_nodes(nodes: list[str], text: str) -> Selector:
    """Every series of some nodes."""
    pattern = re.compile("|".join(re.escape(node) for node in nodes))
    return Selector(text, "", (Matcher("node", pattern, wanted=True),))


def _matchers(inside: str, text: str) -> list[Matcher]:
    found, at = [], 0
    while inside[at:].strip():
        match = _MATCHER.match(inside, at)
        if match is None:
            raise SelectorError(f'{text!r}: expected label="value" at {inside[at:].strip()[:40]!r}')
        key, operator, value, _ = match.groups()
        value = _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else escaped[1], value)
        found.append(Matcher(key, _pattern(value, operator, text), operator in {"=", "=~"}))
        at = match.end()
    return found


def _pattern(value: str, operator: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(value if operator.endswith("~") else re.escape(value))
    except re.error as error:
        raise SelectorError(f"{text!r}: {value!r} is no regular expression: {error}") from error


def _label(identity: Identity, key: str) -> str:
    labels = _labels(identity)
    return labels.get(key, "")


@lru_cache(maxsize=4096)
def _labels(identity: Identity) -> dict[str, str]:
    place = zip(Resource._fields, identity.source.resource, strict=True)
    return (
        dict(identity.source.attributes) | dict(place) | dict(identity.labels) | {"__name__": identity.name}
    )
