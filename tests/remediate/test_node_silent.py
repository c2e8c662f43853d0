"""Silent alone, and for long enough."""

import pytest

from edgeobs.remediate.policies.node_silent import ALONE_NS, WAIT_NS, node_silent
from edgeobs.signals import SECOND, Evidence, Incident, Resource

NOW = 1_000_000 * SECOND


def silent(since_ns: int, opened_ns: int, seen_ns: int = NOW) -> Incident:
    """Of a node that has sent nothing since a moment, opened at another."""
    gone = Evidence("absence", "silent", "node", (), "", since_ns, seen_ns, 12.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    place = Resource("site", "b", "edge-28")
    return Incident("inc-1", "node", place, "open", opened_ns, NOW, 0, 12.0, "silent", (gone,))


def test_a_node_that_has_been_silent_for_long_enough_is_cordoned() -> None:
    (found,) = node_silent(silent(NOW - WAIT_NS, NOW - ALONE_NS), NOW)
    assert found.verb == "cordon"
    assert "silent for 30 s" in found.reason


@pytest.mark.parametrize(
    "incident",
    [
        silent(NOW - WAIT_NS + 1, NOW - ALONE_NS),
        silent(NOW - 2 * WAIT_NS, NOW - SECOND),  # the last of a dark zone to be heard again
        silent(NOW - 2 * WAIT_NS, NOW - ALONE_NS + 1),
        silent(NOW - 2 * WAIT_NS, NOW - ALONE_NS, NOW - 6 * SECOND),  # it was heard since
    ],
)
def test_sooner_it_is_left_alone(incident: Incident) -> None:
    assert node_silent(incident, NOW) == []
