"""What nodes have told the core, in SQLite: each parcel once, and the incidents and windows they brought.

What is read of it for people is in `late`.
"""

import sqlite3
import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from edgeobs import sqlite
from edgeobs.incidents import codec
from edgeobs.signals import Counts, Incident
from edgeobs.told import Peak
from edgeobs.uplink.parcel import Kind, Label, Standing, standing
from edgeobs.uplink.samples import peak_row

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE lanes (
    node TEXT NOT NULL, queue TEXT NOT NULL, lane TEXT NOT NULL, last INTEGER NOT NULL,
    missing INTEGER NOT NULL, heard_ns INTEGER NOT NULL, PRIMARY KEY (node, queue, lane));
CREATE TABLE incidents (
    node TEXT NOT NULL, id TEXT NOT NULL, opened_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL,
    resolved_ns INTEGER NOT NULL, taken_ns INTEGER NOT NULL, body TEXT NOT NULL, plots BLOB NOT NULL,
    PRIMARY KEY (node, id));
CREATE INDEX incidents_by_update ON incidents (updated_ns);
CREATE TABLE windows (
    node TEXT NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, taken_ns INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX windows_by_node ON windows (node, last_ns);
"""
_SINCE_1 = """
ALTER TABLE incidents ADD COLUMN late_ns INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incidents_by_lateness ON incidents (late_ns) WHERE late_ns > 0;
CREATE TABLE peaks (
    node TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, unit TEXT NOT NULL,
    since_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL, samples INTEGER NOT NULL,
    mean REAL, largest REAL, score REAL NOT NULL);
CREATE INDEX peaks_by_node ON peaks (node, until_ns);
"""
"""``late_ns``: when an incident was delivered that nobody had told of in time to act upon; otherwise 0."""

_REASONS = {
    "SQLITE_CORRUPT": "the file is damaged: move it away to start anew; what nodes told is lost, they go on",
    "SQLITE_NOTADB": "the file is no database: name another, or move it away",
}
_QUEUES = 4
"""Queues remembered of one node: a node has one, and another after its disk was changed."""

_PRUNE_EVERY = 100


class InboxError(RuntimeError):
    """Nothing of what was asked has been done; the message names the file and the reason."""


class Taken(NamedTuple):
    """What became of a parcel, and the sequence up to which nothing need be sent again."""

    standing: Standing
    last: int


class Heard(NamedTuple):
    """What is known of a node's lane."""

    node: str
    lane: str
    last: int
    missing: int  # sequences that never came: dropped by the node for want of room
    heard_ns: int


class Inbox:
    """One database file, made when it is not there. Threads may share it.

    Parameters
    ----------
    path
        Of the file; two more appear beside it (``-wal``, ``-shm``).
    keep_incidents
        Resolved incidents kept in all; those that are not resolved are kept besides, up to as many again.
    keep_windows_bytes
        Raw windows kept in all, compressed bytes; the oldest go first.
    keep_peaks
        Of series in summaries, kept in all; the oldest go first.

    Raises
    ------
    InboxError
        It cannot be opened, is damaged, or was written by another version.

    """

    def __init__(
        self,
        path: Path,
        counts: Counts,
        *,
        keep_incidents: int = 10_000,
        keep_windows_bytes: int = 256 << 20,
        keep_peaks: int = 50_000,
    ) -> None:
        self.path, self.counts = path, counts
        self._keep_peaks = keep_peaks
        self._keep_incidents, self._keep_windows_bytes = keep_incidents, keep_windows_bytes
        self._lock = threading.RLock()
        self._takes = 0
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def last(self, label: Label) -> int:
        """The highest sequence taken of a parcel's lane; 0: none."""
        with self._explained():
            row = self._db.execute(
                "SELECT last FROM lanes WHERE node = ? AND queue = ? AND lane = ?", label_key(label)
            ).fetchone()
        return 0 if row is None else int(row[0])

    def take(
        self,
        label: Label,
        kind: Kind,
        now_ns: int,
        incidents: Sequence[Incident] = (),
        window: tuple[int, int, bytes] | None = None,
        *,
        timely: Container[str] = (),
        peaks: Sequence[Peak] = (),
    ) -> Taken:
        """Take a parcel: what it brought and that it was taken become durable together, or neither does.

        Parameters
        ----------
        incidents
            What a parcel of that kind brought; an older state of one that is known changes nothing.
        window
            Times of its first and last sample, and body, of a parcel of that kind.
        timely
            Ids of those incidents of which the core was told while it could act on them.
        peaks
            What a summary says of what was surprising.

        Raises
        ------
        InboxError
            The database cannot take it now; the same may be tried again.

        """
        with self._transaction() as db:
            last = self.last(label)
            found = standing(last, label.sequence)
            if found != "known":
                # Nothing of the first lane is ever dropped: what is not there was replaced by what is newer.
                missing = label.sequence - last - 1 if label.lane == "rest" else 0
                self._advance(db, label, missing, now_ns)
                for incident in incidents:
                    _keep(db, label.node, incident, now_ns, timely=incident.id in timely)
                db.executemany(
                    f"INSERT INTO peaks VALUES ({', '.join('?' * 10)})",  # noqa: S608  no input
                    [peak_row(label.node, each) for each in peaks],
                )
                if window is not None:
                    first_ns, last_ns, body = window
                    row = (label.node, first_ns, last_ns, now_ns, body)
                    db.execute("INSERT INTO windows VALUES (?, ?, ?, ?, ?)", row)
        if found == "known":
            self.counts["edgeobs_uplink_known_total", kind] += 1
            return Taken(found, last)
        self.counts["edgeobs_uplink_taken_total", kind] += 1
        if missing:
            self.counts[("edgeobs_uplink_missing_total",)] += missing
        self._takes += 1
        if self._takes % _PRUNE_EVERY == 0:
            self.prune()
        return Taken(found, label.sequence)

    def incidents(self, limit: int = 200, node: str | None = None) -> list[Incident]:
        """The newest by their last change, newest first; of one node, or of all."""
        where, values = ("WHERE node = ?", (node, limit)) if node is not None else ("", (limit,))
        query = f"SELECT body, plots FROM incidents {where} ORDER BY updated_ns DESC LIMIT ?"  # noqa: S608  no input
        with self._explained():
            rows = self._db.execute(query, values).fetchall()
        try:
            return [codec.read_incident(*row) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise InboxError(f"{self.path}: a row cannot be read: {error!r}") from error

    def has_late(self, node: str) -> bool:
        """Whether a node told of an incident too late to act upon."""
        return bool(self.read("SELECT 1 FROM incidents WHERE node = ? AND late_ns > 0 LIMIT 1", (node,)))

    def read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Rows; InboxError where there is none to be had."""
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def windows(
        self, node: str, from_ns: int, to_ns: int, limit: int = 1000, most_bytes: int = 64 << 20
    ) -> list[bytes]:
        """Raw windows that have samples of a span of time, oldest first: gzipped OTLP metrics requests."""
        with self._explained():
            rows = self._db.execute(
                "SELECT body FROM windows WHERE rowid IN (SELECT rowid FROM (SELECT rowid, sum(length(body))"
                " OVER (ORDER BY first_ns, rowid) AS upto FROM windows WHERE node = ? AND last_ns >= ?"
                " AND first_ns <= ?) WHERE upto <= ?) ORDER BY first_ns, rowid LIMIT ?",
                (node, from_ns, to_ns, most_bytes, limit),
            ).fetchall()
        return [row[0] for row in rows]

    def heard(self) -> list[Heard]:
        """Of each node and lane the queue heard last."""
        query = (
            "SELECT node, lane, last, missing, max(heard_ns) FROM lanes GROUP BY node, lane"
            " ORDER BY node, lane"
        )
        with self._explained():
            return [Heard(*row) for row in self._db.execute(query).fetchall()]

    def prune(self) -> None:
        """Drop what is beyond the bounds, oldest first; counted."""
        with self._transaction() as db:
            gone = 0
            for over in ("resolved_ns > 0", "resolved_ns = 0"):
                gone += db.execute(
                    f"DELETE FROM incidents WHERE {over} AND rowid NOT IN (SELECT rowid FROM incidents"  # noqa: S608  no input
                    f" WHERE {over} ORDER BY min(updated_ns, taken_ns) DESC, updated_ns DESC LIMIT ?)",
                    (self._keep_incidents,),
                ).rowcount
            dropped = db.execute(
                "DELETE FROM windows WHERE rowid IN (SELECT rowid FROM (SELECT rowid,"
                " sum(length(body)) OVER (ORDER BY rowid DESC) AS until FROM windows) WHERE until > ?)",
                (self._keep_windows_bytes,),
            ).rowcount
            old = db.execute(
                "DELETE FROM peaks WHERE rowid <= (SELECT max(rowid) FROM peaks) - ?", (self._keep_peaks,)
            ).rowcount
        for what, number in (("incident", gone), ("window", dropped), ("peak", old)):
            if number:
                self.counts["edgeobs_uplink_forgotten_total", what] += number

    def close(self) -> None:
        """Fold the log back into the file and let go of it."""
        with self._lock:
            self._db.close()

    def _advance(self, db: sqlite3.Connection, label: Label, missing: int, now_ns: int) -> None:
        key = label_key(label)
        db.execute(
            "INSERT INTO lanes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (node, queue, lane)"
            " DO UPDATE SET last = excluded.last, missing = missing + excluded.missing,"
            " heard_ns = excluded.heard_ns",
            (*key, label.sequence, missing, now_ns),
        )
        db.execute(
            "DELETE FROM lanes WHERE node = ? AND lane = ? AND queue != ? AND queue NOT IN (SELECT queue FROM"
            " lanes WHERE node = ? AND lane = ? AND queue != ? ORDER BY heard_ns DESC LIMIT ?)",
            (label.node, label.lane, label.queue, label.node, label.lane, label.queue, _QUEUES - 1),
        )

    def _prepare(self) -> None:
        version = f"PRAGMA user_version = {SCHEMA_VERSION};"
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 1:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SINCE_1} {version} COMMIT;")
        if sqlite.is_new(self._db, self.path, SCHEMA_VERSION, InboxError):
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {_SINCE_1} {version} COMMIT;")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._explained(), sqlite.transaction(self._db):
            yield self._db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        with sqlite.explained(self.path, _REASONS, InboxError), self._lock:
            yield


def label_key(label: Label) -> tuple[str, str, str]:
    """Whose sequence it is."""
    return label.node, label.queue, label.lane


def _keep(db: sqlite3.Connection, node: str, incident: Incident, now_ns: int, *, timely: bool) -> None:
    """One that was told in time is never late from then on; one that was late first stays so until then."""
    text, plots = codec.write_incident(incident)
    db.execute(
        "INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (node, id) DO UPDATE SET"
        " updated_ns = excluded.updated_ns, resolved_ns = excluded.resolved_ns, taken_ns = excluded.taken_ns,"
        " body = excluded.body, plots = excluded.plots,"
        " late_ns = CASE WHEN excluded.late_ns = 0 THEN 0 ELSE late_ns END"
        " WHERE excluded.updated_ns >= updated_ns",
        (
            node, incident.id, incident.opened_ns, incident.updated_ns, incident.resolved_ns, now_ns, text,
            plots, 0 if timely else now_ns,
        ),
    )  # fmt: skip
