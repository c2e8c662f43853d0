"""A core that hears what operators say while it runs."""

from collections.abc import Sequence
from pathlib import Path

import structlog

from edgeobs.detect.feedback import Entry
from edgeobs.feedback_log.file import NAME, read
from edgeobs.feedback_log.words import AHEAD_NS, Bad, parse
from edgeobs.signals import SECOND, Counts

log = structlog.get_logger("edgeobs.feedback")

_ERRORS = "edgeobs_store_errors_total"
_LOGGED = 10  # lines named at a time


class Listener:
    """Looks at a core's log about once a second. Used by the engine's thread alone."""

    def __init__(self, folder: Path, counts: Counts) -> None:
        self.path, self.counts = folder / NAME, counts
        self.problem = ""
        self._looked_ns = 0
        self._lines = 0  # that were looked at: what is bad is told once
        self._stamp: tuple[int, int, int] | None = None

    def look(self, now_ns: int) -> list[Entry] | None:
        """All that was said, when the file is not as it was; None: hold to what you have.

        A file that is gone says nothing any more; one that cannot be read changes nothing, and is logged.
        """
        passed = now_ns - self._looked_ns
        if 0 <= passed < SECOND:
            return None
        if not 0 <= passed < AHEAD_NS:
            self._stamp = None  # the clock was set: what lay ahead may not any more
        self._looked_ns = now_ns
        try:
            stamp = _stamp(self.path)  # before it is read: what is added meanwhile is seen next time
            if stamp == self._stamp:
                return None
            body = read(self.path)
        except OSError as error:
            self._failed(str(error))
            return None
        self._stamp, self.problem = stamp, ""
        words, bad = parse(body, now_ns)
        self._tell([each for each in bad if each.number > self._lines])
        self._lines = body.count(b"\n")
        if body:
            log.info("feedback_heard", words=len(words))
        return [word.entry for word in words]

    def _tell(self, bad: Sequence[Bad]) -> None:
        self.counts[_ERRORS, "feedback"] += len(bad)
        for number, reason in bad[:_LOGGED]:
            log.warning("feedback_line_skipped", file=str(self.path), line=number, reason=reason)
        if len(bad) > _LOGGED:
            log.warning("feedback_lines_skipped", file=str(self.path), more=len(bad) - _LOGGED)

    def _failed(self, problem: str) -> None:
        if problem != self.problem:
            self.counts[_ERRORS, "feedback"] += 1
            log.error("feedback_unreadable", reason=problem)
        self.problem = problem


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
