"""What several processes expose, as if one did. Pure.

A snapshot is what one worker's metrics were at one moment, as plain data that JSON can carry:
``{"id": text, "worker": slot, "at": Unix seconds, "families": [family]}``, a family being
``{"name", "help", "type", "unit", "across", "samples": [[sample name, labels, value, exemplar]]}`` with an
exemplar of ``[labels, value, Unix seconds]`` or None. NaN and infinities are written as Python's JSON does.

What counts (counters, histograms, summaries) is summed over all workers, those that ended included; the first
creation counts, and the youngest exemplar is kept. Of gauges ``across`` says what is shown: ``each`` (with a
label ``worker``, its slot), ``sum``, ``min``, ``max`` or ``newest``; of workers that ended nothing. An info
is shown once.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Timestamp

from edgeobs.exporter.labels import OVERFLOW

Snapshot = dict[str, Any]
Family = dict[str, Any]
Key = tuple[str, tuple[tuple[str, str], ...]]

CUMULATIVE = frozenset({"counter", "histogram", "summary"})


def snapshot(
    identity: str, worker: int, at_s: float, families: Iterable[Metric], across: Mapping[str, str]
) -> Snapshot:
    """What a worker's metrics are now; ``across`` is by the family's name, ``each`` where it says nothing."""
    return {
        "id": identity,
        "worker": worker,
        "at": at_s,
        "families": [_family(each, across.get(each.name, "each")) for each in families],
    }


def _family(metric: Metric, across: str) -> Family:
    return {
        "name": metric.name, "help": metric.documentation, "type": metric.type, "unit": metric.unit,
        "across": across,
        "samples": [[s.name, s.labels, s.value, _exemplar(s.exemplar)] for s in metric.samples],
    }  # fmt: skip


def _exemplar(found: Exemplar | None) -> list[Any] | None:
    return None if found is None else [found.labels, found.value, float(found.timestamp or 0)]


def merged(alive: Sequence[Snapshot], ended: Snapshot | None = None) -> list[Metric]:
    """One family for each name, in the order of the newest snapshot.

    A family whose type or buckets differ from those that the newest snapshot with that name has (an older
    version of the program, during a rollout) is left out.
    """
    newest_first = sorted(alive, key=lambda each: -each["at"])
    joined: dict[str, _Joined] = {}
    for each in [*newest_first, *([] if ended is None else [ended])]:
        for family in each["families"]:
            into = joined.setdefault(family["name"], _Joined(family))
            if into.fits(family):
                into.add(family, each["worker"])
    return [each.metric() for each in joined.values()]


def _bounds(family: Family) -> frozenset[str]:
    return frozenset(labels["le"] for _, labels, _, _ in family["samples"] if "le" in labels)


class _Joined:
    """A family as it grows, snapshot by snapshot, the newest first."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.samples: dict[Key, list[Any]] = {}
        self._bounds: frozenset[str] = frozenset()

    def fits(self, family: Family) -> bool:
        """Whether it is of the same type, with the same buckets; one without series yet fits all."""
        bounds = _bounds(family)
        self._bounds = self._bounds or bounds
        return bool(self.family["type"] == family["type"] and bounds in (frozenset(), self._bounds))

    def add(self, family: Family, worker: int) -> None:
        """Take in one worker's."""
        kind, across = family["type"], self.family["across"]
        if kind not in CUMULATIVE | {"info"} and across == "each":
            family = _of_worker(family, worker)
            across = "newest"
        for name, labels, value, exemplar in family["samples"]:
            key = name, tuple(sorted(labels.items()))
            had = self.samples.get(key)
            if had is None:
                self.samples[key] = [name, labels, value, exemplar]
                continue
            had[2] = _joined(kind, across, name, had[2], value)
            had[3] = max(had[3], exemplar, key=_when)

    def metric(self) -> Metric:
        """The family as prometheus_client exposes it."""
        made = Metric(self.family["name"], self.family["help"], self.family["type"], self.family["unit"])
        for name, labels, value, exemplar in self.samples.values():
            made.add_sample(name, labels, value, None, None if exemplar is None else _back(exemplar))
        return made


def _of_worker(family: Family, worker: int) -> Family:
    named = [[n, {**labels, "worker": str(worker)}, v, e] for n, labels, v, e in family["samples"]]
    return {**family, "samples": named}


def _when(exemplar: list[Any] | None) -> float:
    return -1.0 if exemplar is None else float(exemplar[2])


def _back(exemplar: list[Any]) -> Exemplar:
    labels, value, at_s = exemplar
    whole = int(at_s)
    return Exemplar(labels, value, Timestamp(whole, int((at_s - whole) * 1e9)))


def _joined(kind: str, across: str, name: str, newer: float, older: float) -> float:
    if kind in CUMULATIVE:
        return min(newer, older) if name.endswith("_created") else newer + older
    if kind == "info" or across == "newest":
        return newer
    return {"sum": newer + older, "min": min(newer, older), "max": max(newer, older)}[across]


def folded(ended: Snapshot | None, more: Snapshot, cap: Mapping[str, int], otherwise: int) -> Snapshot:
    """What is kept of workers that ended: what counts, and whose files it is in (the last 100).

    Of each family at most its cap (``otherwise`` where that says nothing) of label sets are kept; the others
    go to the overflow series.
    """
    before: Snapshot = ended or {"id": "ended", "worker": -1, "at": 0.0, "families": [], "folded": []}
    counting = [family for family in more["families"] if family["type"] in CUMULATIVE]
    both = merged([{**more, "families": counting}], before)
    families = [_capped(_family(each, "each"), cap.get(each.name, otherwise)) for each in both]
    return {
        **before,
        "at": more["at"],
        "families": families,
        "folded": [*before["folded"], more["id"]][-100:],
    }


def _capped(family: Family, cap: int) -> Family:
    kept: dict[tuple[tuple[str, str], ...], None] = {}
    joined = _Joined(family)
    for name, labels, value, exemplar in family["samples"]:
        own = {key: word for key, word in labels.items() if key != "le"}
        identity = tuple(sorted(own.items()))
        if identity not in kept and len(kept) >= cap:
            to = {**labels, **dict.fromkeys(own, OVERFLOW)}
        else:
            kept[identity], to = None, labels
        joined.add({**family, "samples": [[name, to, value, exemplar]]}, -1)
    return {**family, "samples": list(joined.samples.values())}


def since(now: Snapshot, fork: Snapshot | None) -> Snapshot:
    """A snapshot without what the process had counted when it was forked: that is its parent's to tell."""
    if fork is None:
        return now
    had = {
        (family["name"], name, tuple(sorted(labels.items()))): value
        for family in fork["families"] if family["type"] in CUMULATIVE
        for name, labels, value, _ in family["samples"] if not name.endswith("_created")
    }  # fmt: skip
    return {**now, "families": [_less(family, had) for family in now["families"]]}


def _less(family: Family, had: Mapping[Any, float]) -> Family:
    def own(name: str, labels: dict[str, str], value: float) -> float:
        before = had.get((family["name"], name, tuple(sorted(labels.items()))), 0.0)
        # A counter that was reset since is below; a sum of negative values may be.
        return value - before if name.endswith("_sum") else max(value - before, 0.0) if before else value

    return {**family, "samples": [[n, ls, own(n, ls, v), e] for n, ls, v, e in family["samples"]]}
