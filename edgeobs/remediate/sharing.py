"""What is to be obeyed: words kept here, those that other replicas heard, and what the election says. Pure.

Replicas share words on incidents in a ConfigMap, a key each, so that no two writers are ever in each other's
way.
"""

import json
import re
from collections.abc import Collection, Mapping

from edgeobs.remediate.operation import Switches
from edgeobs.remediate.words import LONGEST, MOST, Here, What, Word, Words, said, short
from edgeobs.signals import SECOND

AHEAD_NS = 600 * SECOND
"""How far the clock that a word was said by may be ahead of ours."""

_LAST_NS = 1 << 62
_SKEW_NS = 60 * SECOND  # replicas open the same incident within this time of one another
_OVER_NS = 3600 * SECOND
_KEY = re.compile(
    r"(?P<what>veto|approve)\.(?P<incident>[A-Za-z0-9_-]{1,80})(?:\.(?P<verb>[a-z]{1,20}))?", re.ASCII
)
_OFF = frozenset({"", "false", "no", "off", "0"})


def shared(notes: Mapping[str, str]) -> list[Word]:
    """The words on incidents in the ConfigMap: ours as JSON; ``veto.INCIDENT`` with any text is one too."""
    return [word for key in sorted(notes)[:MOST] if (word := _shared(key, notes[key]))]


def noted(word: Word) -> dict[str, str]:
    """What goes into the ConfigMap with a word."""
    if not word.incident:
        paused = "true" if word.what == "pause" else "false"
        return {"paused": paused, "reason": word.why, "by": word.by, "said_ns": str(word.at_ns)}
    key = f"{word.what}.{word.incident}" + (f".{word.verb}" if word.verb else "")
    rest = {"at_ns": word.at_ns, "until_ns": word.until_ns, "late": word.late, "place": word.place}
    return {key: json.dumps({"by": word.by, "why": word.why, **rest}, ensure_ascii=False)}


def after(word: Word, notes: Mapping[str, str]) -> Word:
    """A pause or resume with a time after the last one that the ConfigMap knows, whoever's clock that was."""
    return word if word.incident else word._replace(at_ns=max(word.at_ns, _said_ns(notes) + 1))


def unheard(word: Word, notes: Mapping[str, str]) -> bool:
    """Whether a pause or resume is not in the ConfigMap yet, as it was last read."""
    return _said_ns(notes) < word.at_ns


def outdated(
    notes: Mapping[str, str], active: Mapping[str, Here], standing: Collection[str], now_ns: int
) -> list[str]:
    """Keys of the ConfigMap that are about nothing any more; what a person typed that person takes away."""
    return [
        key
        for key in notes
        if (word := _shared(key, notes[key]))
        and word.at_ns
        and now_ns - word.at_ns > _OVER_NS
        and word.incident not in standing
        and not _meant(word, active)
    ]


def merged(words: Words, notes: Mapping[str, str], active: Mapping[str, Here]) -> Words:
    """With what was said to other replicas; the last word counts, of two at once the veto.

    Parameters
    ----------
    active
        Incidents that are not over here. A word said of another replica's incident is about ours of the same
        place, if that was open by then.

    """
    others = [
        word._replace(incident=name)
        for word in shared(notes)
        for name in _meant(word, active) or [word.incident]
    ]
    if not others:
        return words
    on_nodes = {key: word for key, word in words.approvals.items() if key.node}  # these take no veto back
    mine = [word for key, word in words.approvals.items() if key not in on_nodes]
    every = [*words.vetoes.values(), *mine, *others]
    found = Words(words.pause, approvals=on_nodes)
    for word in sorted(every, key=lambda each: (each.at_ns or _LAST_NS, each.what == "veto")):
        found = said(found, word)
    return found


def _meant(word: Word, active: Mapping[str, Here]) -> list[str]:
    """Our incidents that a word is about."""
    if word.incident in active or not any(word.place):
        return [word.incident] if word.incident in active else []
    return [
        name
        for name, here in active.items()
        if here.place == word.place and here.opened_ns <= word.at_ns + _SKEW_NS
    ]


def joined(words: Words, notes: Mapping[str, str], base: Switches, now_ns: int) -> Switches:
    """What is to be obeyed now.

    Parameters
    ----------
    words
        Those in force, `merged`.
    notes
        The data of the ConfigMap; ``paused`` with any value but false, no, off and 0 pauses. One of these
        also ends a pause of ours that was told there.
    base
        What the election says.

    """
    elsewhere = notes.get("paused", "").strip().lower() not in _OFF
    resumed = "paused" in notes and not elsewhere and words.pause and _said_ns(notes) >= words.pause.at_ns
    why = [f"paused {words.pause.text()}"] if words.pause and not resumed else []
    if elsewhere:
        who = f" by {notes['by'][:LONGEST]}" if notes.get("by") else ""
        why.append(f"paused{who} in the ConfigMap: {notes.get('reason', '')[:LONGEST] or 'no reason given'}")
    why += [base.paused] if base.paused else []
    approved: dict[tuple[str, str], str] = {}
    for key, word in words.approvals.items():
        if key.incident not in words.vetoes and word.at_ns - AHEAD_NS <= now_ns < word.until_ns:
            approved[key.incident, key.verb] = f"approved {word.text()}"
    vetoed = {name: word.text() for name, word in words.vetoes.items()}
    return base._replace(
        paused="; ".join(why), vetoed={**base.vetoed, **vetoed}, approved={**base.approved, **approved}
    )


def _said_ns(notes: Mapping[str, str]) -> int:
    """When a pause or resume was last put into the ConfigMap by a replica."""
    text = notes.get("said_ns", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _shared(key: str, text: str) -> Word | None:
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    what: What = "veto" if match["what"] == "veto" else "approve"
    try:
        body = json.loads(text)
        at_ns, until_ns = int(body["at_ns"]), int(body["until_ns"])
        by, why, late = short(str(body["by"])), short(str(body["why"])), body.get("late") is True
        cluster, zone, node = (str(part) for part in body.get("place", ("", "", "")))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Word("veto", "the ConfigMap", short(text), 0, match["incident"]) if what == "veto" else None
    at_ns, until_ns, verb = max(at_ns, 0), max(until_ns, 0), match["verb"] or ""
    return Word(what, by, why, at_ns, match["incident"], verb, until_ns, "", late, (cluster, zone, node))
