"""What was done alone, in SQLite: an intent, and the budget it takes, is on disk before anything happens."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast, get_args

from edgeobs import sqlite
from edgeobs.agent.alone.deeds import Deed, State
from edgeobs.incidents import codec
from edgeobs.signals import Decision, Incident

NAME = "alone.sqlite"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE deeds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, decision TEXT NOT NULL, incident TEXT NOT NULL, plots BLOB NOT NULL,
    evidence TEXT NOT NULL, state TEXT NOT NULL, text TEXT NOT NULL, changed_ns INTEGER NOT NULL,
    watched_ns INTEGER NOT NULL, unanswered INTEGER NOT NULL);
CREATE TABLE clock (now_ns INTEGER NOT NULL, steady_ns INTEGER NOT NULL, settled_ns INTEGER NOT NULL,
    answered INTEGER NOT NULL);
INSERT INTO clock VALUES (0, 0, 0, 0);
"""
_REASONS = {
    "SQLITE_CORRUPT": "the file is damaged, and what was spent is not known; move it away to begin anew",
    "SQLITE_NOTADB": "the file is no database: move it away",
}
_KEPT = 500  # rows; far more than budgets allow within what they look back to


class JournalError(RuntimeError):
    """Nothing of what was asked has been written or read; the message names the file and the reason."""


class Clock(NamedTuple):
    """What was known last of time, and of the core."""

    now_ns: int  # our clock; 0: nothing
    steady_ns: int  # the clock of budgets
    settled_ns: int  # nothing new before this time of it
    answered: int  # 1: the core has answered once; 0: never


class Journal:
    """One database file, made when it is not there. Used by one thread.

    Parameters
    ----------
    path
        Of the file; two more appear beside it (``-wal``, ``-shm``).

    Raises
    ------
    JournalError
        It cannot be opened, is damaged, or was written by another version.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            try:
                if sqlite.is_new(self._db, path, SCHEMA_VERSION, JournalError):
                    version = f"PRAGMA user_version = {SCHEMA_VERSION};"
                    self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {version} COMMIT;")
                self._file = path.stat().st_ino
            except BaseException:
                self._db.close()
                raise

    def begin(self, decision: Decision, incident: Incident, evidence: str) -> Deed:
        """An intent, on disk with the time of budgets when this returns; what it is called from then on."""
        text, plots = codec.write_incident(incident)
        row = (
            codec.write_decision(decision),
            text,
            plots,
            evidence,
            "intended",
            "",
            decision.decided_ns,
            0,
            True,
        )
        with self._transaction() as db:
            made = db.execute(
                "INSERT INTO deeds (decision, incident, plots, evidence, state, text, changed_ns, watched_ns,"
                " unanswered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            db.execute(
                "UPDATE clock SET now_ns = ?, steady_ns = ?", (decision.decided_ns, decision.steady_ns)
            )
            db.execute("DELETE FROM deeds WHERE id <= ?", ((made.lastrowid or 0) - _KEPT,))
        return Deed(made.lastrowid or 0, decision, incident, evidence, changed_ns=decision.decided_ns)

    def put(self, deed: Deed) -> None:
        """Another state of a deed."""
        text, plots = codec.write_incident(deed.incident)
        with self._transaction() as db:
            db.execute(
                "UPDATE deeds SET incident = ?, plots = ?, state = ?, text = ?, changed_ns = ?,"
                " watched_ns = ?, unanswered = ? WHERE id = ?",
                (
                    text,
                    plots,
                    deed.state,
                    deed.text,
                    deed.changed_ns,
                    deed.watched_ns,
                    deed.unanswered,
                    deed.id,
                ),
            )

    def tick(self, clock: Clock) -> None:
        """Time went on."""
        with self._transaction() as db:
            db.execute("UPDATE clock SET now_ns = ?, steady_ns = ?, settled_ns = ?, answered = ?", clock)

    def read(self) -> tuple[list[Deed], Clock]:
        """All that is kept, oldest first, and the time."""
        with self._explained():
            rows = self._db.execute(
                "SELECT id, decision, incident, plots, evidence, state, text, changed_ns, watched_ns,"
                " unanswered FROM deeds ORDER BY id"
            ).fetchall()
            clock = Clock(
                *self._db.execute("SELECT now_ns, steady_ns, settled_ns, answered FROM clock").fetchone()
            )
        try:
            return [_deed(*row) for row in rows], clock
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(f"{self.path}: a row cannot be read: {error!r}") from error

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._there()
            with sqlite.transaction(self._db):
                yield self._db

    def _there(self) -> None:
        """What is written to a file without a name is gone with us, and the budget would be there anew."""
        try:
            same = self.path.stat().st_ino == self._file
        except OSError:
            same = False
        if not same:
            raise JournalError(f"{self.path}: the file was taken away")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with sqlite.explained(self.path, _REASONS, JournalError):
                yield
        except OSError as error:
            raise JournalError(f"{self.path}: {error.strerror or error}") from error


def _deed(
    number: int, decision: str, incident: str, plots: bytes, evidence: str, state: str, text: str,
    changed_ns: int, watched_ns: int, unanswered: int,
) -> Deed:  # fmt: skip
    if state not in get_args(State):
        raise ValueError(f"a state {state!r:.40}")
    return Deed(
        number, codec.read_decision(decision), codec.read_incident(incident, plots), evidence,
        cast("State", state), text, changed_ns, watched_ns, bool(unanswered),
    )  # fmt: skip
