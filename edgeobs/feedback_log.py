"""The log of operators' words in a core's data directory: one JSON object a line, only ever added to."""

import errno
import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import structlog

from edgeobs import snapshot
from edgeobs.detect.feedback import Entry, Feedback, FeedbackSettings, Target, is_in
from edgeobs.series import SeriesTable
from edgeobs.signals import SECOND, Counts, Identity, Kind, Labels, Resource, Source

log = structlog.get_logger("edgeobs.feedback")

NAME = "feedback.jsonl"
MOST_BYTES = 1 << 20
"""Of the file; some 6000 words."""
AHEAD_NS = 3600 * SECOND
"""How far a word's time may be ahead of our clock: one of next year would make all others fade."""
_ERRORS = "edgeobs_store_errors_total"
_LOGGED = 10  # lines named at a time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS = {"at", "by", "verdict", "metric", "labels", "node", "zone"}
_PAIR = re.compile(r'([^=,{}"]+)="(.*?)"(?:,(?=[^=,{}"]+=")|$)', re.DOTALL)


class Word(NamedTuple):
    """What an operator said, and who it was."""

    entry: Entry
    by: str = ""

    def text(self) -> str:
        """``series on zone/node, by NAME``."""
        (name, labels, place), by = self.entry.target, f", by {self.by}" if self.by else ""
        series = name if labels is None else Identity(Source((), place), name, labels, Kind.GAUGE).text()
        where = f"{place.zone}/{place.node or '*'}" if place.zone else place.node or "*"
        return f"{series} on {where}{by}"


class Bad(NamedTuple):
    """A line that is no word."""

    number: int
    reason: str


def said(node: str, metric: str, verdict: str, by: str, now_ns: int) -> Word:
    """A word said now. ValueError for what is none.

    Parameters
    ----------
    node
        ``node``, ``zone/node``, ``zone/*`` or ``*``.
    metric
        ``name`` is every series of it, ``name{label="value"}`` the one so written, ``name{}`` the bare one.
    verdict
        ``fine`` or ``real``.

    """
    zone, _, node_name = node.rpartition("/")
    name, brace, inside = metric.partition("{")
    if not (node and name and verdict in {"fine", "real"}):
        raise ValueError("expected NODE METRIC fine, or NODE METRIC real")
    labels = _labels(inside) if brace else None
    target = Target(name, labels, Resource(zone=zone, node="" if node_name == "*" else node_name))
    return Word(Entry(target, "fine" if verdict == "fine" else "real", now_ns), by)


def encode(word: Word) -> bytes:
    """A line, its end included. ValueError for text that is not Unicode."""
    (name, labels, place), verdict, at_ns = word.entry
    line: dict[str, Any] = {"at": _utc(at_ns).isoformat(), "by": word.by, "verdict": verdict, "metric": name}
    if labels is not None:
        line["labels"] = dict(labels)
    line |= {key: value for key, value in (("node", place.node), ("zone", place.zone)) if value}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def parse(body: bytes, now_ns: int) -> tuple[list[Word], list[Bad]]:
    """The words of a log, in order, and the lines that are none; blank lines are nothing."""
    words, bad = list[Word](), list[Bad]()
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            words.append(_word(json.loads(line.decode()), now_ns))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            bad.append(Bad(number, str(error)))
    return words, bad


def read(path: Path) -> bytes:
    """The file; empty when there is none. Raises OSError, also when it is too large."""
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return b""
    _check_size(path, len(body))
    return body


