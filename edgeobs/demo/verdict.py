"""Did edgeobs do right? The fault schedule, the incidents and the decisions → rows of a table. Pure.

Right is strict:

- disk: the node has an incident, and an allowed dry-run ``cordon`` of that very node;
- cut: the node has an incident, for nothing is heard of it; a ``cordon`` is right, and is not called for;
- dark: the zone has an incident, at least one action for one of its nodes is held by the zone hold, and none
  is allowed;
- burn: this machine has an incident, and an allowed dry-run ``taint``. It is real, and others use it too: the
  taint is also right while it was busy by our own measure, or when its incident was still open as the burn
  began; and after such a taint a second one may be held by the cool-down. When it was busy for most of the
  warm-up, or its memory came and went, a burn is nothing new to it: it must be noticed, and a decision is not
  called for;
- and every other allowed action is false, whatever it is, as is one that is not a dry run.

With a real cluster actions are live instead, none may be dry, and two more are right: ``reschedule`` beside
the cordon, and ``uncordon``, which takes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgeobs.demo.faults import Fault, FaultKind

ZONE_HOLD = "zone_hold"
"""The guard's rule that holds a zone that went dark as a whole."""
RIGHT_VERB: dict[FaultKind, str] = {"disk": "cordon", "burn": "taint", "cut": "cordon"}
BESIDE: dict[FaultKind, frozenset[str]] = {
    "disk": frozenset({"reschedule", "uncordon"}),
    "burn": frozenset({"uncordon"}),
    "cut": frozenset({"release", "uncordon"}),
}
"""What else is right where actions are live."""
COOLDOWN = "cooldown"
"""The guard's rule that leaves a node alone for a while after an action."""
_BUSY_S = 20.0  # a taint so long after a busy moment can still be because of it
_AFTER_S = 60.0  # an action so long after a fault's end can still be because of it
_CLOCK_S = 0.5  # when a fault began is known no better than this

_NONE = "none"
_WHY_NONE: dict[FaultKind, str] = {"burn": "this machine was busy before", "cut": "it may be its link alone"}


class Seen(NamedTuple):
    """An incident, as far as the verdict needs it. Unix seconds; None: not yet."""

    id: str
    scope: str
    zone: str
    node: str
    opened_s: float
    resolved_s: float | None
    title: str = ""


class Decided(NamedTuple):
    """A decision, as far as the verdict needs it."""

    id: str
    incident: str
    verb: str
    zone: str
    node: str
    verdict: str
    rule: str
    dry_run: bool
    decided_s: float
    text: str = ""
    latency_ms: float | None = None  # request's last byte → decision recorded, as the core measured it


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the closing table."""

    fault: str
    noticed_s: float | None
    decision: str
    latency_ms: float | None
    false_actions: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """The table, and what the exit code rests on."""

    rows: tuple[Row, ...]
    healthy_incidents: int  # on nodes without a fault: no failure, but told

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that was not right; empty: exit 0."""
        return tuple(problem for row in self.rows for problem in row.problems)


class Record(NamedTuple):
    """All that is known of a run."""

    faults: Sequence[Fault]
    incidents: Sequence[Seen]
    decisions: Sequence[Decided]
    busy_s: Sequence[float] = ()  # moments at which this machine was busy, as the demo itself measured
    noisy: bool = False  # it was so for most of the warm-up, or its memory came and went
    live: bool = False  # there is a real cluster, and actions are carried out


def close(run: Record) -> Closing:
    """Judge a run: a row for each fault, and one for all that had none."""
    wrong = [d for d in run.decisions if d.verdict == "allowed" and not _justified(d, run)]
    rows = [_row(fault, run, [d for d in wrong if _about(fault, d)]) for fault in run.faults]
    rest = [d for d in wrong if not any(_about(fault, d) for fault in run.faults)]
    rows.append(Row("none (healthy nodes)", None, "", None, len(rest), _blame(rest)))
    healthy = [i for i in run.incidents if not any(_concerns(f, i) or _within(f, i) for f in run.faults)]
    return Closing(tuple(rows), len(healthy))


def settled(fault: Fault, run: Record) -> bool:
    """Whether a fault was noticed and the right decision made: nothing more to wait for."""
    return not _row(fault, run, []).problems


def _justified(decision: Decided, run: Record) -> bool:
    """Whether a fault makes an allowed action right."""
    return _meant(decision, run) and any(
        (_right(fault, decision) or (run.live and _beside(fault, decision)))
        and (_during(fault, decision.decided_s) or _otherwise(fault, decision, run))
        for fault in run.faults
    )


