"""What a live page holds, and what it must be told to get from one view to the next. Pure."""

import json
from dataclasses import dataclass
from math import nan

from pydantic import BaseModel

from edgeobs.signals import Decision, Incident
from edgeobs.web import answers
from edgeobs.web.reader import Node, Operation, Published, Said

Thing = Node | Incident | Decision | Operation | Said
_PLAIN = (Node, Operation, Said)  # small: made anew each time, and compared

Items = dict[str, tuple[object, str]]
"""Id → what it was made of, and its JSON."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a live page shows, item by item, as JSON."""

    version: int
    now_ns: int
    sections: dict[str, Items]


def view(published: Published, before: View | None) -> View:
    """The view of what is published; JSON of what has not changed since ``before`` is used again."""
    old = before.sections if before else {}
    nodes = [_quiet(node) for zone in published.fleet for node in zone.nodes]
    zones = [answers.zone(zone) for zone in published.fleet]
    sections: dict[str, Items] = {
        "status": {"": (None, answers.status(published.status).model_dump_json())},
        "zones": {zone.id: (None, zone.model_dump_json()) for zone in zones},
        "nodes": _items([(answers.node_id(node.place), node) for node in nodes], old.get("nodes", {})),
        "incidents": _items([(each.id, each) for each in published.incidents], old.get("incidents", {})),
        "decisions": _items([(each.id, each) for each in published.decisions], old.get("decisions", {})),
        "operations": _items([(each.id, each) for each in published.operations], old.get("operations", {})),
        "words": _items([(_key(each), each) for each in published.words], old.get("words", {})),
    }
    return View(published.version, published.now_ns, sections)


def change(before: View | None, after: View) -> str:
    """JSON of a `models.Change`; everything when there was nothing before."""
    old = before.sections if before else {}
    parts = {name: _changed(old.get(name, {}), items) for name, items in after.sections.items()}
    gone = {name: sorted(old[name].keys() - after.sections[name].keys()) for name in old}
    told = ",".join(f'"{name}":{{{part}}}' for name, part in parts.items() if part)
    left = json.dumps({name: ids for name, ids in gone.items() if ids})
    now = json.dumps(answers.seconds(after.now_ns))
    return f'{{"version":{after.version},"now_s":{now},"set":{{{told}}},"gone":{left}}}'


def _changed(old: Items, new: Items) -> str:
    return ",".join(
        f"{json.dumps(key)}:{text}" for key, (_, text) in new.items() if old.get(key, ("", ""))[1] != text
    )


def _key(word: Said) -> str:
    return f"{word.what} {word.incident} {word.verb} {word.by}"


def _items(things: list[tuple[str, Thing]], old: Items) -> Items:
    items: Items = {}
    for key, thing in things:
        known = old.get(key)
        same = known is not None and (known[0] is thing or (isinstance(thing, _PLAIN) and known[0] == thing))
        items[key] = known if known and same else (thing, _answer(thing).model_dump_json())
    return items


def _answer(thing: Thing) -> BaseModel:
    match thing:
        case Node():
            return answers.node(thing)
        case Incident():
            return answers.incident(thing)
        case Decision():
            return answers.decision(thing)
        case Operation():
            return answers.operation(thing)
        case Said():
            return answers.word(thing)


def _quiet(node: Node) -> Node:
    """Without what changes at every sample and says little: when a live node was heard, small score steps."""
    step = 10 if node.score >= 3 else 2
    score = round(step * node.score) / step if abs(node.score) < 1e6 else nan
    heard = 0 if node.heart == "alive" else node.heard_ns
    return node._replace(score=score, heard_ns=heard)
