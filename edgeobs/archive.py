"""Lines of logs from where they are kept (`web.Archive`)."""

from collections.abc import Sequence

from edgeobs.logs.loki import Loki, LokiError, LokiSettings
from edgeobs.web import Line, Refused


class LokiArchive:
    """A Loki."""

    def __init__(self, settings: LokiSettings) -> None:
        self._loki, self._most = Loki(settings), settings.lines

    def lines(self, query: str, start_ns: int, end_ns: int) -> Sequence[Line]:
        """What a query in LogQL selects of a time, newest first; Refused where Loki does not answer."""
        try:
            found = self._loki.lines(query, start_ns, end_ns, self._most)
        except LokiError as error:
            raise Refused(502, f"Loki: {error}") from error
        return [Line(time_ns, text) for time_ns, text in reversed(found)]


def archive(settings: LokiSettings) -> LokiArchive | None:
    """Where lines are; None where nobody says."""
    return LokiArchive(settings) if settings.url else None
