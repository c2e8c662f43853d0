"""Two configurations over the same data: alarms gained, lost, earlier, later. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from edgeobs.backtest.judge import Alarm, Result, SeriesResult
from edgeobs.signals import Resource


class Change(NamedTuple):
    """What the alarms of one series, or of all, became."""

    name: str
    place: Resource
    gained: int
    gained_true: int
    lost: int
    lost_true: int
    earlier: int
    later: int
    same: int

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return bool(self.gained or self.lost or self.earlier or self.later)


def compare(new: Result, old: Result) -> tuple[Change, list[Change]]:
    """What ``new`` gained and lost against ``old``, over all series and for each that differs, most first."""
    before = {(each.place, each.name): each for each in old.series}
    after = {(each.place, each.name): each for each in new.series}
    changes = [_change(after.get(key), before.get(key), key) for key in before | after]
    total = Change(
        "", Resource(), *(sum(column) for column in list(zip(*changes, strict=True))[2:] or [()] * 7)
    )
    differing = [change for change in changes if change.differs]
    return total, sorted(differing, key=lambda c: -(c.gained + c.lost + c.earlier + c.later))


def _change(new: SeriesResult | None, old: SeriesResult | None, key: tuple[Resource, str]) -> Change:
    mine, theirs = new.alarms if new else (), old.alarms if old else ()
    pairs, gained, lost = paired(mine, theirs)
    earlier = sum(a.raised_ns < b.raised_ns for a, b in pairs)
    later = sum(a.raised_ns > b.raised_ns for a, b in pairs)
    return Change(
        key[1], key[0],
        len(gained), sum(bool(alarm.labels) for alarm in gained),
        len(lost), sum(bool(alarm.labels) for alarm in lost),
        earlier, later, len(pairs) - earlier - later,
    )  # fmt: skip


def paired(
    new: Sequence[Alarm], old: Sequence[Alarm]
) -> tuple[list[tuple[Alarm, Alarm]], list[Alarm], list[Alarm]]:
    """(pairs that overlap in time, only new, only old); both sides in order of time, each alarm once."""
    pairs, gained, lost = [], [], []
    i = j = 0
    while i < len(new) and j < len(old):
        if new[i].last_ns < old[j].onset_ns:
            gained.append(new[i])
            i += 1
        elif old[j].last_ns < new[i].onset_ns:
            lost.append(old[j])
            j += 1
        else:
            pairs.append((new[i], old[j]))
            i, j = i + 1, j + 1
    return pairs, [*gained, *new[i:]], [*lost, *old[j:]]
