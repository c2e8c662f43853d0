"""Scores that belong together become incidents, with evidence, a likely cause and a life."""

from edgeobs.incidents.grouping import Incidents
from edgeobs.incidents.settings import AlertmanagerSettings, Settings

__all__ = ["AlertmanagerSettings", "Incidents", "Settings"]
