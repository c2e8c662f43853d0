"""What waits for the core, in SQLite: survives kill -9, is bounded, and loses summaries before all else."""

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeobs import sqlite
from edgeobs.signals import SECOND, Counts
from edgeobs.uplink.ballast import Ballast
from edgeobs.uplink.parcel import LANES, Kind, Lane, Letter, Parcel

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE waiting (
    lane TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    made_ns INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, sequence));
CREATE INDEX waiting_by_kind ON waiting (kind, sequence);
CREATE INDEX waiting_by_key ON waiting (key) WHERE key != '';
CREATE TABLE lanes (lane TEXT PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE spent (minute INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TABLE own (queue TEXT NOT NULL);
"""
_REASONS = {
    "SQLITE_CORRUPT": "the file is damaged: move it away to start anew; what waited for the core is lost",
    "SQLITE_NOTADB": "the file is no database: name another, or move it away",
}
_YIELDING: tuple[Kind, ...] = ("summary", "window")
"""What is dropped when there is no room, in this order. Incidents never are."""

_ROW_BYTES = 64  # what a row takes besides its body
_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
_DROPPED = "edgeobs_uplink_dropped_total"


class QueueError(RuntimeError):
    """Nothing of what was asked has been done; the message names the file and the reason."""


class Queue:
    """One database file, made when it is not there. Threads may share it: one puts, another sends.

    Parameters
    ----------
    path
        Of the file; three more appear beside it (``-wal``, ``-shm``, ``-ballast``).
    limit_bytes
        Bodies that may wait, bytes. Incidents are kept past it.
    counts
        Of what was dropped, by kind.
    max_pages
        Pages of 4 KiB that the file may have: a disk that is full, for tests. None: no limit.

    Raises
    ------
    QueueError
        It cannot be opened, is damaged, or was written by another version.

    """

    def __init__(self, path: Path, limit_bytes: int, counts: Counts, max_pages: int | None = None) -> None:
        self.path, self.limit_bytes, self.counts = path, limit_bytes, counts
        self._lock = threading.RLock()
        self._ballast = Ballast(path.with_name(f"{path.name}-ballast"))
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
            try:
                self._prepare()
                if max_pages is not None:
                    self._db.execute(f"PRAGMA max_page_count = {max_pages:d}")
                self.id: str = self._db.execute("SELECT queue FROM own").fetchone()[0]
                self.bytes: int = self._db.execute(
                    "SELECT coalesce(sum(length(body) + ?), 0) FROM waiting", (_ROW_BYTES,)
                ).fetchone()[0]
            except BaseException:
                self._db.close()
                raise
        self._ballast.take()

    def put(self, letters: Sequence[Letter], now_ns: int) -> None:
        """Make letters durable, in order, all or none; the oldest summaries, then windows, make room.

        Raises
        ------
        QueueError
            There is no room on the disk even then, or it fails; the same may be tried again.

        """
        if not letters:
            return
        coming = sum(len(letter.body) + _ROW_BYTES for letter in letters)
        with self._lock:
            self._make_room(self.bytes + coming - self.limit_bytes)
            while True:
                try:
                    with self._transaction() as db:
                        gone = self._insert(db, letters, now_ns)
                except QueueError as error:
                    # The disk is full before the queue is: what may yield does, until there is nothing left.
                    if _full(error) and self._yield_room(max(coming, self.bytes // 4)):
                        continue
                    raise
                self.bytes += coming - gone
                self._ballast.take()
                return

    def head(self, lane: Lane) -> Parcel | None:
        """The oldest that waits in a lane."""
        with self._explained():
            row = self._db.execute(
                "SELECT kind, sequence, made_ns, body FROM waiting WHERE lane = ? ORDER BY sequence LIMIT 1",
                (lane,),
            ).fetchone()
        return None if row is None else Parcel(*row)

    def taken(self, lane: Lane, last: int) -> int:
        """Let go of all that the core has, up to sequence ``last``; how many that were."""
        return self._delete("lane = ? AND sequence <= ?", (lane, last))

    def refused(self, lane: Lane, parcel: Parcel) -> None:
        """Let go of one that the core will never take; counted."""
        self._delete("lane = ? AND sequence = ?", (lane, parcel.sequence))
        self.counts["edgeobs_uplink_refused_total", parcel.kind] += 1

    def waiting(self) -> dict[Kind, int]:
        """How many wait, by kind."""
        with self._explained():
            found = dict(self._db.execute("SELECT kind, count(*) FROM waiting GROUP BY kind").fetchall())
        return {kind: found.get(kind, 0) for kind in LANES}

    def spent(self, now_ns: int) -> int:
        """Bytes put within the last hour, to the minute."""
        with self._explained():
            row = self._db.execute(
                "SELECT coalesce(sum(bytes), 0) FROM spent WHERE minute > ? AND minute <= ?",
                ((now_ns - _HOUR) // _MINUTE, now_ns // _MINUTE),
            ).fetchone()
        return int(row[0])

    def next(self, lane: Lane) -> int:
        """The sequence that the next letter of a lane will have."""
        with self._explained():
            return int(self._db.execute("SELECT next FROM lanes WHERE lane = ?", (lane,)).fetchone()[0])

    def renew(self) -> None:
        """Take another name, and keep what waits.

        For a file that turns out to be an old copy of itself: its sequences were used before, for other
        things, and would be taken for known.
        """
        queue = secrets.token_hex(16)
        with self._transaction() as db:
            db.execute("UPDATE own SET queue = ?", (queue,))
        self.id = queue

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        self._db.close()

    def _insert(self, db: sqlite3.Connection, letters: Iterable[Letter], now_ns: int) -> int:
        """Bytes that letters of the same key gave way with."""
        gone = 0
        for kind, made_ns, body, key in letters:
            lane = LANES[kind]
            (sequence,) = db.execute("SELECT next FROM lanes WHERE lane = ?", (lane,)).fetchone()
            if key:
                sizes = db.execute(
                    "DELETE FROM waiting WHERE key = ? AND lane = ? RETURNING length(body)", (key, lane)
                ).fetchall()
                gone += sum(size + _ROW_BYTES for (size,) in sizes)
            db.execute(
                "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?)", (lane, sequence, kind, key, made_ns, body)
            )
            db.execute("UPDATE lanes SET next = ? WHERE lane = ?", (sequence + 1, lane))
        minute, size = now_ns // _MINUTE, sum(len(letter.body) for letter in letters)
        db.execute(
            "INSERT INTO spent VALUES (?, ?) ON CONFLICT (minute) DO UPDATE SET bytes = bytes + ?",
            (minute, size, size),
        )
        db.execute("DELETE FROM spent WHERE minute <= ?", (minute - 2 * _HOUR // _MINUTE,))
        return gone

    def _yield_room(self, wanted: int) -> bool:
        """Make room on a full disk; whether there is any more than before."""
        given, before = self._ballast.give_up(), self.bytes
        with suppress(QueueError):  # what was dropped before it failed is room as well
            self._fold()
            self._make_room(wanted)
            self._fold()
        return given or self.bytes < before

    def _fold(self) -> None:
        """Fold the log into the file and give its room back."""
        with self._explained():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _make_room(self, wanted: int) -> int:
        """Drop the oldest of what yields until ``wanted`` bytes are free or nothing is left; bytes freed."""
        freed = 0
        for kind in _YIELDING:
            while freed < wanted:
                with self._transaction() as db:
                    rows = db.execute(
                        "DELETE FROM waiting WHERE rowid IN (SELECT rowid FROM waiting WHERE kind = ?"
                        " ORDER BY sequence LIMIT 8) RETURNING length(body)",
                        (kind,),
                    ).fetchall()
                if not rows:
                    break
                size = sum(length + _ROW_BYTES for (length,) in rows)
                freed += size
                self.bytes -= size
                self.counts[_DROPPED, kind] += len(rows)
        return freed

    def _delete(self, where: str, values: tuple[str, int]) -> int:
        try:
            return self._deleted(where, values)
        except QueueError as error:
            if not _full(error):
                raise
            self._yield_room(0)
            return self._deleted(where, values)

    def _deleted(self, where: str, values: tuple[str, int]) -> int:
        with self._lock:
            with self._transaction() as db:
                rows = db.execute(
                    f"DELETE FROM waiting WHERE {where} RETURNING length(body)",  # noqa: S608  no input
                    values,
                ).fetchall()
            self.bytes -= sum(size + _ROW_BYTES for (size,) in rows)
        return len(rows)

    def _prepare(self) -> None:
        new = sqlite.is_new(self._db, self.path, SCHEMA_VERSION, QueueError)
        self._db.execute("PRAGMA cache_size = -256")  # KiB: what is put is read once, in order
        self._db.execute("PRAGMA wal_autocheckpoint = 64")  # pages: on a small disk the log must stay small
        if not new:
            return
        lanes = [(lane, 1) for lane in sorted(set(LANES.values()))]
        with sqlite.transaction(self._db) as db:
            for statement in _SCHEMA.strip().removesuffix(";").split(";"):
                db.execute(statement)
            db.executemany("INSERT INTO lanes VALUES (?, ?)", lanes)
            db.execute("INSERT INTO own VALUES (?)", (secrets.token_hex(16),))
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), sqlite.transaction(self._db):
            yield self._db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with sqlite.explained(self.path, _REASONS, QueueError), self._lock:
            yield


def _full(error: QueueError) -> bool:
    return getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_FULL")
