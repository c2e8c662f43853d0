"""The tree alone: who joins whom, and what it costs."""

import string

from hypothesis import given
from hypothesis import strategies as st

from edgeobs.logs.drain import Tree

WORDS = st.lists(
    st.tuples(*[st.sampled_from(["a", "b", "c", "<num>", "<*>", "d"])] * 5), min_size=1, max_size=60
)


def fed(tree: Tree, *lines: str) -> list[int]:
    """Numbers of the templates that lines join, new ones in order."""
    found = []
    for line in lines:
        words = tuple(line.split())
        number = tree.find(words)
        if number is None:
            number = len(tree.words)
            tree.add(number, words)
        found.append(number)
    return found


def test_lines_that_share_enough_words_are_one_template_and_what_differs_is_a_wildcard() -> None:
    tree = Tree(2, 0.4, 100)
    assert fed(tree, "user anna logged in from <ip>", "user bert logged in from <ip>") == [0, 1]
    # the second word leads to a leaf: as Drain does it, with depth 1 they are one
    tree = Tree(1, 0.4, 100)
    assert fed(tree, "user anna logged in from <ip>", "user bert logged in from <ip>") == [0, 0]
    assert " ".join(tree.words[0]) == "user <*> logged in from <ip>"


def test_length_and_leading_words_part_templates_and_words_with_parameters_share_a_branch() -> None:
    tree = Tree(2, 0.4, 100)
    lines = ["open file x", "open file x now", "close file x", "<num> file x", "took=<num>ms file x"]
    assert fed(tree, *lines) == [0, 1, 2, 3, 3]


def test_the_most_alike_wins_and_the_older_of_equals() -> None:
    tree = Tree(0, 0.4, 100)
    fed(tree, "a b c d e")
    tree.add(1, ("a", "b", "x", "y", "z"))
    assert tree.find(("a", "b", "x", "y", "w")) == 1
    tree = Tree(0, 0.4, 100)
    tree.add(0, ("a", "b"))
    tree.add(1, ("a", "c"))
    assert tree.find(("a", "d")) == 0


def test_a_crowded_node_lets_further_words_share_a_branch() -> None:
    tree = Tree(1, 0.5, 3)
    found = fed(tree, "a x y", "b x y", "c x y", "d x y", "a x y")
    assert found == [0, 1, 2, 2, 0]


@given(WORDS)
def test_a_line_is_like_the_template_it_joined(lines: list[tuple[str, ...]]) -> None:
    tree = Tree(2, 0.4, 4)
    for line in lines:
        number = tree.find(line)
        if number is None:
            tree.add(len(tree.words), line)
            continue
        words = tree.words[number]
        assert all(a in (b, "<*>") for a, b in zip(words, line, strict=True))


@given(WORDS, st.sets(st.integers(0, 60)))
def test_what_is_dropped_leaves_no_trace(lines: list[tuple[str, ...]], gone: set[int]) -> None:
    tree = Tree(3, 0.9, 4)
    for line in lines:
        if tree.find(line) is None:
            tree.add(len(tree.words), line)
    tree.drop([number for number in list(tree.words) if number in gone])
    left = set(tree.words)
    tree.drop(list(left))
    assert (tree.words, tree.path, tree._leaves, tree._branches, tree._wild) == ({}, {}, {}, {}, {})
    assert fed(tree, *string.ascii_lowercase) == list(range(26))
