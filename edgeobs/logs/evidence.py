"""Ticks: what of an interval's lines is a sign by itself."""

from collections.abc import Callable, Collection, Iterable, Iterator
from math import log10
from typing import NamedTuple

import numpy as np

from edgeobs.columns import grown
from edgeobs.logs.novelty import Novelty
from edgeobs.logs.settings import Settings
from edgeobs.logs.silence import Gaps
from edgeobs.logs.variety import Variety
from edgeobs.logs.workloads import Workloads
from edgeobs.signals import SEVERITIES, Bools, Int64s, Labels, Resource, Sign, Source

NEVER_SEEN = "log template never seen"
SILENCE = "log silence"
PARAMETER = "log parameter"

_DEAD_S = 30.0
"""Seconds after which ``heard`` knows at the latest that a node is dead, and its logs not silent but gone."""

_TEXT = 160  # characters of a template in a sign


class First(NamedTuple):
    """The first line of a template on its workload."""

    source: Source
    time_ns: int
    trace: str  # hexadecimal; empty: none


class _Found(NamedTuple):
    workload: int
    p: float  # for a look at the workload
    kind: str
    what: str
    template: int  # −1: the workload as a whole
    first: First | None = None
    value: float = float("nan")


class Evidence:
    """What is remembered by template and by workload to tell a new line, a silence, a parameter that varies.

    Each is told with a probability of so much by chance in a look at the workload (in one tick, of one kind),
    that holds for any workload whose ticks are exchangeable: see `novelty`, `silence` and `variety`. Where a
    look is at many templates or words at once, probabilities are multiplied by their number (Bonferroni).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.novelty, self.variety = Novelty(), Variety()
        self.silence, self.silence_of_all = Gaps(), Gaps()
        self.heard = np.zeros(0, np.bool_)  # templates, in this tick
        self.first: dict[int, First] = {}
        self._longest = max(1, round(settings.silent_s / settings.interval_s))
        self._patience = int(_DEAD_S // settings.interval_s)

    def reserve(self, templates: int, workloads: int) -> None:
        """Room for numbers below these."""
        self.heard = grown(self.heard, templates, 0)
        self.novelty.reserve(templates, workloads)
        self.variety.reserve(templates)
        self.silence.reserve(templates)
        self.silence_of_all.reserve(workloads)

    def forget(self, numbers: list[int], workloads: Workloads) -> None:
        """Templates whose numbers will be given again."""
        self.reserve(len(workloads.book.owner), len(workloads.heard))
        self.novelty.forget(numbers, workloads.book.owner)
        self.variety.forget(numbers)
        self.silence.forget(numbers)
        self.heard[numbers] = False
        for number in numbers:
            self.first.pop(number, None)

    def left(self, workload: int) -> None:
        """A workload whose number will be given again."""
        self.novelty.left(workload)
        self.silence_of_all.forget([workload])

    def skip(self, workloads: Workloads) -> None:
        """A tick that we did not see whole tells nothing, and what began in it is known."""
        self.reserve(len(workloads.book.owner), len(workloads.heard))
        self._learn(workloads)
        self._begin()

    def _learn(self, workloads: Workloads) -> None:
        """Templates that were never heard in a tick, but in late lines or unseen, are known from now on."""
        owner = workloads.book.owner
        held = np.flatnonzero(owner >= 0)
        self.novelty.known(held[self.novelty.ticks[held] == 0])

    def tick(
        self,
        tick: int,
        workloads: Workloads,
        sent: Collection[Resource],
        heard: Callable[[Resource], bool],
        now_ns: int,
    ) -> list[Sign]:
        """End a tick. ``sent``: nodes that sent any line in it; ``heard``: whether one is alive otherwise."""
        self.reserve(len(workloads.book.owner), len(workloads.heard))
        owners = workloads.owners()
        spoke = workloads.heard[owners] == tick
        places = [self._place(workloads, workload) for workload in owners.tolist()]
        beside = np.array([place in sent for place in places], np.bool_)
        could = spoke | beside | np.array([heard(place) for place in places], np.bool_)
        workloads.clock[owners[could]] += 1
        workloads.spoken[owners[spoke]] += 1
        found = [
            *self._new(workloads),
            *self._silent(workloads, owners[could], spoke[could], beside[could]),
            *self._varied(workloads),
        ]
        self._begin()
        return list(self._signs(found, workloads, now_ns))

    def _begin(self) -> None:
        self.heard[:] = False
        self.variety.drop_samples()
        self.first.clear()

    def _new(self, workloads: Workloads) -> Iterator[_Found]:
        book = workloads.book
        heard = np.flatnonzero(self.heard)
        for number, p in self.novelty.tick(heard, book.owner, book.severity, workloads.spoken):
            what = "never logged before"
            yield _Found(int(book.owner[number]), p, NEVER_SEEN, what, number, self.first.get(number))
        self._learn(workloads)

    def _silent(self, workloads: Workloads, owners: Int64s, spoke: Bools, beside: Bools) -> Iterator[_Found]:
        least = self.settings.returns
        alone = set(owners[~beside].tolist())  # on a node that sent no line of anything
        whole = self.silence_of_all.tick(owners, spoke, workloads.clock[owners], least)
        for workload, gap, longest, n in zip(*(column.tolist() for column in whole), strict=True):
            sure = workload not in alone or gap > self._patience
            if sure and gap <= longest + self._longest:
                yield _Found(workload, 1 / (n + 1), SILENCE, self._since(longest), -1)
        book, speaks = workloads.book, np.zeros(len(workloads.clock) + 1, np.bool_)
        speaks[owners[spoke]] = True  # and −1, the owner of free numbers, does not
        numbers = np.flatnonzero(speaks[book.owner])
        clock = workloads.clock[book.owner[numbers]]
        silent = self.silence.tick(numbers, self.heard[numbers], clock, least)
        many = np.bincount(book.owner[self.silence.watched(numbers, least)], minlength=len(workloads.clock))
        for number, gap, longest, n in zip(*(column.tolist() for column in silent), strict=True):
            workload = int(book.owner[number])
            if gap <= longest + self._longest:
                p = int(many[workload]) / (n + 1)
                yield _Found(workload, p, SILENCE, self._since(longest), number)

    def _since(self, longest: int) -> str:
        if longest == 0:
            return f"silent, while it is in every interval of {self.settings.interval_s:g} s"
        return f"silent for longer than ever ({longest * self.settings.interval_s:g} s)"

    def _varied(self, workloads: Workloads) -> Iterator[_Found]:
        looked = self.variety.tick()
        owner = workloads.book.owner
        many = np.bincount(owner[[each.number for each in looked]]) if looked else ()
        for number, word, p, variety, usual in looked:
            workload = int(owner[number])
            if variety > usual:  # not NaN: there was something before
                what = f"word {word + 1} varies as it does not usually"
                yield _Found(
                    workload,
                    p * int(many[workload]),
                    PARAMETER,
                    what,
                    number,
                    self.first.get(number),
                    variety,
                )

    def _signs(self, found: Iterable[_Found], workloads: Workloads, now_ns: int) -> Iterator[Sign]:
        told: dict[int, int] = {}
        for each in sorted(found, key=lambda one: one.p):
            score = -log10(min(1.0, each.p))
            told[each.workload] = told.get(each.workload, 0) + 1
            if score < self.settings.least:
                return
            if told[each.workload] <= self.settings.signs:
                yield self._sign(each, score, workloads, now_ns)

    def _sign(self, found: _Found, score: float, workloads: Workloads, now_ns: int) -> Sign:
        book, number = workloads.book, found.template
        source = found.first.source if found.first else workloads.source[found.workload]
        labels, text = source.whose(), found.what
        if number >= 0:
            told = ("severity", SEVERITIES[book.severity[number]]), ("template", book.ids[number])
            labels = _labels(labels, told)
            words = " ".join(workloads.miners[found.workload].tree.words[number])
            text = f"{text}: {words[:_TEXT]}"
        name = source.resource.workload or source.service() or source.resource.node
        traces = (found.first.trace,) if found.first and found.first.trace else ()
        time_ns = found.first.time_ns if found.first else now_ns
        return Sign(
            found.kind, source, f"{name}: {text}" if name else text, labels, time_ns, min(score, 20.0),
            self.settings.interval_s, found.value, traces,
        )  # fmt: skip

    @staticmethod
    def _place(workloads: Workloads, workload: int) -> Resource:
        source = workloads.source.get(workload)
        return source.resource.place() if source else Resource()


def _labels(whose: Labels, told: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((*whose, *(pair for pair in told if pair[1]))))
