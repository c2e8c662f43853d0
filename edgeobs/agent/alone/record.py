"""The deeds that count, in memory and on disk. Used by one thread."""

from dataclasses import replace
from pathlib import Path

from edgeobs.agent.alone.deeds import OVER, Deed
from edgeobs.agent.alone.journal import Clock, Journal, JournalError
from edgeobs.signals import Decision, Incident


class Record:
    """What was done, as far as it is looked back to. An intent is on disk at once, or there is none.

    Parameters
    ----------
    path
        Of the journal.

    """

    def __init__(self, path: Path) -> None:
        self.deeds: dict[int, Deed] = {}
        self._path = path
        self._journal: Journal | None = None
        self._unwritten: set[int] = set()

    @property
    def opened(self) -> bool:
        """Whether it is known what was spent."""
        return self._journal is not None

    def open(self) -> tuple[list[Deed], Clock]:
        """All that there is, and when that was. Raises JournalError; it may be tried again."""
        journal = Journal(self._path)
        try:
            deeds, clock = journal.read()
        except JournalError:
            journal.close()
            raise
        self._journal, self.deeds = journal, {deed.id: deed for deed in deeds}
        return deeds, clock

    def begin(self, decision: Decision, incident: Incident, evidence: str) -> Deed:
        """An intent. Raises JournalError: nothing may be done then."""
        deed = self._file().begin(decision, incident, evidence)
        self.deeds[deed.id] = deed
        return deed

    def put(self, deed: Deed) -> None:
        """Another state of one; on disk with the next `write`."""
        self.deeds[deed.id] = deed
        self._unwritten.add(deed.id)

    def write(self) -> None:
        """Put on disk what is not there yet. Raises JournalError."""
        for number in sorted(self._unwritten):
            self._file().put(self.deeds[number])
            self._unwritten.discard(number)

    def tick(self, clock: Clock) -> None:
        """Put on disk how far time is. Raises JournalError."""
        self._file().tick(clock)

    def answered(self) -> None:
        """The core is back: it knows of what is over, or will in a moment."""
        for deed in self.deeds.values():
            if deed.unanswered and deed.state in OVER:
                self.put(replace(deed, unanswered=False))

    def forget(self, deed: Deed) -> None:
        """Let go of one, in memory."""
        if deed.id not in self._unwritten:
            self.deeds.pop(deed.id, None)

    def close(self) -> None:
        """Let go of the file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _file(self) -> Journal:
        if self._journal is None:
            raise JournalError(f"{self._path}: it is not open")
        return self._journal
