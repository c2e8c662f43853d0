"""`Logs`: lines in, samples of series and signs out."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeobs.columns import occurrences
from edgeobs.logs import kept
from edgeobs.logs.body import Lines, lines
from edgeobs.logs.book import NOBODY, Template
from edgeobs.logs.counting import Counting, grouped, tallied
from edgeobs.logs.evidence import Evidence, First
from edgeobs.logs.miner import OTHER
from edgeobs.logs.past import LinesPast
from edgeobs.logs.settings import Settings
from edgeobs.logs.variety import SAMPLE, SAMPLES
from edgeobs.logs.workloads import Workloads, key_of
from edgeobs.past import Tallies
from edgeobs.series import SeriesTable
from edgeobs.signals import (
    SECOND,
    Admit,
    Bools,
    Closed,
    Counts,
    Int8s,
    Int32s,
    Int64s,
    LogBatch,
    Resource,
    Sign,
)

_DROPPED = "edgeobs_log_lines_dropped_total"
_OTHER = "edgeobs_log_lines_other_total"
_EVICTED = "edgeobs_log_templates_evicted_total"


class Logs:
    """The stage of logs. Everything it remembers is bounded by its settings.

    Parameters
    ----------
    table
        Where series live. Only `admit` speaks to it.
    counts
        Lines dropped (by reason) and counted as ``other`` (by reason); templates that made room.
    admit
        Gives the ids of series.
    heard
        Whether a node has been heard of late, by anything; without it a node is heard if it sent any line.

    """

    def __init__(
        self,
        table: SeriesTable,
        settings: Settings,
        counts: Counts,
        admit: Admit,
        heard: Callable[[Resource], bool] | None = None,
    ) -> None:
        self.table, self.settings, self.counts = table, settings, counts
        self._heard = heard or (lambda _: False)
        self._span = int(settings.interval_s * SECOND)
        self._live_ns = self._span + int(settings.grace_s * SECOND)
        self._counting = Counting(settings, counts, admit)
        self._evidence = Evidence(settings)
        self._workloads = Workloads(settings, self._forget_templates, self._evidence.left)
        self._past = LinesPast()
        self._tick = 0  # number of the interval that we are in; 0: none yet
        self._looked_ns = 0
        self._places: set[Resource] = set()  # that sent lines in this tick
        self._signs: list[Sign] = []

    def take(self, batch: LogBatch, now_ns: int) -> None:
        """Take in the lines of one request."""
        self._roll(now_ns)
        n = len(batch.source)
        if n == 0:
            return
        found = lines(batch, self.settings.line_bytes, self.counts)
        when = np.where(
            (batch.time_ns <= 0) | (batch.time_ns > now_ns + int(self.settings.future_s * SECOND)),
            now_ns,
            batch.time_ns,
        )
        workload = self._workload_of(batch)
        template, severity = self._mined(batch, found, workload)
        live = when > now_ns - self._live_ns
        self._note(batch, found, when, workload, template, severity, live)
        recent = when > now_ns - int(self.settings.too_old_s * SECOND)
        self.counts[_DROPPED, "too_old"] += int(n - np.count_nonzero(recent))
        self._count(batch, np.flatnonzero(recent), when, template, severity, now_ns)

    def close(self, now_ns: int) -> Closed:
        """What is over: samples of intervals, and signs since the last call."""
        self._roll(now_ns)
        signs, self._signs = tuple(self._signs), []
        return Closed(self._counting.close(now_ns), signs)

    def forget(self, ids: Int32s) -> None:
        """Series ids that may be given to others from now on."""
        self._counting.forget(ids)

    def template(self, ident: str) -> Template | None:
        """A template by its id: of the workload that has most lines of it."""
        numbers = self._workloads.book.by_id.get(ident)
        if not numbers:
            return None
        book = self._workloads.book
        number = max(numbers, key=lambda n: int(book.lines[n]))
        owner = int(book.owner[number])
        return Template(
            ident,
            " ".join(self._workloads.miners[owner].tree.words[number]),
            int(book.severity[number]),
            book.example[number].decode("utf-8", "replace"),
            int(book.lines[number]),
            bool(book.stamped[number]),
            self._workloads.source.get(owner),
        )

    def tallies(self, places: Collection[Resource]) -> Tallies:
        """How many lines of each template and severity there were of late, of each of these places."""
        return self._past.tallies(places, self._workloads)

    def state(self) -> dict[str, NDArray[Any]]:
        """What is remembered of workloads and templates; lines of intervals that are not over are not."""
        return kept.state(self._workloads, self._evidence)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on with what `state` gave; ValueError with the reason, and nothing changed."""
        evidence = Evidence(self.settings)
        workloads = Workloads(self.settings, self._forget_templates, evidence.left)
        kept.restore(state, workloads, evidence)
        self._workloads, self._evidence, self._past = workloads, evidence, LinesPast()
        self._tick = 0

    def _roll(self, now_ns: int) -> None:
        """Ends the tick that is over. One in which nobody looked for longer than a tick tells nothing."""
        tick, before, looked = now_ns // self._span, self._tick, self._looked_ns
        self._looked_ns = now_ns
        if tick == before:
            return
        self._tick = tick
        if before and tick > before and now_ns - looked <= self._span:
            end = (before + 1) * self._span
            signs = self._evidence.tick(before, self._workloads, self._places, self._heard, end)
            room = self.settings.signs * self.settings.workloads - len(self._signs)
            self._signs += signs[: max(0, room)]
        else:
            self._evidence.skip(self._workloads)
        self._places = set()
        self._workloads.renew()

    def _forget_templates(self, numbers: list[int]) -> None:
        self.counts[_EVICTED,] += len(numbers)
        self._past.forget(numbers)
        self._evidence.forget(numbers, self._workloads)

    def _workload_of(self, batch: LogBatch) -> Int32s:
        """The workload of each row, −1 where there is no room for it."""
        keys = [key_of(batch.principal, source) for source in batch.sources]
        numbers = [self._workloads.number(key, self._tick) for key in keys]
        for source, number in zip(batch.sources, numbers, strict=True):
            if number != NOBODY:
                self._workloads.source[number] = source
        return np.array(numbers, np.int32)[batch.source]

    def _mined(self, batch: LogBatch, found: Lines, workload: Int32s) -> tuple[Int64s, Int8s]:
        """Template (−1: none) and severity of each row."""
        code = np.full(len(workload), OTHER, np.int64)
        book, lines_ = self._workloads.book, self._workloads.lines
        book.settle()
        self.counts[_OTHER, "workloads"] += int(np.count_nonzero(workload == NOBODY))
        for owner in np.unique(workload[workload >= 0]).tolist():
            rows = np.flatnonzero(workload == owner)
            within = rows[: max(0, self.settings.workload_lines - int(lines_[owner]))]
            self.counts[_OTHER, "budget"] += len(rows) - len(within)
            lines_[owner] += len(within)
            miner = self._workloads.miners[owner]
            code[within] = miner.mine([found.text[row] for row in within.tolist()], self._tick)
            for reason, lost in miner.without.items():
                self.counts[_OTHER, reason] += lost
            miner.without.clear()
        self._workloads.uncache()
        template = np.where(code < 0, OTHER, code >> 3)
        known = template >= 0
        template[known] = np.where(book.owner[template[known]] >= 0, template[known], OTHER)
        told = np.where(batch.severity > 0, batch.severity, found.severity)
        guessed = np.where(code < 0, 0, code & 7).astype(np.int8)
        return template, np.where(told > 0, told, guessed)

    def _note(
        self,
        batch: LogBatch,
        found: Lines,
        when: Int64s,
        workload: Int32s,
        template: Int64s,
        severity: Int8s,
        live: Bools,
    ) -> None:
        """What the book and the evidence learn of these lines."""
        book, evidence = self._workloads.book, self._evidence
        evidence.reserve(len(book.owner), len(self._workloads.heard))
        rows = np.flatnonzero(template >= 0)
        numbers, at, many = np.unique(template[rows], return_index=True, return_counts=True)
        fresh = book.lines[numbers] == 0
        book.severity[numbers[fresh]] = severity[rows[at[fresh]]]
        book.lines[numbers] += many
        book.used[numbers] = self._tick
        spoke = np.flatnonzero(live & (workload >= 0))
        self._workloads.heard[workload[spoke]] = self._tick
        self._places |= {batch.sources[s].resource.place() for s in np.unique(batch.source[live]).tolist()}
        rows = rows[live[rows]]
        numbers, at = np.unique(template[rows], return_index=True)
        first = ~evidence.heard[numbers]
        evidence.heard[numbers] = True
        for number, row in zip(numbers[first].tolist(), rows[at[first]].tolist(), strict=True):
            evidence.first[number] = self._first(batch, row, int(when[row]))
        self._sample(found, rows, template)

    @staticmethod
    def _first(batch: LogBatch, row: int, time_ns: int) -> First:
        high, low = batch.trace[row].tolist()
        trace = f"{high:016x}{low:016x}" if high or low else ""
        return First(batch.sources[batch.source[row]], time_ns, trace)

    def _sample(self, found: Lines, rows: Int64s, template: Int64s) -> None:
        """A few lines of each template are looked at word by word."""
        variety, owner = self._evidence.variety, self._workloads.book.owner
        stamped, sampled = self._workloads.book.stamped, self._workloads.sampled
        numbers = template[rows].astype(np.int32)
        few = rows[occurrences(numbers) + variety.sampled[numbers] < SAMPLE]
        owners = owner[template[few]]
        few = few[occurrences(owners) + sampled[owners] < SAMPLES]
        np.add.at(sampled, owner[template[few]], 1)
        for row in few.tolist():
            number = int(template[row])
            miner = self._workloads.miners[int(owner[number])]
            words = miner.words_of(found.text[row], bool(stamped[number]))
            variety.add(number, miner.tree.words[number], words)

    def _count(
        self,
        batch: LogBatch,
        rows: Int64s,
        when: Int64s,
        template: Int64s,
        severity: Int8s,
        now_ns: int,
    ) -> None:
        ids = self._workloads.book.ids
        columns = batch.source[rows], when[rows] // self._span, template[rows], severity[rows]
        groups = grouped(*columns)
        self._past.add(batch.sources, groups, self._span)
        for source, number, told in tallied(groups):
            tallies = [(ids[t] if t >= 0 else "", s, n) for t, s, n in told]
            self._counting.take(batch.principal, batch.sources[source], number, tallies, now_ns)
