"""Checks of a node's health: pure functions of what was read, the settings and the time. Each says why.

As node-problem-detector has it, a condition that is ``True`` is a problem; ``Unknown`` cannot be told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from edgeobs.node.forecast import Trail, gone_in_s
from edgeobs.node.kernel_log import DEADLOCKS, Event
from edgeobs.node.readings import Labels, Reading
from edgeobs.node.settings import Health

Truth = Literal["True", "False", "Unknown"]
_TOLD = 3
"""Of many things that are wrong a message names so many."""


class Verdict(NamedTuple):
    """``status`` True: a problem. ``reason`` is one word in CamelCase; ``message`` is for people."""

    status: Truth
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks may look at.

    ``latest`` is by metric name, then by attributes, ``before`` the same at the look before; ``free`` has the
    trail of free bytes by mount point. Times are seconds since boot, as is ``now`` of the checks.
    """

    latest: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)
    free: Mapping[str, Trail] = field(default_factory=dict)
    events: Sequence[Event] = ()
    before: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)

    def of(self, name: str) -> Mapping[Labels, float]:
        """A metric's values; empty: not read here."""
        return self.latest.get(name, {})

    def grown(self, name: str) -> float:
        """By how much a metric's counters rose since the look before, added up."""
        were = self.before.get(name, {})
        return sum(
            max(value - were[labels], 0.0) for labels, value in self.of(name).items() if labels in were
        )


Check = Callable[[Facts, Health, float], Verdict]


def latest(readings: Iterable[Reading]) -> dict[str, dict[Labels, float]]:
    """Readings by name and attributes; of two the later."""
    found: dict[str, dict[Labels, float]] = {}
    for reading in readings:
        found.setdefault(reading.name, {})[reading.attributes] = reading.value
    return found


def disk_full_soon(facts: Facts, settings: Health, _: float) -> Verdict:
    """A filesystem that can be written to is full, or will be at the rate of the last hour."""
    readonly = facts.of("edgeobs.node.filesystem.readonly")
    told = []
    for labels, share in facts.of("system.filesystem.utilization").items():
        place = dict(labels)["system.filesystem.mountpoint"]
        if readonly.get(labels):
            continue
        left_s = gone_in_s(facts.free.get(place, ()))
        if share >= settings.full_share:
            told.append(f"{place} is {share:.0%} full")
        elif left_s is not None and left_s <= settings.full_within_s:
            told.append(f"{place} is {share:.0%} full and will be full in {_span(left_s)}")
    some = bool(facts.of("system.filesystem.utilization"))
    return _verdict(told, "DiskFullSoon", "DisksHaveRoom", "no disk is full soon", some=some)


def readonly_filesystem(facts: Facts, settings: Health, now: float) -> Verdict:
    """The kernel made a filesystem read-only for its errors; one that was mounted so is no problem."""
    made_so = {each.about for each in facts.events if each.what == "filesystem_readonly"}
    told = [
        f"{about['system.filesystem.mountpoint']} ({about['system.device']})"
        for labels, value in facts.of("edgeobs.node.filesystem.readonly").items()
        if value and (about := dict(labels))["system.device"].rsplit("/", 1)[-1] in made_so
    ]
    if not told:  # a device that is mounted by another name
        recent = _recent(facts, {"filesystem_readonly"}, settings, now)
        told = [f"{each.about}: remounted read-only" for each in recent]
    some = bool(facts.of("edgeobs.node.filesystem.readonly"))
    return _verdict(
        told, "FilesystemIsReadOnly", "FilesystemIsNotReadOnly", "no filesystem was made read-only", some=some
    )


def kernel_deadlock(facts: Facts, settings: Health, now: float) -> Verdict:
    """Tasks hang, or processors are stuck."""
    told = [
        f"{each.what.replace('_', ' ')}: {each.about}" for each in _recent(facts, DEADLOCKS, settings, now)
    ]
    some = bool(facts.of("edgeobs.node.kernel.events"))
    return _verdict(
        told, "KernelHasDeadlock", "KernelHasNoDeadlock", "the kernel tells of no deadlock", some=some
    )


def memory_kills(facts: Facts, settings: Health, now: float) -> Verdict:
    """Processes were killed for want of memory."""
    told = [f"killed {each.about}" for each in _recent(facts, {"oom_kill"}, settings, now)]
    some = bool(facts.of("edgeobs.node.kernel.events"))
    return _verdict(told, "OOMKilling", "NoOOMKills", "nothing was killed for want of memory", some=some)


def clock_skew(facts: Facts, settings: Health, _: float) -> Verdict:
    """The clock is off, or nobody keeps it."""
    (synchronised,) = facts.of("edgeobs.node.clock.synchronized").values() or (None,)
    (offset,) = facts.of("edgeobs.node.clock.offset").values() or (0.0,)
    (worst,) = facts.of("edgeobs.node.clock.error.max").values() or (0.0,)
    told = []
    if abs(offset) > settings.skew_s:
        told.append(f"the clock is {offset:+.3f} s off")
    if synchronised == 0:
        told.append("the clock is not synchronised")
    elif worst > settings.error_s:
        told.append(f"the clock may be {worst:.1f} s off")
    some = synchronised is not None
    return _verdict(told, "ClockIsOff", "ClockIsSynchronised", "the clock is synchronised", some=some)


