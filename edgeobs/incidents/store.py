"""What must outlive a crash, in SQLite: incidents, decisions, outcomes, and which foreign alerts were seen.

Only the thread that made a Store may use it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from edgeobs import sqlite
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
    id TEXT PRIMARY KEY, incident TEXT NOT NULL, verb TEXT NOT NULL, verdict TEXT NOT NULL,
    steady_ns INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX decisions_by_incident ON decisions (incident);
CREATE INDEX decisions_by_age ON decisions (steady_ns);
CREATE TABLE outcomes (decision TEXT NOT NULL, at_ns INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (decision, at_ns));
CREATE TABLE alerts (
    fingerprint TEXT NOT NULL, status TEXT NOT NULL, starts_ns INTEGER NOT NULL,
    cluster TEXT NOT NULL, zone TEXT NOT NULL, node TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (fingerprint, status, starts_ns, cluster, zone, node));
"""
_REASONS = {
    "SQLITE_CORRUPT": "the file is damaged: move it away to start anew, its incidents are lost",
    "SQLITE_NOTADB": "the file is no database: name another, or move it away",
}
_ACTIVE, _OVER = "resolved_ns = 0", "resolved_ns > 0"
_UNFIT = (
    OverflowError, sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)  # fmt: skip
_MAX_ALERTS = 10_000
_PRUNE_EVERY = 100
_T = TypeVar("_T")

LOOK_BACK_NS = 7 * 86_400 * SECOND
"""Decisions are kept at least this long on the clock of budgets: no cool-down may be longer."""


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
        """Write all of it or nothing. What was written before is replaced.

        Raises
        ------
        StoreError
            The database cannot take it now; the same may be tried again.
        ValueError
            Something in it can never be written, such as a time beyond 64 bits; the database is well.

        """
        rows = [(i.id, i.opened_ns, i.updated_ns, i.resolved_ns, *codec.write_incident(i)) for i in incidents]
        made = [
            (d.id, d.action.incident, d.action.verb, d.verdict, d.steady_ns, codec.write_decision(d))
            for d in decisions
        ]
        ends = [(o.decision, o.at_ns, codec.write_outcome(o)) for o in outcomes]
        if not rows and not made and not ends:
            return
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?, ?)", made)
            db.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", ends)
            self._saves += 1
            if self._saves % _PRUNE_EVERY == 0:
                self._prune()

    def probe(self) -> None:
        """Write to the disk and change nothing; StoreError when that cannot be done."""
        with self._transaction() as db:
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def take_alerts(self, alerts: Sequence[ExternalAlert]) -> list[ExternalAlert]:
        """Make alerts durable; those not seen before.

        The same place, fingerprint, status and start is the same: a fingerprint is a hash of labels that
        anybody can compute, so what is said of one place says nothing of another. Raises as `save`.
        """
        new: list[ExternalAlert] = []
        if not alerts:
            return new
        with self._transaction() as db:
            for alert in alerts:
                row = (*alert[:2], alert.starts_ns, *alert.place[:3], codec.write_alert(alert))
                if db.execute("INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", row).rowcount:
                    new.append(alert)
            if new:
                db.execute(
                    "DELETE FROM alerts WHERE rowid <= (SELECT max(rowid) FROM alerts) - ?", (_MAX_ALERTS,)
                )
        return new

    def incidents(self, *, active: bool | None = None, limit: int = 1000) -> list[Incident]:
        """All that are not resolved and the ``limit`` resolved last, or either; oldest first."""
        found: list[Incident] = []
        for which, most in ((_ACTIVE, -1), (_OVER, limit)):
            if active is None or active == (which == _ACTIVE):
                query = f"SELECT body, plots FROM incidents WHERE {which} ORDER BY resolved_ns DESC LIMIT ?"  # noqa: S608  no input
                found += self._read(query, (most,), codec.read_incident)
        return sorted(found, key=lambda incident: incident.opened_ns)

    def decisions(self, limit: int = 10_000) -> list[Decision]:
        """The newest, oldest first."""
        query = "SELECT body FROM decisions ORDER BY rowid DESC LIMIT ?"
        return self._read(query, (limit,), codec.read_decision)

    def ledger(self, back_ns: int = LOOK_BACK_NS) -> list[Decision]:
        """All that budgets and repetition depend on, however much else there is; oldest first.

        The allowed ones of incidents that are not resolved, those allowed within ``back_ns`` before the
        newest (on the clock of budgets), the last word on every proposal of an incident that is not
        resolved, and the newest.
        """
        query = f"""SELECT body FROM decisions WHERE rowid IN (
            SELECT rowid FROM decisions WHERE verdict = 'allowed' AND (
                incident IN (SELECT id FROM incidents WHERE {_ACTIVE})
                OR steady_ns > (SELECT max(steady_ns) FROM decisions) - ?)
            UNION SELECT max(rowid) FROM decisions
                WHERE incident IN (SELECT id FROM incidents WHERE {_ACTIVE}) GROUP BY incident, verb
            UNION SELECT max(rowid) FROM decisions) ORDER BY rowid DESC"""  # noqa: S608  no input
        return self._read(query, (back_ns,), codec.read_decision)

    def outcomes(self, limit: int = 10_000) -> list[Outcome]:
        """The newest, oldest first."""
        query = "SELECT body FROM outcomes ORDER BY at_ns DESC, rowid DESC LIMIT ?"
        return self._read(query, (limit,), codec.read_outcome)

    def alerts(self, limit: int = 1000) -> list[ExternalAlert]:
        """The last word on each of the newest alerts, oldest first: to be told again after a crash."""
        query = (
            "SELECT body FROM alerts WHERE rowid IN"
            " (SELECT max(rowid) FROM alerts GROUP BY fingerprint, cluster, zone, node)"
            " ORDER BY rowid DESC LIMIT ?"
        )
        return self._read(query, (limit,), codec.read_alert)

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        self._db.close()

    def _prepare(self) -> None:
        if sqlite.is_new(self._db, self.path, SCHEMA_VERSION, StoreError):
            version = f"PRAGMA user_version = {SCHEMA_VERSION};"
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {version} COMMIT;")

    def _prune(self) -> None:
        newest = self._db.execute("SELECT max(updated_ns) FROM incidents").fetchone()[0] or 0
        before = newest - int(self._settings.keep_days * 86_400) * SECOND
        self._db.execute(
            "DELETE FROM incidents WHERE resolved_ns > 0 AND (resolved_ns < ? OR id NOT IN"
            " (SELECT id FROM incidents ORDER BY resolved_ns > 0, resolved_ns DESC LIMIT ?))",
            (before, self._settings.keep_incidents),
        )
        self._db.execute(
            "DELETE FROM decisions WHERE steady_ns <= (SELECT max(steady_ns) FROM decisions) - ?"
            " AND incident NOT IN (SELECT id FROM incidents)",
            (LOOK_BACK_NS,),
        )
        self._db.execute("DELETE FROM outcomes WHERE decision NOT IN (SELECT id FROM decisions)")

    def _read(self, query: str, values: tuple[int, ...], decode: Callable[..., _T]) -> list[_T]:
        with self._explained():
            rows = self._db.execute(query, values).fetchall()
            try:
                return [decode(*row) for row in reversed(rows)]
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"{self.path}: a row cannot be read: {error!r}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), sqlite.transaction(self._db):
            yield self._db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with sqlite.explained(self.path, _REASONS, StoreError):
            try:
                yield
            except _UNFIT as error:
                raise ValueError(f"{self.path}: a value that no row can hold: {error}") from error