def append(path: Path, word: Word) -> None:
    """Add a word, durably, whoever else does at the same time. Raises OSError, ValueError as `encode`."""
    line = encode(word)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line  # whoever wrote last was cut short: that line is lost, this one is not
        _check_size(path, size + len(line))
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, "written in part", str(path))
        os.fsync(file)
    finally:
        os.close(file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the file may be new
    finally:
        os.close(folder)


def factors(
    words: Sequence[Word], about: Sequence[Target], settings: FeedbackSettings, now_ns: int
) -> list[float]:
    """By which the scores are multiplied now of a series in each target that no narrower word is about."""
    table = SeriesTable(max(len(about), 1))
    ids = [table.intern(_someone(each), 0, now_ns) for each in about]
    feedback = Feedback(table, settings)
    feedback.hear([word.entry for word in words])
    return [float(each) for each in feedback.factor(np.array(ids, np.int32), now_ns)]


def say(path: Path, settings: FeedbackSettings, word: Word) -> tuple[str, str]:
    """Write a word down; what it comes to, and what is odd about it. Raises as `append`."""
    append(path, word)
    about, verdict, now_ns = word.entry
    (factor,) = factors(parse(read(path), now_ns)[0], [about], settings, now_ns)
    lines = [f"{path}: {verdict}: {word.text()}", f"factor of its scores: {factor:.2f}"]
    odd = ["no series of the last snapshot is that: look at NODE and METRIC"]
    return _plain(lines), _plain([] if _known(path.parent, about) else odd)


def listing(path: Path, settings: FeedbackSettings, now_ns: int) -> tuple[str, str]:
    """What was said, a line a word, and what could not be read. Raises OSError."""
    words, bad = parse(read(path), now_ns)
    now = factors(words, [word.entry.target for word in words], settings, now_ns)
    lines = [
        f"{_utc(word.entry.at_ns):%Y-%m-%d %H:%M:%S} UTC  {word.entry.verdict}  {factor:.2f}  {word.text()}"
        for word, factor in zip(words, now, strict=True)
    ]
    return _plain(lines), _plain([f"{path}, line {number}: {reason}" for number, reason in bad])


class Listener:
    """Looks at a core's log about once a second. Used by the engine's thread alone."""

    def __init__(self, folder: Path, counts: Counts) -> None:
        self.path, self.counts = folder / NAME, counts
        self.problem = ""
        self._looked_ns = 0
        self._lines = 0  # that were looked at: what is bad is told once
        self._stamp: tuple[int, int, int] | None = None

    def look(self, now_ns: int) -> list[Entry] | None:
        """All that was said, when the file is not as it was; None: hold to what you have.

        A file that is gone says nothing any more; one that cannot be read changes nothing, and is logged.
        """
        passed = now_ns - self._looked_ns
        if 0 <= passed < SECOND:
            return None
        if not 0 <= passed < AHEAD_NS:
            self._stamp = None  # the clock was set: what lay ahead may not any more
        self._looked_ns = now_ns
        try:
            stamp = _stamp(self.path)  # before it is read: what is added meanwhile is seen next time
            if stamp == self._stamp:
                return None
            body = read(self.path)
        except OSError as error:
            self._failed(str(error))
            return None
        self._stamp, self.problem = stamp, ""
        words, bad = parse(body, now_ns)
        self._tell([each for each in bad if each.number > self._lines])
        self._lines = body.count(b"\n")
        if body:
            log.info("feedback_heard", words=len(words))
        return [word.entry for word in words]

    def _tell(self, bad: Sequence[Bad]) -> None:
        self.counts[_ERRORS, "feedback"] += len(bad)
        for number, reason in bad[:_LOGGED]:
            log.warning("feedback_line_skipped", file=str(self.path), line=number, reason=reason)
        if len(bad) > _LOGGED:
            log.warning("feedback_lines_skipped", file=str(self.path), more=len(bad) - _LOGGED)

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            self.counts[_ERRORS, "feedback"] += 1
            log.error("feedback_unreadable", reason=problem)
        self.problem = problem


def _labels(inside: str) -> Labels:
    """Of ``label="value",…}``."""
    found, at, end = dict[str, str](), 0, len(inside) - 1
    while inside.endswith("}") and at < end:
        pair = _PAIR.match(inside, at, end)
        if pair is None:
            break
        found[pair[1]], at = pair[2], pair.end()
    if at != end:
        raise ValueError(f'labels: expected label="value",…}}, found {inside[at:]!r}')
    return tuple(sorted(found.items()))


def _word(line: Any, now_ns: int) -> Word:
    if not isinstance(line, dict):
        raise TypeError("expected an object")
    if unknown := line.keys() - _KEYS:  # a misspelt node would be every node
        raise ValueError(f"expected {', '.join(sorted(_KEYS))}; found {min(unknown)!r}")
    name, verdict, labels = line.get("metric"), line.get("verdict"), line.get("labels")
    if verdict not in {"fine", "real"}:
        raise ValueError(f"verdict: expected fine or real, found {verdict!r}")
    if not (labels is None or isinstance(labels, dict)):
        raise TypeError(f"labels: expected an object, found {labels!r}")
    by, node, zone = (line.get(key, "") for key in ("by", "node", "zone"))
    texts = (name, by, node, zone, *(labels or {}).values())
    if not name or not all(isinstance(text, str) for text in texts):
        raise TypeError("expected a metric, and texts")
    pairs = None if labels is None else tuple(sorted(labels.items()))
    target = Target(name, pairs, Resource(zone=zone, node=node))
    return Word(Entry(target, verdict, _time(line.get("at"), now_ns)), by)


def _time(text: Any, now_ns: int) -> int:
    at = datetime.fromisoformat(text) if isinstance(text, str) else None
    if at is None or at.tzinfo is None:
        raise ValueError(f"at: expected RFC 3339 with an offset, found {text!r}")
    at_ns = (at - _EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 <= at_ns <= now_ns + AHEAD_NS:
        raise ValueError(f"at: {text} is ahead of the clock, or before 1970")
    return at_ns


def _someone(about: Target) -> Identity:
    """A series that a word is about, and no word about fewer."""
    labels = (("", ""),) if about.labels is None else about.labels
    return Identity(Source((), about.place), about.name, labels, Kind.GAUGE)


def _known(folder: Path, about: Target) -> bool:
    """Whether the last snapshot has a series that a word is about; true too when none can be read."""
    try:
        table, *_ = snapshot.read(folder / snapshot.NAME)
    except (OSError, ValueError):
        return True
    return any(each is not None and is_in(each, about) for each in table.identities)


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES} bytes: take old lines out", str(path))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def _utc(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_ns // 1000)


def _plain(lines: Sequence[str]) -> str:
    """Lines of text; what people and senders write may not command a terminal."""
    shown = ("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line) for line in lines)
    return "".join(f"{line}\n" for line in shown)
