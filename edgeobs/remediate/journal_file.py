"""The file of the journal: opened, brought to the newest version, written whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from edgeobs import sqlite

_MIGRATIONS = (
    """CREATE TABLE operations (
        id TEXT PRIMARY KEY, over INTEGER NOT NULL, standing INTEGER NOT NULL,
        updated_ns INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX operations_by_age ON operations (updated_ns);
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, at_ns INTEGER NOT NULL,
        kind TEXT NOT NULL, body TEXT NOT NULL);
    CREATE INDEX entries_by_operation ON entries (operation, seq);""",
)
"""From one version of the file to the next; what stands here once is never changed."""

_REASONS = {
    "SQLITE_CORRUPT": "the file is damaged: move it away to start anew; what was under way is then unknown",
    "SQLITE_NOTADB": "the file is no database: move it away",
}


class JournalError(RuntimeError):
    """Nothing of what was asked has been written; the message names the file and the reason."""


class File:
    """One SQLite file in WAL mode; a transaction is on disk when it has ended.

    Raises
    ------
    JournalError
        It cannot be opened, is damaged, or is of a later version.

    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        with self.explained():
            name = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self.db = sqlite3.connect(name, isolation_level=None, timeout=1.0, uri=True)
            try:
                self._prepare(read_only=read_only)
            except BaseException:
                self.db.close()
                raise

    def probe(self) -> None:
        """Write to the disk and change nothing; JournalError when that cannot be done."""
        with self.transaction():
            self.db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        with self.explained(), sqlite.transaction(self.db):
            yield

    def explained(self) -> AbstractContextManager[None]:
        """An error of SQLite becomes a JournalError that says what to do."""
        return sqlite.explained(self.path, _REASONS, JournalError)

    def _prepare(self, *, read_only: bool) -> None:
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_MIGRATIONS):
            raise JournalError(
                f"{self.path}: has version {version}, this edgeobs reads up to {len(_MIGRATIONS)}:"
                " run the version that wrote it, or move the file away"
            )
        if read_only:
            return
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            self.db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
