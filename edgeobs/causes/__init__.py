"""Evidence of all signals → what is the likeliest cause. Pure functions, no state, no clock."""

from edgeobs.causes.model import Cause, Clue, Member
from edgeobs.causes.ranking import rank
from edgeobs.causes.settings import Settings

__all__ = ["Cause", "Clue", "Member", "Settings", "rank"]
