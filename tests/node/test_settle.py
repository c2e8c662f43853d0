"""When a problem is told, and when it is over."""

from hypothesis import given
from hypothesis import strategies as st

from edgeobs.node.health import Facts, Verdict, thermal_throttling
from edgeobs.node.settings import Health
from edgeobs.node.settle import Settled, settled

BAD, GOOD, DARK = Verdict("True", "B", "bad"), Verdict("False", "G", "good"), Verdict("Unknown", "D", "dark")
SETTINGS = Health(confirm_s=15, hold_s=60)


def told(looks: list[Verdict], every_s: float = 10.0) -> list[str]:
    """What is told at each of some looks."""
    known: dict[str, Settled] = {}
    found: list[str] = []
    for number, verdict in enumerate(looks):
        known = settled(known, {"A": verdict}, SETTINGS, number * every_s)
        found.append(known["A"].told.status)
    return found


def test_what_is_seen_once_is_not_told() -> None:
    assert told([GOOD, BAD, GOOD, BAD, GOOD]) == ["False"] * 5
    assert told([BAD, GOOD]) == ["Unknown", "False"]


def test_what_lasts_is_told_and_over_once_it_has_been_gone() -> None:
    assert told([GOOD, BAD, BAD, BAD, *[GOOD] * 7]) == ["False"] * 3 + ["True"] * 6 + ["False"] * 2


def test_what_comes_and_goes_stays_told() -> None:
    assert told([BAD, BAD, BAD, *[GOOD, GOOD, GOOD, BAD] * 3])[2:] == ["True"] * 13


def test_a_message_is_the_newest() -> None:
    known = settled({"A": Settled(BAD, 0.0, 20.0)}, {"A": BAD._replace(message="worse")}, SETTINGS, 30.0)
    assert known["A"].told.message == "worse"


@given(st.lists(st.sampled_from([BAD, GOOD, DARK]), max_size=40), st.floats(1, 100))
def test_bounds(looks: list[Verdict], every_s: float) -> None:
    """Nothing is told that was not a problem for long enough, and nothing is kept that is long gone."""
    found = told(looks, every_s)
    for at, status in enumerate(found):
        seen = [number for number in range(at + 1) if looks[number] is BAD]
        if status == "True":
            assert (at - seen[-1]) * every_s < SETTINGS.hold_s or seen[-1] == at
        lasted = [n for n in range(at + 1) if all(each is BAD for each in looks[n : at + 1])]
        if lasted and (at - lasted[0]) * every_s >= SETTINGS.confirm_s:
            assert status == "True"


def test_a_counter_that_grew_since_the_look_before() -> None:
    events = "edgeobs.node.throttle.events"
    labels = (("scope", "core"),)
    for now, status in ((5.0, "False"), (7.0, "True"), (1.0, "False")):
        facts = Facts({events: {labels: now}}, before={events: {labels: 5.0}})
        assert thermal_throttling(facts, SETTINGS, 0.0).status == status
    assert thermal_throttling(Facts({events: {labels: 7.0}}), SETTINGS, 0.0).status == "False"
