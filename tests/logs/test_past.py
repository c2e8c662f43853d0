"""Who logged of late, as `LinesPast` remembers it: bounded, whoever comes."""

import numpy as np
import pytest

from edgeobs.logs import past
from edgeobs.logs.counting import Groups
from edgeobs.logs.past import LinesPast
from edgeobs.past import INTERVAL_NS, Past
from tests.logs.making import source

MOST = 100


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "_MOST_PLACES", MOST)


def one_line(made: LinesPast, pod: str, others: int = 0) -> None:
    """Of a pod, in a request that names others too, which say nothing."""
    sources = [source(pod=pod), *(source(pod=f"silent-{n}") for n in range(others))]
    zero = np.zeros(1, np.int64)
    groups = Groups(*(zero if name != "many" else zero + 1 for name in Groups._fields))
    made.add(sources, groups, INTERVAL_NS)


def test_pods_that_come_and_go_are_forgotten_with_their_lines() -> None:
    made = LinesPast()
    made._past = Past(most=20)
    for n in range(10 * MOST):
        one_line(made, f"job-{n}", others=5)
        assert len(made._places) <= MOST
    kept = [place.pod for place in made._places]
    assert {f"job-{n}" for n in range(980, 1000)} <= set(kept)
    assert not any(name.startswith("silent") for name in kept)
    numbers = list(made._places.values())
    assert len(set(numbers)) == len(numbers)


def test_more_pods_than_are_remembered_begin_anew() -> None:
    made = LinesPast()
    for n in range(MOST + 1):
        one_line(made, f"pod-{n}")
    assert [place.pod for place in made._places] == [f"pod-{MOST}"]
    assert len(made._past.keys()) == 1
