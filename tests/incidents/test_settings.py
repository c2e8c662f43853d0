"""Settings that contradict each other are refused."""

import pytest

from edgeobs.incidents import Settings


def test_what_could_never_be_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="persist_hits at most persist_samples"):
        Settings(persist_hits=6, persist_samples=5)
    Settings(persist_hits=5, persist_samples=5)


def test_evidence_does_not_end_above_where_it_begins() -> None:
    with pytest.raises(ValueError, match="close_score at most open_score"):
        Settings(open_score=2.0, close_score=3.0)
    Settings(open_score=3.0, close_score=3.0)
