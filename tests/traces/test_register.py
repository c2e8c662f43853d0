"""Numbers are dense, bounded, fair between owners, and used again only after they were let go."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeobs.traces.register import FULL, Register

keys = st.integers(0, 12)


@given(st.lists(st.tuples(keys, st.integers(0, 2), st.booleans()), max_size=60))
@settings(max_examples=200, deadline=None)
def test_what_a_dictionary_would_say(story: list[tuple[int, int, bool]]) -> None:
    register: Register[str] = Register(8, 3)
    model: dict[str, tuple[int, int]] = {}  # key → number, owner
    for now, (key, owner, forget) in enumerate(story):
        text, other = f"{owner}:{key}", f"{owner}:other"
        if forget and text in model:
            register.forget([model.pop(text)[0]])
            continue
        number, is_other = register.number(text, owner, now, other)
        if text in model:
            assert (number, is_other) == (model[text][0], False)
            continue
        mine = sum(1 for _, one in model.values() if one == owner)
        if len(model) >= 8:
            if number == FULL:
                continue
        elif mine < 3:
            assert not is_other
        wanted = other if is_other else text
        assert is_other == (mine >= 3)
        if wanted not in model:
            assert number not in {n for n, _ in model.values()}
            model[wanted] = number, owner
        assert model[wanted][0] == number
        assert register[number] == wanted
    assert len(register) == len(model) <= 8


def test_who_was_silent_is_found_and_is_no_more() -> None:
    register: Register[str] = Register(8, 8)
    for now, key in enumerate("abc"):
        register.number(key, 0, now, None)
    assert register.silent(2) == [0, 1]
    register.forget([0])
    with pytest.raises(KeyError):
        register[0]
    assert register.number("d", 0, 5, None) == (0, False)
    assert register.silent(5) == [1, 2]
