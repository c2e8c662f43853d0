"""What operators said of alarms: a file that only grows, who writes it, and who hears it."""

from edgeobs.feedback_log.command import factors, listing, say
from edgeobs.feedback_log.file import MOST_BYTES, NAME, append, read
from edgeobs.feedback_log.listen import Listener
from edgeobs.feedback_log.words import AHEAD_NS, Bad, Word, encode, parse, said

__all__ = [
    "AHEAD_NS", "MOST_BYTES", "NAME", "Bad", "Listener", "Word", "append", "encode", "factors", "listing",
    "parse", "read", "said", "say",
]  # fmt: skip
