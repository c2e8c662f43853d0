"""The world as a procedure sees it: what is to be read, read now, and what else is known."""

from collections.abc import Mapping
from typing import NamedTuple

from edgeobs.calls import Api
from edgeobs.objects import Ref
from edgeobs.remediate import conduct
from edgeobs.remediate.fleet import ClusterView, FleetView
from edgeobs.remediate.operation import Facts, Operation, Switches, Told
from edgeobs.remediate.settings import Settings
from edgeobs.signals import Incident


class Seen(NamedTuple):
    """What telemetry says, as of a moment."""

    at_ns: int = 0
    fleet: FleetView = FleetView({}, {})
    incidents: Mapping[str, Incident] = {}  # those that are not over


def facts(
    api: Api,
    view: ClusterView,
    operation: Operation,
    seen: Seen,
    told: Mapping[Ref, Told],
    switches: Switches,
    settings: Settings,
    me: str,
    now_ns: int,
) -> Facts:
    """All that an operation's procedure asks for. Raises Unreachable when a part of it cannot be read."""
    wanted = conduct.reads(operation)
    return Facts(
        nodes={name: api.node(name) for name in wanted.nodes},
        pods_of={name: tuple(api.pods_of(name)) for name in wanted.pods_of},
        pods={ref: api.pod(ref.namespace, ref.name) for ref in wanted.pods},
        workloads={ref: api.workload(ref) for ref in wanted.workloads},
        claims={ref: api.claim(ref.namespace, ref.name) for ref in wanted.claims},
        objects={ref: api.raw(ref) for ref in wanted.objects},
        inventory=view.inventory(now_ns),
        mirror_age_ns=view.age_ns(),
        mirror_stale_ns=view.stale_ns,
        fleet=seen.fleet,
        fleet_age_ns=max(now_ns - seen.at_ns, 0),
        incident=seen.incidents.get(operation.action.incident),
        incidents=seen.incidents,
        switches=switches,
        settings=settings,
        me=me,
        told=told,
    )
