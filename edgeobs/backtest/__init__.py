"""The production step over history: what it would have said, against what is known to have happened."""
