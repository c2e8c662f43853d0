"""The tree of Drain: which template a line belongs to, by its length, its first words and its likeness.

P. He, J. Zhu, Z. Zheng, M. R. Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017.
A leaf holds the templates of one length whose first words are the same; a line joins the most alike of them
that shares enough words with it, and what differs becomes a wildcard. Words with a parameter share a branch.
"""

from collections.abc import Iterable, Sequence
from operator import eq

from edgeobs.logs.mask import MASKED, WILD

Line = tuple[str, ...]
"""The words of a line, masked."""

Path = tuple[int | str, ...]
"""Where a leaf is: how many words, then the first of them."""


class Tree:
    """Templates, by number, where lines find them.

    Parameters
    ----------
    depth
        Leading words that lead to a leaf, ≥ 0.
    likeness
        Share of words in (0, 1] that must be equal; a wildcard equals no word.
    children
        Branches of a node, ≥ 2, one of them for all further words. Leaves are bounded by who calls `add`.

    """

    def __init__(self, depth: int, likeness: float, children: int) -> None:
        self.depth, self.likeness, self.children = depth, likeness, children
        self.words: dict[int, Line] = {}  # of a template today
        self.path: dict[int, Path] = {}
        self._wild: dict[int, int] = {}  # how many of its words are wildcards
        self._leaves: dict[Path, list[int]] = {}
        self._branches: dict[Path, set[int | str]] = {}

    def find(self, line: Line) -> int | None:
        """The most alike template, which learns from the line; None where none is alike enough."""
        best, most = -1, self.likeness * len(line)
        for number in self._leaves.get(self.way(line), ()):
            alike = sum(map(eq, self.words[number], line))
            if alike > most or (best < 0 and alike == most):
                best, most = number, alike
        if best < 0:
            return None
        if most + self._wild[best] < len(line) or WILD in line:
            words = zip(self.words[best], line, strict=True)
            self.words[best] = joined = tuple([a if a == b else WILD for a, b in words])
            self._wild[best] = joined.count(WILD)
        return best

    def leaf(self, line: Line) -> Sequence[int]:
        """The templates that a line may belong to, the oldest first."""
        return self._leaves.get(self.way(line), ())

    def add(self, number: int, line: Line, path: Path | None = None) -> None:
        """A new template; one that was known before comes with the path it had."""
        path = self.way(line) if path is None else path
        self.words[number], self.path[number], self._wild[number] = line, path, line.count(WILD)
        self._leaves.setdefault(path, []).append(number)
        for at in range(1, len(path)):
            self._branches.setdefault(path[:at], set()).add(path[at])

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget templates, and the leaves and branches that only they had."""
        for number in numbers:
            del self.words[number], self._wild[number]
            path = self.path.pop(number)
            self._leaves[path].remove(number)
            if not self._leaves[path]:
                del self._leaves[path]
                self._prune(path)

    def _prune(self, path: Path) -> None:
        """A branch that leads nowhere gives its room to another."""
        for at in range(len(path) - 1, 0, -1):
            self._branches[path[:at]].discard(path[at])
            if self._branches[path[:at]]:
                return
            del self._branches[path[:at]]

    def way(self, line: Line) -> Path:
        """To the leaf of a line."""
        path: Path = (len(line),)
        for word in line[: self.depth]:
            known = self._branches.get(path, ())
            if word in known:
                path += (word,)
            else:
                room = len(known) < self.children - 1
                path += (word if room and not ("<" in word and MASKED.search(word)) else WILD,)
        return path
