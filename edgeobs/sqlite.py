"""What each of our SQLite files needs: reasons for people, and transactions that a full disk may end."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_REASONS = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the file or its folder cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened: is its folder there and writable?",
    "SQLITE_BUSY": "another process holds the file",
    "SQLITE_IOERR": "the disk does not answer",
}


def reason(error: sqlite3.Error, own: Mapping[str, str]) -> str:
    """Why, in words that say what to do; ``own``: what a damaged file means here, by SQLite's error name."""
    name = getattr(error, "sqlite_errorname", "")
    return next((text for code, text in {**_REASONS, **own}.items() if name.startswith(code)), str(error))


def is_new(db: sqlite3.Connection, path: Path, version: int, error: type[Exception]) -> bool:
    """Have every commit durable by the time it returns; whether the file holds nothing yet.

    Parameters
    ----------
    version
        Of the schema that is read and written; a new file gets it with its tables.
    error
        Raised, with what to do, where the file was written by another version.

    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found == version:
        return False
    if found or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise error(
            f"{path}: has schema version {found}, this edgeobs reads {version}:"
            " run the version that wrote it, or move the file away to start anew"
        )
    return True


@contextmanager
def explained(path: Path, own: Mapping[str, str], error: type[Exception]) -> Iterator[None]:
    """An error of SQLite becomes one of ours that names the file and says what to do (`reason`)."""
    try:
        yield
    except sqlite3.Error as wrong:
        raise error(f"{path}: {reason(wrong, own)}") from wrong


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk may have ended it already
            db.execute("ROLLBACK")
        raise
