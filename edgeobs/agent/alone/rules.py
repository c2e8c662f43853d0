"""The guard of what is done alone: every rule on every wish; nothing passes that one of them forbids. Pure.

What is the same for a core is the core's own rule (`remediate.guards`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgeobs.agent.alone.deeds import IN_VAIN, POLICY, Deed, Wish, busy
from edgeobs.agent.alone.settings import Settings
from edgeobs.quantity import quantity
from edgeobs.remediate import FleetView, Ledger, guards
from edgeobs.remediate import Settings as GuardSettings
from edgeobs.remediate.guard import decision_id, worst
from edgeobs.remediate.guards.base import FINE, Said
from edgeobs.remediate.ledger import SETTLE_NS
from edgeobs.signals import SECOND, Action, Check, Decision, Resource
from edgeobs.uplink.pace import Silence

FRESH_NS = 30 * SECOND
"""Evidence that was last seen longer ago is no reason any more: the core's own bound for what nodes tell."""

AHEAD_NS = 5 * SECOND
"""Evidence that is further in the future is of another clock than ours."""

ASKED_S = 5.0
"""The core must have left a question unanswered within this time: it may have come back since the last."""


MOST_IN_A_CUT = 50
"""However long a cut is: by then it is plain that nothing of this helps."""


class Known(NamedTuple):
    """Everything besides the wish that a rule may look at."""

    settings: Settings
    guard: GuardSettings  # the section `remediate` of the agent's file: its pause and its windows
    node: Resource  # this one
    silence: Silence
    deeds: Sequence[Deed]  # those that still count
    ledger: Ledger  # the clock of budgets, and what was allowed
    answered: bool  # the core has, at any time
    journal: str = ""  # why nothing can be put on record; empty: it can


class Scene(NamedTuple):
    """A wish, and what is known."""

    wish: Wish
    known: Known
    core: guards.Scene  # as the core's rules see it


Rule = Callable[[Scene], Said]


def consider(wish: Wish, known: Known, now_ns: int) -> Decision:
    """Allowed only where every rule allows it; the decision has what each of them said."""
    action = Action(
        "playbook",
        known.node,
        ((wish.kind, wish.target),),
        reason(wish, known.silence),
        POLICY,
        wish.incident.id,
    )
    fleet = FleetView({}, {}, journal=known.journal)
    core = guards.Scene(action, [], fleet, known.ledger, known.guard, frozenset({POLICY}), now_ns)
    scene = Scene(wish, known, core)
    checks = tuple(Check(name, *rule(scene)) for name, rule in RULES.items())
    said = worst(checks, action.reason)
    steady_ns = known.ledger.steady_ns
    return Decision(
        id=decision_id(action, said.rule, now_ns, steady_ns), action=action, verdict=said.verdict,
        rule=said.rule, reason=said.reason, checks=checks, dry_run=False, decided_ns=now_ns,
        steady_ns=steady_ns,
    )  # fmt: skip


def reason(wish: Wish, silence: Silence) -> str:
    """Why it is wished for, for people."""
    seen = wish.evidence
    value, expected = quantity(seen.value, seen.unit), quantity(seen.expected, seen.unit)
    return f"cut off for {silence.for_s:.0f} s; {seen.brief()} at {value}, expected {expected}"


def enabled(scene: Scene) -> Said:
    """Off by default."""
    return (
        (FINE, "switched on") if scene.known.settings.enabled else ("denied", "agent.alone is switched off")
    )


def clock(scene: Scene) -> Said:
    """After a step of our clock, or a standstill, what is known is old, and how old is not known."""
    if scene.known.ledger.steady_ns >= scene.known.ledger.settled_ns:
        return FINE, "our clock runs steadily"
    return "held", f"our clock was set, or we stood still: nothing for {SETTLE_NS // SECOND} s"


def cut_off(scene: Scene) -> Said:
    """The core must not have answered anything for long, and must have been asked."""
    silence, least = scene.known.silence, scene.known.settings.after_s
    if not silence.asked:
        return "held", "the core was not asked anything yet"
    if not scene.known.answered:
        return "held", "the core has never answered yet: is uplink.url right?"
    if not silence.silent:
        return "held", "the core answers: what is to be done is its to decide"
    if not silence.for_s >= least:
        return "held", f"the core has not answered for {silence.for_s:.0f} s, less than {least:g} s"
    return FINE, f"the core has not answered for {silence.for_s:.0f} s"


def own_node(scene: Scene) -> Said:
    """This node alone."""
    incident, own = scene.wish.incident, scene.known.node.node
    if incident.scope != "node" or incident.place.node not in {"", own}:
        where = incident.place.node or f"a {incident.scope}"
        return "denied", f"it is an incident of {where}, and this is {own}"
    return FINE, "its own node"


