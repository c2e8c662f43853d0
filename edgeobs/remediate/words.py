"""What people say about remediation, and what of it is in force. Pure.

The last word on a thing counts: an approval takes a veto back, a veto ends approvals.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from edgeobs.objects import Node
from edgeobs.remediate.marks import APPROVE
from edgeobs.signals import SECOND

Place = tuple[str, str, str]
What = Literal["pause", "resume", "approve", "veto"]
RESTRAINS: frozenset[What] = frozenset({"pause", "veto"})
"""Words that only ever keep us from acting: in force even where they cannot be written down."""

MOST = 1000
"""Words on incidents in force at once."""

LONGEST = 512
"""Characters of a name or reason that are kept."""


class Word(NamedTuple):
    """Who said what, when and why."""

    what: What
    by: str
    why: str
    at_ns: int
    incident: str = ""  # of an approval or veto
    verb: str = ""  # what is approved; empty: whatever the incident asks for
    until_ns: int = 0  # of an approval: it no longer counts then
    node: str = ""  # the UID of the node whose annotation said so; empty: the API
    late: bool = False  # of a veto: said when the incident was over already
    place: Place = ("", "", "")  # of the incident: cluster, zone, node

    def text(self) -> str:
        """``by ada at 2026-11-25 12:00 UTC: why``."""
        at = f" at {_time(self.at_ns)}" if self.at_ns else ""
        until = f" until {_time(self.until_ns)}" if self.until_ns else ""
        return f"by {self.by or 'somebody'}{at}{until}{f': {self.why}' if self.why else ''}"


class Here(NamedTuple):
    """An incident that is not over, as this replica has it: others have names of their own for the same."""

    place: Place
    opened_ns: int


class Key(NamedTuple):
    """What an approval is of."""

    incident: str
    verb: str
    node: str


@dataclass(frozen=True, slots=True)
class Words:
    """Those in force."""

    pause: Word | None = None
    vetoes: Mapping[str, Word] = field(default_factory=dict)  # by incident
    approvals: Mapping[Key, Word] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether there is no room for another."""
        return len(self.vetoes) + len(self.approvals) >= MOST

    def all(self) -> list[Word]:
        """Every one."""
        return [*([self.pause] if self.pause else []), *self.vetoes.values(), *self.approvals.values()]


def said(words: Words, word: Word) -> Words:
    """What is in force after one more word."""
    if word.what == "pause":
        return replace(words, pause=word)
    if word.what == "resume":
        return replace(words, pause=None)
    vetoes = {name: each for name, each in words.vetoes.items() if name != word.incident}
    if word.what == "veto":
        left = {
            key: each for key, each in words.approvals.items() if key.incident != word.incident or key.node
        }
        return replace(words, vetoes={**vetoes, word.incident: word}, approvals=left)
    key = Key(word.incident, word.verb, word.node)
    return replace(words, vetoes=vetoes, approvals={**words.approvals, key: word})


def kept(words: Words, active: Collection[str], standing: Collection[str]) -> Words:
    """Without what is over.

    Parameters
    ----------
    active
        Incidents that are not resolved.
    standing
        Incidents of which something is under way, or stands on the cluster.

    """

    def lasts(word: Word) -> bool:
        return word.incident in active or (
            word.incident in standing and (word.late or word.what == "approve")
        )

    vetoes = {name: word for name, word in words.vetoes.items() if lasts(word)}
    approvals = {key: word for key, word in words.approvals.items() if lasts(word)}
    same = len(vetoes) == len(words.vetoes) and len(approvals) == len(words.approvals)
    return words if same else replace(words, vetoes=vetoes, approvals=approvals)


def annotated(
    words: Words, nodes: Iterable[Node], active: Collection[str], lasts_ns: int, now_ns: int
) -> Words:
    """With the approvals that annotations of nodes give, each from when it was first seen.

    One that is expired stays until it is taken away, so that it does not begin anew.
    """
    notes = {(node.uid, node.annotations[APPROVE]): node for node in nodes if APPROVE in node.annotations}
    known = words.approvals
    if not notes and not any(key.node for key in known):
        return words
    left = {key: word for key, word in known.items() if not key.node or (key.node, key.incident) in notes}
    for (uid, incident), node in notes.items():
        key = Key(incident, "", uid)
        if uid and incident in active and key not in left and len(words.vetoes) + len(left) < MOST:
            by, until = f"an annotation of node {node.name}", now_ns + lasts_ns
            left[key] = Word("approve", by, "", now_ns, incident, until_ns=until, node=uid)
    return words if left == known else replace(words, approvals=left)


def short(text: str) -> str:
    """A name or reason as it is kept: one line, printable, bounded."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")
