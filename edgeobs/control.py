"""Which cluster is acted upon, and who says that we may: put together from the configuration."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from edgeobs.actor import Actor
from edgeobs.calls import Api
from edgeobs.config import Config, warnings
from edgeobs.hooks import Hooks
from edgeobs.objects import Inventory, Ref
from edgeobs.people import People
from edgeobs.remediate import ClusterView, MemoryCluster, Switches
from edgeobs.signals import SECOND, Counts

if TYPE_CHECKING:
    from edgeobs.kube.cluster import Cluster


log = structlog.get_logger("edgeobs.control")


@dataclass(frozen=True, slots=True)
class Control:
    """A cluster: as a cache has it, live, and whether it may be changed by us now."""

    view: ClusterView
    api: Api
    switches: Callable[[], Switches]
    me: str = "edgeobs"
    start: Callable[[], None] = lambda: None
    stop: Callable[[], None] = lambda: None
    check: Callable[[], None] = lambda: None  # asks whether it can be acted upon at all; waits for it
    notes: Callable[[], Mapping[str, str]] | None = None  # of the ConfigMap by which people pause
    control: Ref | None = None  # which one


def control(config: Config) -> Control:
    """The cluster of a configuration; nothing is read or started yet.

    What its settings most likely do not mean is logged. Raises ValueError where there are no credentials,
    ModuleNotFoundError without the extra ``kube``.
    """
    for text in warnings(config):
        log.warning("config", reason=text)
    if config.cluster.kind == "memory":
        twin = MemoryCluster(config.remediate, config.limits.max_nodes, time.time_ns)
        return Control(twin, twin, Switches)
    from edgeobs.kube.cluster import Cluster  # noqa: PLC0415  an extra
    from edgeobs.kube.resources import CONTROL  # noqa: PLC0415

    cluster = Cluster(config.cluster.kubernetes)
    says = Elected(cluster)
    me = cluster.elector.terms.identity
    return Control(
        Mirrored(cluster),
        cluster.live,
        says,
        me,
        cluster.start,
        cluster.stop,
        says.check,
        cluster.mirror.notes,
        Ref("ConfigMap", cluster.namespace, CONTROL),
    )


def heard(config: Config, found: Control) -> tuple[Control, People]:
    """The same, with what people say joined to what the election says."""
    people = People(
        config.engine.data_dir, config.remediate, found.switches, found.notes, found.api.call, found.control
    )
    people.open()
    return replace(found, switches=people), people


def actor(config: Config, found: Control, counts: Counts) -> Actor | None:
    """Who acts; None where the configuration lets nobody."""
    if config.remediate.dry_run or not config.remediate.live:
        return None
    folder, me = config.engine.data_dir, found.me
    playbooks = config.remediate.playbooks
    api = Hooks(found.api, playbooks) if playbooks else found.api
    return Actor(api, found.view, folder, config.remediate, counts, switches=found.switches, me=me)


class Mirrored:
    """The mirror of a real cluster, with the bound on its age (`remediate.ClusterView`)."""

    def __init__(self, cluster: "Cluster") -> None:
        self._mirror = cluster.mirror
        self.stale_ns = int(cluster.settings.stale_s * SECOND)

    def inventory(self, now_ns: int) -> Inventory:
        """As of the last snapshot."""
        return self._mirror.inventory(now_ns)

    def age_ns(self) -> int:
        """Of its least fresh part."""
        return self._mirror.age_ns()


class Elected:
    """What the election says at this moment, and whether the API server has what we need."""

    def __init__(self, cluster: "Cluster") -> None:
        from edgeobs.kube.clock import boot_ns  # noqa: PLC0415  an extra

        self._elector, self._settings, self._clock = cluster.elector, cluster.settings, boot_ns
        self._problems = cluster.problems
        self._held = "the API server was not asked yet whether it has what is needed"

    def check(self) -> None:
        """Ask the API server what it has; hold everything while it lacks something."""
        self._held = "; ".join(self._problems())

    def __call__(self) -> Switches:
        """Not the leader unless what is begun now is surely over before another may be."""
        if self._held:
            return Switches(paused=self._held)
        fence = self._elector.may_act(self._settings.timeout_s)
        if fence is None:
            holder = self._elector.holder
            who = f"{holder} leads" if holder and holder != self._elector.terms.identity else "nobody leads"
            return Switches(leader=f"we do not lead: {who}")
        return Switches(led_since_ns=time.time_ns() - (self._clock() - fence.from_ns))