def allow_list(scene: Scene) -> Said:
    """What is named, by its whole name."""
    kind, target = scene.wish[:2]
    settings = scene.known.settings
    units = {each.unit for each in settings.units}
    spaces = {each.namespace for each in settings.pods} if settings.metaserver_url else set()
    named = target in units if kind == "restart_unit" else target.partition("/")[0] in spaces
    return (FINE, f"{target} is named") if named else ("denied", f"{target} is not named in agent.alone")


def fresh(scene: Scene) -> Said:
    """What was abnormal a while ago may be over; what comes late is never acted upon."""
    ago_ns = scene.core.now_ns - scene.wish.evidence.last_ns
    if ago_ns < -AHEAD_NS:
        return "held", f"its evidence is of {-ago_ns // SECOND} s from now: of another clock"
    if scene.wish.evidence.calm or ago_ns > FRESH_NS:
        return "held", f"its evidence was last abnormal {max(ago_ns, 0) // SECOND} s ago"
    return FINE, f"abnormal {max(ago_ns, 0) // SECOND} s ago"


def certain(scene: Scene) -> Said:
    """Surprising enough, and for long enough to be called ongoing."""
    score, least = scene.wish.evidence.score, scene.known.settings.score
    if not score >= least:
        return "held", f"{score:.1f} decades, less than {least:g}"
    if scene.wish.incident.state != "ongoing":
        return "held", f"its incident is {scene.wish.incident.state}, not ongoing"
    return FINE, f"{score:.1f} decades, and ongoing"


def one_pod(scene: Scene) -> Said:
    """Which of several is at fault nobody here knows."""
    if scene.wish.kind == "restart_pod" and scene.wish.among > 1:
        return "held", f"its incident names {scene.wish.among} pods: which of them is at fault is not known"
    return FINE, "one target"


def one_at_a_time(scene: Scene) -> Said:
    """What was done is watched to its end before anything else is."""
    under_way = busy(scene.known.deeds)
    if under_way is None:
        return FINE, "nothing is under way"
    return "held", f"{under_way.kind} {under_way.target} is not over: {under_way.state}"


def once(scene: Scene) -> Said:
    """What did not help is not tried again before the core is back, nor is another for the same incident."""
    for deed in scene.known.deeds:
        same = deed.target == scene.wish.target or deed.incident.id == scene.wish.incident.id
        if same and deed.unanswered and deed.state in IN_VAIN:
            return (
                "held",
                f"{deed.kind} {deed.target} ended {deed.state}: nothing more before the core is back",
            )
    return FINE, "not tried yet"


def cooldown(scene: Scene) -> Said:
    """A target is left to settle."""
    ledger, least = scene.known.ledger, scene.known.settings.cooldown_s
    for past in ledger.since(int(least * SECOND)):
        if past.action.patch[0][1] == scene.wish.target:
            ago = ledger.age(past) // SECOND
            return "held", f"{scene.wish.target} was restarted {ago} s ago: it cools down for {least:g} s"
    return FINE, "no action on it lately"


def budget(scene: Scene) -> Said:
    """So many in a time, whatever became of them."""
    settings = scene.known.settings
    lately = len(scene.known.ledger.since(int(settings.per_s * SECOND)))
    if lately + 1 > settings.most:
        return "held", f"{lately} actions within {settings.per_s:g} s, the budget is {settings.most}"
    if sum(deed.unanswered for deed in scene.known.deeds) >= MOST_IN_A_CUT:
        return "held", f"{MOST_IN_A_CUT} actions since the core answered last: no more before it does"
    return FINE, f"{lately} of {settings.most} actions within {settings.per_s:g} s"


def asked_now(scene: Scene) -> Said:
    """Between two attempts the core may have come back."""
    ago_s = scene.known.silence.asked_s
    if not ago_s <= ASKED_S:
        return "held", f"the core was last asked {ago_s:.0f} s ago: only after the next attempt"
    return FINE, "the core was asked just now"


def _core(name: str) -> Rule:
    return lambda scene: guards.RULES[name](scene.core)


RULES: dict[str, Rule] = {
    "journal": _core("journal"),
    "enabled": enabled,
    "paused": _core("paused"),
    "window": _core("window"),
    "clock": clock,
    "cut_off": cut_off,
    "own_node": own_node,
    "allow_list": allow_list,
    "fresh": fresh,
    "certain": certain,
    "one_pod": one_pod,
    "one_at_a_time": one_at_a_time,
    "once": once,
    "cooldown": cooldown,
    "budget": budget,
    "asked_now": asked_now,
}
"""By name, in the order in which they are named when several forbid."""