def _row(fault: Fault, run: Record, wrong: Sequence[Decided]) -> Row:
    right = next((d for d in _by_time(run.decisions) if _answers(fault, d, run)), None)
    noticed = _noticed(fault, run.incidents, right)
    problems = [] if noticed is not None else [f"{fault.text()}: not noticed"]
    excused = fault.kind == "cut" or (fault.kind == "burn" and run.noisy)
    if right is None and not excused:
        got = [d.text for d in run.decisions if _about(fault, d) and d.decided_s >= fault.start_s - _CLOCK_S]
        problems.append(f"{fault.text()}: no right decision; {'; '.join(got[:3]) or 'none was made'}")
    text, latency = (right.text, right.latency_ms) if right else (_none(fault, excused), None)
    if right is not None and right.decided_s < fault.start_s - _CLOCK_S:
        text += f" (it was busy already: {fault.start_s - right.decided_s:.0f} s before)"
    return Row(fault.text(), noticed, text, latency, len(wrong), (*problems, *_blame(wrong)))


def _none(fault: Fault, excused: bool) -> str:
    return f"{_NONE}: {_WHY_NONE[fault.kind]}" if excused else _NONE


def _answers(fault: Fault, decision: Decided, run: Record) -> bool:
    """Whether this is the decision that a fault calls for."""
    if fault.kind == "dark":
        held = decision.verdict == "held" and decision.rule == ZONE_HOLD
        return held and _about(fault, decision) and _during(fault, decision.decided_s)
    if decision.verdict == "allowed" and _right(fault, decision) and _meant(decision, run):
        return _during(fault, decision.decided_s) or _older(fault, decision, run.incidents)
    return fault.kind == "burn" and _cools_down(fault, decision, run)


def _noticed(fault: Fault, incidents: Sequence[Seen], right: Decided | None) -> float | None:
    """Seconds from a fault's beginning to its incident; one open before counts once it is decided right."""
    opened = [i.opened_s for i in incidents if _concerns(fault, i) and _during(fault, i.opened_s)]
    if opened:
        return max(min(opened) - fault.start_s, 0.0)
    before = [i for i in incidents if _concerns(fault, i) and _open_at_start(fault, i)]
    if before and right is not None:
        return max(right.decided_s - fault.start_s, 0.0)
    return None


def _right(fault: Fault, decision: Decided) -> bool:
    return decision.node == fault.target and decision.verb == RIGHT_VERB.get(fault.kind)


def _beside(fault: Fault, decision: Decided) -> bool:
    return decision.node == fault.target and decision.verb in BESIDE.get(fault.kind, ())


def _meant(decision: Decided, run: Record) -> bool:
    """Whether it is carried out exactly where there is something to carry it out on."""
    return decision.dry_run != run.live


def _cools_down(fault: Fault, decision: Decided, run: Record) -> bool:
    """A taint held because the machine had a justified one not long before."""
    held = decision.verdict == "held" and decision.rule == COOLDOWN and _right(fault, decision)
    earlier = [d for d in run.decisions if d.decided_s < decision.decided_s and d.verdict == "allowed"]
    taints = [d for d in earlier if _right(fault, d) and _justified(d, run)]
    return held and bool(taints) and _during(fault, decision.decided_s)


def _otherwise(fault: Fault, decision: Decided, run: Record) -> bool:
    """What makes an action on a real machine right besides the fault we made."""
    busy = any(0 <= decision.decided_s - moment <= _BUSY_S for moment in run.busy_s)
    return fault.kind == "burn" and (busy or _older(fault, decision, run.incidents))


def _older(fault: Fault, decision: Decided, incidents: Sequence[Seen]) -> bool:
    """A decision on a real machine that was abnormal already, and still was when the burn began."""
    return fault.kind == "burn" and any(
        i.id == decision.incident and _open_at_start(fault, i) for i in incidents
    )


def _open_at_start(fault: Fault, incident: Seen) -> bool:
    still = incident.resolved_s is None or incident.resolved_s > fault.start_s
    return incident.opened_s < fault.start_s and still


def _during(fault: Fault, t: float) -> bool:
    return fault.start_s - _CLOCK_S <= t <= fault.end_s + _AFTER_S


def _about(fault: Fault, decision: Decided) -> bool:
    return fault.target == (decision.zone if fault.kind == "dark" else decision.node)


def _concerns(fault: Fault, incident: Seen) -> bool:
    if fault.kind == "dark":
        return incident.scope == "zone" and incident.zone == fault.target
    return incident.scope == "node" and incident.node == fault.target


def _within(fault: Fault, incident: Seen) -> bool:
    """Whether an incident is of something in a zone that is dark."""
    dark = fault.kind == "dark" and incident.zone == fault.target
    return dark and _during(fault, incident.opened_s)


def _by_time(decisions: Sequence[Decided]) -> list[Decided]:
    return sorted(decisions, key=lambda d: d.decided_s)


def _blame(wrong: Sequence[Decided]) -> tuple[str, ...]:
    return tuple(f"false action: {d.text or f'{d.verb} {d.node}'}" for d in wrong)