def thermal_throttling(facts: Facts, settings: Health, now: float) -> Verdict:
    """Processors are slowed for their heat, or for want of voltage."""
    flags = facts.of("edgeobs.node.throttled")
    told = [dict(labels)["reason"].replace("_", " ") for labels, value in flags.items() if value]
    told += [
        f"{each.what}: {each.about}" for each in _recent(facts, {"thermal", "undervoltage"}, settings, now)
    ]
    if times := facts.grown("edgeobs.node.throttle.events"):
        told.append(f"slowed {times:.0f} times since the last look")
    some = bool(flags or facts.of("edgeobs.node.throttle.events") or facts.of("edgeobs.node.kernel.events"))
    return _verdict(told, "NodeIsThrottled", "NodeIsNotThrottled", "nothing slows the processors", some=some)


def dns_problem(facts: Facts, _: Health, __: float) -> Verdict:
    """No name server resolves the configured name; one of several that is silent is no problem yet."""
    servers = facts.of("edgeobs.node.dns.up")
    silent = [dict(labels)["server.address"] for labels, up in servers.items() if not up]
    told = [f"{server} does not resolve" for server in silent] if len(silent) == len(servers) else []
    return _verdict(told, "NameServersFail", "NamesResolve", "names are resolved", some=bool(servers))


def gateway_unreachable(facts: Facts, _: Health, __: float) -> Verdict:
    """No gateway of a default route answers the kernel."""
    ways = facts.of("edgeobs.node.gateway.up")
    silent = [dict(labels)["network.peer.address"] for labels, up in ways.items() if not up]
    told = [f"{address} does not answer" for address in silent] if len(silent) == len(ways) else []
    return _verdict(told, "GatewayDoesNotAnswer", "GatewayAnswers", "the gateway answers", some=bool(ways))


def runtime_unhealthy(facts: Facts, _: Health, __: float) -> Verdict:
    """A container runtime whose socket is there does not answer."""
    runtimes = facts.of("edgeobs.node.runtime.up")
    told = [
        f"{dict(labels)['container.runtime.name']} does not answer"
        for labels, up in runtimes.items()
        if not up
    ]
    return _verdict(
        told, "RuntimeDoesNotAnswer", "RuntimeAnswers", "the runtime answers", some=bool(runtimes)
    )


def kubelet_unhealthy(facts: Facts, _: Health, __: float) -> Verdict:
    """The kubelet, EdgeCore or another configured endpoint does not say that it is well."""
    services = facts.of("edgeobs.node.service.up")
    told = [f"{dict(labels)['service.name']} is not healthy" for labels, up in services.items() if not up]
    return _verdict(
        told, "KubeletIsUnhealthy", "KubeletIsHealthy", "the kubelet is healthy", some=bool(services)
    )


def storage_worn(facts: Facts, _: Health, __: float) -> Verdict:
    """A medium's life is used up by nine tenths, its reserve runs out, or SMART expects its end."""
    used = facts.of("hw.physical_disk.endurance_utilization")
    reserve = facts.of("edgeobs.node.disk.reserve_state")
    states = facts.of("hw.status")
    told = [
        f"{_id(labels)} has used {share:.0%} of its life" for labels, share in used.items() if share >= 0.9
    ]
    told += [f"{_id(labels)} runs out of reserve blocks" for labels, state in reserve.items() if state >= 2]
    told += [
        f"{_id(labels)} fails its own test"
        for labels, value in states.items()
        if value and dict(labels).get("hw.state") == "failed"
    ]
    return _verdict(
        told, "StorageIsWorn", "StorageIsSound", "no disk tells of wear", some=bool(used or reserve or states)
    )


CHECKS: dict[str, Check] = {
    "DiskFullSoon": disk_full_soon,
    "ReadonlyFilesystem": readonly_filesystem,
    "KernelDeadlock": kernel_deadlock,
    "OutOfMemoryKills": memory_kills,
    "ClockSkew": clock_skew,
    "ThermalThrottling": thermal_throttling,
    "DNSProblem": dns_problem,
    "GatewayUnreachable": gateway_unreachable,
    "ContainerRuntimeUnhealthy": runtime_unhealthy,
    "KubeletUnhealthy": kubelet_unhealthy,
    "StorageWorn": storage_worn,
}
"""Condition type on the Node → what decides it. Names that node-problem-detector has are its own."""


def judged(
    facts: Facts, settings: Health, now: float, checks: Mapping[str, Check] = CHECKS
) -> dict[str, Verdict]:
    """All checks' verdicts, by condition type."""
    return {kind: check(facts, settings, now) for kind, check in checks.items()}


def problems(verdicts: Mapping[str, Verdict]) -> Iterable[Reading]:
    """As metrics, so that they become evidence: 1 a problem, 0 none; what cannot be told is left out."""
    for kind, verdict in verdicts.items():
        if verdict.status != "Unknown":
            labels = (("k8s.node.condition.type", kind),)
            yield Reading("edgeobs.node.problem", "gauge", "", verdict.status == "True", labels)


def _verdict(told: Sequence[str], reason: str, well: str, message: str, *, some: bool) -> Verdict:
    """A problem if anything is told of one; unknown if nothing was read."""
    if told:
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        return Verdict("True", reason, "; ".join(told[:_TOLD]) + more)
    return (
        Verdict("False", well, message)
        if some
        else Verdict("Unknown", "NothingToTell", "this node does not tell")
    )


def _recent(facts: Facts, what: Iterable[str], settings: Health, now: float) -> list[Event]:
    return [e for e in facts.events if e.what in set(what) and 0 <= now - e.at_s <= settings.event_s]


def _id(labels: Labels) -> str:
    return dict(labels).get("hw.id", "a disk")


def _span(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
