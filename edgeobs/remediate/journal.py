"""What is being done to the cluster, in SQLite: every entry is on disk before what it announces is done.

An operation is written down as an intent; then, for every mutation, the call before and the answer after it;
and every change of its state. Only the thread that made a Journal may use it; others read with `read_only`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgeobs.calls import Answer, Call
from edgeobs.remediate.journal_file import File, JournalError
from edgeobs.remediate.operation import OVER, Operation
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND, Action, Resource

__all__ = ["NAME", "Entry", "Journal", "JournalError"]

Kind = Literal["intent", "call", "answer", "wait", "state"]

NAME = "journal.sqlite"
_PRUNE_EVERY = 200
_DAY_NS = 86_400 * SECOND


class Entry(NamedTuple):
    """One line of the journal. ``seq`` only grows; an answer names its call's in ``body["call"]``."""

    seq: int
    operation: str
    at_ns: int
    kind: Kind
    body: dict[str, Any]


class Journal:
    """One file, made when it is not there.

    Parameters
    ----------
    path
        Of the file; two more appear beside it (``-wal``, ``-shm``).
    settings
        How much is kept.
    read_only
        For another thread or process, while the owner writes.

    Raises
    ------
    JournalError
        It cannot be opened, is damaged, or is of a later version.

    """

    def __init__(self, path: Path, settings: Settings | None = None, *, read_only: bool = False) -> None:
        self.path, self._settings, self._writes = path, settings or Settings(), 0
        self._file = File(path, read_only=read_only)
        self._db = self._file.db

    def begin(self, operations: Iterable[Operation], at_ns: int) -> None:
        """Intents: all of them or none. What is known already stays as it is."""
        with self._file.transaction():
            for operation in operations:
                if not self.known(operation.id):
                    self._put(operation)
                    self._add(operation.id, at_ns, "intent", json.loads(write(operation)))

    def call(self, operation: Operation, call: Call, at_ns: int) -> int:
        """A mutation that is about to be made, with the memo that goes with it; the entry's number."""
        with self._file.transaction():
            self._put(operation)
            return self._add(operation.id, at_ns, "call", asdict(call) | {"ref": list(call.ref)})

    def answer(self, operation: Operation, call: int, answer: Answer, at_ns: int) -> None:
        """What came of a call."""
        with self._file.transaction():
            self._put(operation)
            self._add(operation.id, at_ns, "answer", {"call": call, **answer._asdict()})

    def move(self, operation: Operation, at_ns: int, kind: Literal["state", "wait"] = "state") -> None:
        """Another state, or another reason to wait."""
        with self._file.transaction():
            self._put(operation)
            self._add(operation.id, at_ns, kind, {"state": operation.state, "reason": operation.reason})
            self._writes += 1
            if self._writes % _PRUNE_EVERY == 0:
                self._prune()

    def known(self, operation: str) -> bool:
        """Whether there is an intent."""
        with self._file.explained():
            found = self._db.execute("SELECT 1 FROM operations WHERE id = ?", (operation,)).fetchone()
        return found is not None

    def operation(self, name: str) -> Operation | None:
        """One, as it is now."""
        found = self._read("SELECT body FROM operations WHERE id = ?", (name,))
        return found[0] if found else None

    def unfinished(self) -> list[Operation]:
        """All that are not over, oldest first."""
        return self._read("SELECT body FROM operations WHERE NOT over ORDER BY rowid", ())

    def standing(self, back_ns: int = _DAY_NS) -> list[Operation]:
        """Those over whose marks are on the cluster still, and all of the last day; oldest first."""
        return self._read(
            "SELECT body FROM operations WHERE over AND (standing OR updated_ns >"
            " (SELECT max(updated_ns) FROM operations) - ?) ORDER BY rowid",
            (back_ns,),
        )

    def recent(self, limit: int = 200) -> list[Operation]:
        """The newest, newest first."""
        return self._read("SELECT body FROM operations ORDER BY rowid DESC LIMIT ?", (limit,))

    def story(self, operation: str) -> list[Entry]:
        """All that was written of one, in order."""
        return list(self._entries("WHERE operation = ?", (operation,)))

    def unanswered(self, operation: str) -> bool:
        """Whether its last call has no answer on record: it may have been done or not."""
        last = [entry.kind for entry in self.story(operation) if entry.kind in {"call", "answer"}]
        return bool(last) and last[-1] == "call"

    def export(self, operation: str = "") -> Iterator[str]:
        """Every entry as a line of JSON, in order; of one operation where it is named."""
        where, values = ("WHERE operation = ?", (operation,)) if operation else ("", ())
        for entry in self._entries(where, values):
            yield json.dumps(entry._asdict(), separators=(",", ":"), ensure_ascii=False)

    def probe(self) -> None:
        """Write to the disk and change nothing; JournalError when that cannot be done."""
        self._file.probe()

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        self._db.close()

    def _put(self, operation: Operation) -> None:
        row = (operation.id, operation.over, operation.standing, operation.updated_ns, write(operation))
        self._db.execute(
            "INSERT INTO operations VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET over ="
            " excluded.over, standing = excluded.standing, updated_ns = excluded.updated_ns,"
            " body = excluded.body",
            row,
        )

    def _add(self, operation: str, at_ns: int, kind: Kind, body: Any) -> int:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        made = self._db.execute(
            "INSERT INTO entries (operation, at_ns, kind, body) VALUES (?, ?, ?, ?)",
            (operation, at_ns, kind, text),
        )
        return made.lastrowid or 0

    def _prune(self) -> None:
        """By age, then by number; never what is under way or stands on the cluster."""
        newest = self._db.execute("SELECT max(updated_ns) FROM operations").fetchone()[0] or 0
        before = newest - int(self._settings.journal_days * _DAY_NS)
        may_go = "over AND NOT standing"
        self._db.execute(f"DELETE FROM operations WHERE {may_go} AND updated_ns < ?", (before,))  # noqa: S608  no input
        last = self._db.execute(
            "SELECT seq FROM entries ORDER BY seq DESC LIMIT 1 OFFSET ?", (self._settings.journal_entries,)
        ).fetchone()
        if last:
            self._db.execute(
                f"DELETE FROM operations WHERE {may_go} AND id IN"  # noqa: S608  no input
                " (SELECT operation FROM entries WHERE seq <= ?)",
                last,
            )
        self._db.execute("DELETE FROM entries WHERE operation NOT IN (SELECT id FROM operations)")

    def _read(self, query: str, values: tuple[object, ...]) -> list[Operation]:
        with self._file.explained():
            return [self._decoded(body) for (body,) in self._db.execute(query, values).fetchall()]

    def _decoded(self, body: str) -> Operation:
        try:
            return read(body)
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{self.path}: a row cannot be read: {error!r}") from error

    def _entries(self, where: str, values: tuple[object, ...]) -> Iterator[Entry]:
        query = f"SELECT seq, operation, at_ns, kind, body FROM entries {where} ORDER BY seq"  # noqa: S608  no input
        with self._file.explained():
            for seq, operation, at_ns, kind, body in self._db.execute(query, values):
                yield Entry(seq, operation, at_ns, kind, json.loads(body))


def write(operation: Operation) -> str:
    """JSON."""
    return json.dumps(asdict(operation), separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> Operation:
    """The inverse. Raises ValueError, KeyError or TypeError for a text that is none."""
    body = json.loads(text)
    action = body["action"]
    patch = tuple((path, value) for path, value in action["patch"])
    action |= {"target": Resource(*action["target"]), "patch": patch}
    operation = Operation(**body | {"action": Action(**action)})
    if operation.state not in OVER | {"intended", "working", "verifying"}:
        raise ValueError(f"no state: {operation.state!r}")
    return operation
