"""Incidents that were told of too late to act upon: what an inbox has of them, for people."""

from dataclasses import replace

from edgeobs.incidents import codec
from edgeobs.ingest.body import decompress
from edgeobs.ingest.delivery import TooLarge
from edgeobs.ingest.errors import Malformed
from edgeobs.signals import SECOND, Incident
from edgeobs.told import Ended, Late, Peak
from edgeobs.uplink.inbox import Inbox, InboxError
from edgeobs.uplink.samples import Key, joined, read_peak, samples

BEFORE_NS, AFTER_NS = 120 * SECOND, 900 * SECOND
"""Of a raw window, before the first onset and after the last."""

MOST_PEAKS = 20
_MOST_WINDOWS = 400
_MOST_PACKED, _MOST_BYTES = 4 << 20, 16 << 20  # of all windows, compressed and before
_MOST_SUMMARY_NS = 3600 * SECOND  # that one is about


def late(
    inbox: Inbox, node: str | None, ended: Ended | None, limit: int, offset: int
) -> tuple[int, list[Late], dict[str, int]]:
    """How many there are, the newest by their delivery, and how many of each node, whatever is asked.

    Parameters
    ----------
    node
        Of this one alone; None: of all.
    ended
        ``resolved``: those whose end was told; ``unknown``: the others, of which nobody knows whether they
        still hold.

    Raises
    ------
    InboxError
        The file cannot be read.

    """
    which, values = ["late_ns > 0"], list[object]()
    if node is not None:
        which, values = [*which, "node = ?"], [node]
    if ended is not None:
        which.append("resolved_ns > 0" if ended == "resolved" else "resolved_ns = 0")
    where = " AND ".join(which)
    total = inbox.read(f"SELECT count(*) FROM incidents WHERE {where}", values)[0][0]  # noqa: S608  no input
    rows = inbox.read(
        f"SELECT node, body, x'', late_ns FROM incidents WHERE {where}"  # noqa: S608  no input
        " ORDER BY late_ns DESC, node, id LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    nodes = inbox.read("SELECT node, count(*) FROM incidents WHERE late_ns > 0 GROUP BY node LIMIT 1000")
    return total, [_read(inbox, *row) for row in rows], dict(nodes)


def one(inbox: Inbox, node: str, incident: str) -> tuple[Late, list[Peak]] | None:
    """One with its plots, as far as raw windows reach, and the summaries that were the most surprising then.

    None: it is not known, or not late. InboxError: the file cannot be read.
    """
    rows = inbox.read(
        "SELECT node, body, plots, late_ns FROM incidents WHERE node = ? AND id = ? AND late_ns > 0",
        (node, incident),
    )
    if not rows:
        return None
    found = _read(inbox, *rows[0])
    return found._replace(incident=_with_windows(inbox, found)), _peaks(inbox, found)


def _read(inbox: Inbox, node: str, body: str, plots: bytes, late_ns: int) -> Late:
    try:
        return Late(node, codec.read_incident(body, plots), late_ns)
    except (ValueError, KeyError, TypeError) as error:
        raise InboxError(f"{inbox.path}: a row cannot be read: {error!r}") from error


def _with_windows(inbox: Inbox, found: Late) -> Incident:
    incident = found.incident
    told = [each for each in incident.evidence if each.source == "series"]
    series: dict[Key, list[tuple[int, float]]] = {(each.name, each.labels): [] for each in told}
    if not series:
        return incident
    onsets = [each.onset_ns for each in incident.evidence]
    first, last = min(onsets) - BEFORE_NS, max(onsets) + AFTER_NS
    left = _MOST_BYTES
    for body in inbox.windows(found.node, first, last, _MOST_WINDOWS, _MOST_PACKED):
        try:
            plain = decompress(body, "gzip", left)
        except (Malformed, TooLarge):
            continue
        left -= len(plain)
        for key, time_ns, value in samples(plain, series):
            if first <= time_ns <= last:
                series[key].append((time_ns, value))
    evidence = tuple(joined(e, series.get((e.name, e.labels), ())) for e in incident.evidence)
    return replace(incident, evidence=evidence)


def _peaks(inbox: Inbox, found: Late) -> list[Peak]:
    """Of each series the summaries of that time that were surprising, as one."""
    incident = found.incident
    first = min((each.onset_ns for each in incident.evidence), default=incident.opened_ns)
    last = incident.resolved_ns or incident.updated_ns
    rows = inbox.read(
        "SELECT name, labels, unit, min(since_ns), max(until_ns), sum(samples),"
        " sum(mean * samples) / sum(samples), max(largest), max(score) AS score FROM peaks"
        " WHERE node = ? AND until_ns BETWEEN ? AND ? AND since_ns <= ?"
        " GROUP BY name, labels, unit ORDER BY score DESC, name, labels LIMIT ?",
        (found.node, first, last + _MOST_SUMMARY_NS, last, MOST_PEAKS),
    )
    return [read_peak(row) for row in rows]
