"""Whose causes are looked for, and when."""

from dataclasses import replace

from edgeobs.inquiry import AGAIN_NS, AT_ONCE, FORMER_NS, MOST_TOLD, YOUNG_NS, Inquiry
from edgeobs.signals import SECOND
from tests.core.test_suspects import NOW, incident


def names(inquiry: Inquiry, at_ns: int) -> list[str]:
    return [each.id for each in inquiry.due(at_ns)]


def test_what_changed_is_due_once_a_few_at_a_time_and_again_while_it_is_young() -> None:
    asked = Inquiry()
    asked.note([incident(name=f"i-{n}") for n in range(AT_ONCE + 1)])
    assert names(asked, NOW) == [f"i-{n}" for n in range(AT_ONCE)]
    assert names(asked, NOW + 1) == [f"i-{AT_ONCE}"]
    assert names(asked, NOW + 2) == []
    assert names(asked, NOW + AGAIN_NS) == [f"i-{n}" for n in range(AT_ONCE)]
    assert names(asked, NOW + AGAIN_NS + 1) == [f"i-{AT_ONCE}"]
    assert names(asked, NOW + YOUNG_NS) == [], "it is no longer young"
    asked.note([incident(name="i-0")])
    assert names(asked, NOW + 2 * YOUNG_NS) == ["i-0"]


def test_what_is_resolved_is_former_for_an_hour_and_never_due() -> None:
    asked = Inquiry()
    asked.note([incident(name="i-1")])
    over = replace(incident(name="i-1"), state="resolved", resolved_ns=NOW + SECOND)
    asked.note([over])
    assert names(asked, NOW + AGAIN_NS) == []
    assert asked.told() == []
    assert asked.former(NOW + FORMER_NS) == [over]
    assert asked.former(NOW + FORMER_NS + SECOND) == []


def test_what_is_remembered_is_bounded() -> None:
    asked = Inquiry()
    asked.note([incident(name=f"i-{n}") for n in range(MOST_TOLD + 5)])
    assert len(asked.told()) == MOST_TOLD
    assert names(asked, NOW) == ["i-5"], "the oldest went before they were asked for"
