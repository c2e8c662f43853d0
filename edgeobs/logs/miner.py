"""Lines of one workload → numbers of templates."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from edgeobs.logs.book import Book
from edgeobs.logs.drain import Line, Path, Tree
from edgeobs.logs.mask import MORE, ZEROED, Words
from edgeobs.logs.settings import Settings
from edgeobs.logs.words import Levels, stamped
from edgeobs.signals import Int64s

OTHER = -1
"""No template: there was no room for it."""

EMPTY = "<empty>"
"""The one word of the template of blank lines."""

_HEAD = 12  # words, and more than a date and time has
_SHARE = 16  # of a full workload is forgotten at once, so that it is rarely done


class Miner:
    """The tree of one workload, and the templates of lines seen lately.

    Parameters
    ----------
    owner
        Number of the workload in the book.
    words, levels
        Remembered masks and severities of words, shared by all miners.
    forget
        Called with numbers of templates, of any workload, that must make room; it drops them everywhere.

    """

    def __init__(
        self,
        owner: int,
        book: Book,
        words: Words,
        levels: Levels,
        settings: Settings,
        forget: Callable[[list[int]], None],
    ) -> None:
        self.owner, self.book, self.settings = owner, book, settings
        self.tree = Tree(settings.depth, settings.likeness, settings.children)
        self.cache: dict[Line, int] = {}
        self.born: dict[Line, int] = {}
        self._gone: set[int] = set()  # forgotten templates, which lines in the cache may still lead to
        self._crowded: set[Path] = set()  # leaves in which there is no more room in this interval
        self.births = settings.workload_templates  # left in this interval
        self.without: Counter[str] = Counter()  # reason → lines that found no room
        self._word, self._levels, self._forget = words.__getitem__, levels, forget

    def mine(self, lines: Sequence[bytes], tick: int) -> list[int]:
        """For each line 8 × its template's number + the severity its words tell; negative: `OTHER`.

        A template may be forgotten for a later one of these lines: who uses the numbers looks at their owner.
        """
        if self._gone:
            self.cache = {line: code for line, code in self.cache.items() if code >> 3 not in self._gone}
            self._gone.clear()
        known, word, most = self.cache.get, self._word, self.settings.tokens
        found: list[int] = []
        for line in lines:  # nothing that a line is taken apart into outlives it: no work for the collector
            words = line.translate(ZEROED).split(None, most)
            if len(words) > most:
                words[most] = b"0"  # stands for all the rest
            key = tuple(map(word, words))
            code = known(key)
            found.append(self._learn(key, line, tick) if code is None else code)
        return found

    def words_of(self, line: bytes, may_be_stamped: bool) -> list[bytes]:
        """The words of a line that belong to its template, as they are."""
        most = self.settings.tokens
        words = line.split(None, most)[:most]
        if not may_be_stamped:
            return words
        return words[stamped(tuple(self._word(word.translate(ZEROED)) for word in words[:_HEAD])) :]

    def renew(self, births: int) -> None:
        """A new interval, with so many new templates."""
        self.births = births
        self._crowded.clear()

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget templates."""
        self.tree.drop(numbers)
        for number in numbers:
            del self.born[self.book.born[number]]
        self._gone.update(numbers)

    def _learn(self, key: Line, raw: bytes, tick: int) -> int:
        skip = stamped(key)
        line = key[skip:] or (EMPTY,)
        if len(key) > self.settings.tokens:
            line = (*line[:-1], MORE)
        number = self.tree.find(line)
        if number is None:
            number = self._bear(line, raw, tick)
        if number < 0:
            return OTHER
        if skip:
            self.book.stamped[number] = True
        code = number << 3 | self._levels.of(line)
        self.cache[key] = code
        return code

    def _bear(self, line: Line, raw: bytes, tick: int) -> int:
        known = self.born.get(line)  # it has since become so general that its first line is unlike it
        if known is not None:
            return known
        if self.births <= 0:
            self.without["births"] += 1
            return OTHER
        way = self.tree.way(line)
        if way in self._crowded or not self._room(line, tick):
            self._crowded.add(way)  # until the next interval: what is heard now stays
            self.without["templates"] += 1
            return OTHER
        self.births -= 1
        number = self.book.add(self.owner, line, raw, tick)
        self.born[line] = number
        self.tree.add(number, line)
        return number

    def _room(self, line: Line, tick: int) -> bool:
        """Whether there is room, made at the cost of what was longest unheard: here, or where most are."""
        book, settings = self.book, self.settings
        leaf = self.tree.leaf(line)
        if len(leaf) >= settings.leaf and not self._make_room(np.array(leaf), tick, len(leaf)):
            return False
        if len(self.born) >= settings.workload_templates and not self._make_room(
            book.of(self.owner), tick, _SHARE
        ):
            return False
        if len(book) < book.limit:
            return True
        return self._make_room(book.of(book.largest()), tick, _SHARE)

    def _make_room(self, among: Int64s, tick: int, share: int) -> bool:
        oldest = self.book.longest_unheard(among, tick, share)
        if oldest:
            self._forget(oldest)
        return bool(oldest)
