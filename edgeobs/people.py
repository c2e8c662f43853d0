"""What people said about remediation, kept on disk and told to whoever asks. Safe from any thread."""

import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import structlog

from edgeobs.calls import Answer, Call
from edgeobs.durable import sync_folder
from edgeobs.objects import Node, Ref
from edgeobs.remediate import Settings, Switches
from edgeobs.remediate.sharing import after, joined, merged, noted, outdated, unheard
from edgeobs.remediate.words import LONGEST, MOST, RESTRAINS, Here, What, Word, Words, annotated, kept, said
from edgeobs.signals import SECOND

log = structlog.get_logger("edgeobs.people")

NAME = "people.json"
_VERSION = 1
_CATCH_UP_S, _LOOK_S = 2.0, 0.02
_MAX_BYTES = 4 << 20


class NotKept(RuntimeError):
    """It cannot be written down, and so is not in force; the message says why."""


class People:
    """Words in force, joined with the ConfigMap's and with what the election says.

    Parameters
    ----------
    folder
        Where the file lives; made when missing.
    settings
        How long an approval by annotation counts.
    base
        What the election says.
    notes
        The data of the ConfigMap that all replicas read; None: there is none.
    call, control
        How it is written, and which it is.

    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        base: Callable[[], Switches] = Switches,
        notes: Callable[[], Mapping[str, str]] | None = None,
        call: Callable[[Call], Answer] | None = None,
        control: Ref | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path, self.words = folder / NAME, Words()
        self.problem = "what people said is not read yet"
        self._settings, self._base, self._clock = settings, base, clock
        self._notes, self._call, self._control = notes or dict, call, control
        self._lock = threading.Lock()
        self._unkept = ""  # why the last look could not be written down
        self._active: Mapping[str, Here] = {}  # at the last look
        self._standing: frozenset[str] = frozenset()

    @property
    def shares(self) -> bool:
        """Whether what is said here is said to all replicas."""
        return self._call is not None

    def standing(self) -> Words:
        """Words in force, those of other replicas among them, but on incidents that are over as we know."""
        active, standing = self._active, self._standing
        found = merged(self.words, self._notes(), active)
        unknown = {word.incident for word in found.all()} - standing
        return kept(found, active.keys() | unknown, standing)

    def open(self) -> None:
        """Read what was said before. What cannot be read may have been a veto: everything is held then."""
        with self._lock:
            try:
                self.words, self.problem = _read(self.path), ""
            except (OSError, ValueError) as error:
                self.problem = f"what people said cannot be read: {error}; edgeobs resume begins anew"
                log.error("people_unreadable", reason=str(error))

    def __call__(self) -> Switches:
        """What is to be obeyed at this moment."""
        problem = self.problem
        found = joined(self.standing(), self._notes(), self._base(), self._clock())
        return found._replace(paused="; ".join(filter(None, (problem, found.paused)))) if problem else found

    def say(self, word: Word) -> str:
        """Put a word in force; what else there is to know about it. Raises NotKept.

        What restrains is in force whatever the disk does; what lets go must be on disk first.
        """
        word = after(word, self._notes())
        with self._lock:
            note = self._say(word)
        log.info("word", what=word.what, by=word.by, why=word.why, incident=word.incident, verb=word.verb)
        told = self._tell(word)
        return "; ".join(filter(None, (note, told)))

    def look(self, nodes: Iterable[Node], active: Mapping[str, Here], standing: Collection[str]) -> None:
        """Take up annotations of nodes, and let go of what is over; from time to time, by one thread."""
        self._active, self._standing = dict(active), frozenset(standing)
        if self.problem:
            return
        with self._lock:
            lasts_ns = int(self._settings.approve_s * SECOND)
            words = annotated(self.words, nodes, {*active, *standing}, lasts_ns, self._clock())
            words = kept(words, active, standing)
            if words is self.words:
                return
            new = [word for word in words.approvals.values() if word not in self.words.approvals.values()]
            try:
                _write(self.path, words)
            except OSError as error:
                if self._unkept != str(error):
                    log.error("people_not_kept", reason=str(error))
                self._unkept = str(error)
                return
            self.words, self._unkept = words, ""
        for word in new:
            log.info("word", what=word.what, by=word.by, why=word.why, incident=word.incident, verb=word.verb)

    def _say(self, word: Word) -> str:
        anew = bool(self.problem)
        if anew and word.what not in {"pause", "resume"}:
            raise NotKept(self.problem)
        if word.incident and self.words.full:
            raise NotKept(f"{MOST} words on incidents are in force already")
        words = said(Words() if anew else self.words, word)
        try:
            if anew and word.what == "resume":
                with suppress(FileNotFoundError):
                    self.path.replace(self.path.with_suffix(".refused"))
            if not anew or word.what == "resume":
                _write(self.path, words)
        except OSError as error:
            log.error("people_not_kept", reason=str(error))
            if word.what not in RESTRAINS:
                raise NotKept(f"it cannot be written down: {error}") from error
            self.words = words
            return f"in force until edgeobs ends: it cannot be written down: {error}"
        self.words = words
        self.problem = "" if word.what == "resume" else self.problem
        return ""

    def _tell(self, word: Word) -> str:
        """Say it in the ConfigMap too, which every replica reads; and take out of it what is over."""
        if self._call is None or self._control is None:
            return ""
        over = outdated(self._notes(), self._active, self._standing, self._clock())
        data = {**dict.fromkeys(over), **noted(word)}
        call = Call("patch", self._control, {"data": data}, says=f"{word.what} for all replicas")
        answer = self._call(call)
        if answer.status == 404 and word.what == "resume":
            return ""
        if answer.status == 404:
            answer = self._call(Call("create", self._control, {"data": noted(word)}, says=call.says))
        if answer.ok:
            self._await(word)
            return ""
        reason = f"{answer.status} {answer.reason} {answer.text}".strip()
        return f"other replicas could not be told (ConfigMap {self._control.name}): {reason}"

    def _await(self, word: Word) -> None:
        """Let the watch catch up, so that who resumed is not told that the ConfigMap still pauses."""
        until = time.monotonic() + _CATCH_UP_S
        while word.what == "resume" and unheard(word, self._notes()) and time.monotonic() < until:
            time.sleep(_LOOK_S)


def _read(path: Path) -> Words:
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Words()
    if len(body) > _MAX_BYTES:
        raise ValueError(f"{path}: larger than {_MAX_BYTES} bytes")
    try:
        found = json.loads(body)
        if found["version"] != _VERSION:
            raise ValueError(f"has version {found['version']!r}, this edgeobs reads {_VERSION}")
        words = Words()
        for each in found["words"]:
            words = said(words, _word(each))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return words


def _word(found: Mapping[str, Any]) -> Word:
    word = Word(**found)
    cluster, zone, node = word.place
    word = word._replace(place=(cluster, zone, node))
    texts = (word.by, word.why, word.incident, word.verb, word.node, *word.place)
    times = (word.at_ns, word.until_ns)
    sound = all(isinstance(text, str) and len(text) <= 2 * LONGEST for text in texts)
    if word.what not in get_args(What) or not sound or not all(type(time_ns) is int for time_ns in times):
        raise ValueError(f"no word: {str(found)[:200]}")
    return word


def _write(path: Path, words: Words) -> None:
    """All of it, on disk, or as it was."""
    body = {"version": _VERSION, "words": [word._asdict() for word in words.all()]}
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(json.dumps(body, ensure_ascii=False, indent=1).encode())
        out.flush()
        os.fsync(out.fileno())
    new.replace(path)
    sync_folder(path.parent)
