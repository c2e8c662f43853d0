"""Log lines → templates (Drain), series of their counts, and signs: new, silent, suddenly varied."""

from edgeobs.logs.book import Template
from edgeobs.logs.settings import Settings
from edgeobs.logs.stage import Logs

__all__ = ["Logs", "Settings", "Template"]
