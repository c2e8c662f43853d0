"""What must outlive a crash, in SQLite: incidents, decisions, outcomes, and which foreign alerts were seen.

Only the thread that made a Store may use it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edgeobs.incidents import codec
from edgeobs.incidents.settings import Settings
from edgeobs.signals import SECOND, Decision, ExternalAlert, Incident, Outcome

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, opened_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL,
    resolved_ns INTEGER NOT NULL, body TEXT NOT NULL, plots BLOB NOT NULL);
CREATE INDEX incidents_by_end ON incidents (resolved_ns);
CREATE TABLE decisions (
    id TEXT PRIMARY KEY, incident TEXT NOT NULL, decided_ns INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX decisions_by_time ON decisions (decided_ns);
CREATE TABLE outcomes (decision TEXT NOT NULL, at_ns INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (decision, at_ns));
CREATE TABLE alerts (
    fingerprint TEXT NOT NULL, status TEXT NOT NULL, starts_ns INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (fingerprint, status, starts_ns));
"""
_REASONS = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file or its folder cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened: is its folder there and writable?",
    "SQLITE_CORRUPT": "the file is damaged: move it away to start anew, its incidents are lost",
    "SQLITE_NOTADB": "the file is no database: name another, or move it away",
    "SQLITE_BUSY": "another process holds the file",
    "SQLITE_IOERR": "the disk does not answer",
}
_MAX_ALERTS = 10_000
_PRUNE_EVERY = 100
_T = TypeVar("_T")


class StoreError(RuntimeError):
    """Nothing of what was asked has been done; the message names the file and the reason."""


class Store:
    """One database file, made when it is not there.

    Parameters
    ----------
    path
        Of the file; two more appear beside it (``-wal``, ``-shm``).
    settings
        How much is kept. Incidents that are not resolved are always kept.

    Raises
    ------
    StoreError
        It cannot be opened, is damaged, or was written by another version.

    """

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        self.path = path
        self._settings = settings or Settings()
        self._saves = 0
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def save(
        self,
        incidents: Iterable[Incident] = (),
        decisions: Iterable[Decision] = (),
        outcomes: Iterable[Outcome] = (),
    ) -> None:
        """Write all of it or, raising StoreError, nothing. What was written before is replaced."""
        rows = [(i.id, i.opened_ns, i.updated_ns, i.resolved_ns, *codec.write_incident(i)) for i in incidents]
        made = [(d.id, d.action.incident, d.decided_ns, codec.write_decision(d)) for d in decisions]
        ends = [(o.decision, o.at_ns, codec.write_outcome(o)) for o in outcomes]
        if not rows and not made and not ends:
            return
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)", made)
            db.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", ends)
            self._saves += 1
            newest = max([row[2] for row in rows] + [row[2] for row in made], default=0)
            if newest and self._saves % _PRUNE_EVERY == 0:
                self._prune(newest)

    def probe(self) -> None:
        """Write to the disk and change nothing; StoreError when that cannot be done."""
        with self._transaction() as db:
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def take_alerts(self, alerts: Sequence[ExternalAlert]) -> list[ExternalAlert]:
        """Make alerts durable; those not seen before. The same fingerprint, status and start is the same."""
        new: list[ExternalAlert] = []
        if not alerts:
            return new
        with self._transaction() as db:
            for alert in alerts:
                row = (alert.fingerprint, alert.status, alert.starts_ns, codec.write_alert(alert))
                if db.execute("INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?)", row).rowcount:
                    new.append(alert)
            if new:
                db.execute(
                    "DELETE FROM alerts WHERE rowid <= (SELECT max(rowid) FROM alerts) - ?", (_MAX_ALERTS,)
                )
        return new

    def incidents(self, *, active: bool | None = None, limit: int = 1000) -> list[Incident]:
        """The newest, oldest first; ``active`` chooses those that are not resolved, or those that are."""
        which = {None: "1", True: "resolved_ns = 0", False: "resolved_ns > 0"}[active]
        query = f"SELECT body, plots FROM incidents WHERE {which} ORDER BY opened_ns DESC LIMIT ?"  # noqa: S608  no input
        return self._read(query, limit, codec.read_incident)

    def decisions(self, limit: int = 10_000) -> list[Decision]:
        """The newest, oldest first."""
        query = "SELECT body FROM decisions ORDER BY decided_ns DESC, rowid DESC LIMIT ?"
        return self._read(query, limit, codec.read_decision)

    def outcomes(self, limit: int = 10_000) -> list[Outcome]:
        """The newest, oldest first."""
        query = "SELECT body FROM outcomes ORDER BY at_ns DESC, rowid DESC LIMIT ?"
        return self._read(query, limit, codec.read_outcome)

    def alerts(self, limit: int = 1000) -> list[ExternalAlert]:
        """The last word on each of the newest alerts, oldest first: to be told again after a crash."""
        query = (
            "SELECT body FROM alerts WHERE rowid IN (SELECT max(rowid) FROM alerts GROUP BY fingerprint)"
            " ORDER BY rowid DESC LIMIT ?"
        )
        return self._read(query, limit, codec.read_alert)

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        self._db.close()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version or self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(
                f"{self.path}: has schema version {version}, this edgeobs reads {SCHEMA_VERSION}:"
                " run the version that wrote it, or move the file away to start anew"
            )
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _prune(self, now_ns: int) -> None:
        before = now_ns - int(self._settings.keep_days * 86_400) * SECOND
        self._db.execute(
            "DELETE FROM incidents WHERE resolved_ns > 0 AND (resolved_ns < ? OR id NOT IN"
            " (SELECT id FROM incidents ORDER BY resolved_ns > 0, resolved_ns DESC LIMIT ?))",
            (before, self._settings.keep_incidents),
        )
        self._db.execute(
            "DELETE FROM decisions WHERE decided_ns < ? AND incident NOT IN (SELECT id FROM incidents)",
            (now_ns - 86_400 * SECOND,),  # budgets look back at most a day
        )
        self._db.execute("DELETE FROM outcomes WHERE decision NOT IN (SELECT id FROM decisions)")

    def _read(self, query: str, limit: int, decode: Callable[..., _T]) -> list[_T]:
        with self._explained():
            rows = self._db.execute(query, (limit,)).fetchall()
            try:
                return [decode(*row) for row in reversed(rows)]
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{self.path}: a row cannot be read: {error!r}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            name = getattr(error, "sqlite_errorname", "")
            reason = next((text for code, text in _REASONS.items() if name.startswith(code)), str(error))
            raise StoreError(f"{self.path}: {reason}") from error
