"""What may be done, to whom, how often. The defaults do nothing: dry-run, and only nodes that opted in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from edgeobs.remediate.policies.ladder import LADDERS, Rung
from edgeobs.remediate.policies.playbook import Playbook
from edgeobs.remediate.windows import Window
from edgeobs.signals import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Switches and budgets. A budget of null is a missing budget, and a missing budget denies."""

    dry_run: bool = True
    """Say what would be done, and do nothing."""

    pause: bool = False
    """Hold every action."""

    verbs: tuple[Verb, ...] = (
        "notify", "annotate", "playbook", "cordon", "uncordon", "taint", "reschedule", "drain", "release",
        "failover", "failback",
    )  # fmt: skip
    """Actions that may be considered at all."""

    live: tuple[Verb, ...] = ()
    """Actions that are really carried out once ``dry_run`` is off; the others stay dry. What undoes is live
    with what it undoes."""

    approve: tuple[Verb, ...] = ("drain", "release", "failover")
    """Actions that wait for a person's approval, incident by incident: those that move or end other people's
    work. What only keeps new work away, or takes back, does not."""

    approve_s: Annotated[float, Ge(60), Le(86_400)] = 1800.0
    """How long an approval counts, seconds; an action decided on by then is carried out to its end."""

    windows: tuple[Window, ...] = ()
    """Maintenance windows: times outside of which, or in which, nothing is begun."""

    zone_label: str = "topology.kubernetes.io/zone"
    """Node label that names the zone. A node without it is left alone."""

    opt_in: str = "edgeobs.io/remediation"
    """Label or annotation of a node that must be ``enabled``. A node without it is left alone."""

    nodes_per_zone: Annotated[int, Ge(0)] | None = 1
    """Nodes of one zone in flight at once: under an action whose incident is not over, or cordoned."""

    cluster_share: Annotated[float, Ge(0), Le(1)] | None = 0.1
    """Share of a cluster's nodes in flight at once, in [0, 1]; rounded up, as Karpenter's budgets are."""

    per_hour: Annotated[int, Ge(0)] | None = 6
    """Actions allowed in any hour, over all clusters."""

    cooldown_s: Annotated[float, Ge(0), Le(604_800)] | None = 1800.0
    """Time after an action on a node before another incident may act on it, seconds; at most a week."""

    zone_hold_share: Annotated[float, Gt(0), Le(1)] = 0.5
    """Share of silent nodes from which a zone counts as dark and is held, in (0, 1]."""

    self_doubt_share: Annotated[float, Gt(0), Le(1)] = 0.5
    """When more than this share of all zones is dark, it is we who are cut off: everything is held."""

    alive_s: Annotated[float, Gt(0)] = 5.0
    """A node heard within this time is alive, whatever else is said of it, seconds."""

    recheck_s: Annotated[float, Ge(0)] = 1.0
    """How often what was held or denied is looked at again, seconds."""

    max_pending: Annotated[int, Ge(1)] = 1000
    """Proposals remembered that were not allowed; past it new ones are denied."""

    deadline_s: Annotated[float, Gt(0), Le(86_400)] = 600.0
    """Time after its decision within which an action must be complete, seconds; nothing is begun after it."""

    verify_s: Annotated[float, Gt(0), Le(86_400)] = 300.0
    """How long it is watched whether a completed action helps, seconds."""

    undo_after_s: Annotated[float, Ge(0), Le(86_400)] = 300.0
    """How long an incident must have been resolved, with nothing new on the node, before what was done for it
    is taken back, seconds."""

    undo_unhelpful: tuple[Verb, ...] = ("taint",)
    """Actions that are taken back when they did not help. A cordon contains and is not expected to cure:
    unless it is named here it stays until the incident is resolved."""

    back_off_s: Annotated[float, Ge(0), Le(86_400)] = 1800.0
    """Time after an action that did not help before another on the same node, seconds; doubled each time, up
    to a day. Next steps of the same incident are not held by it."""

    marks_s: Annotated[float, Gt(0), Le(604_800)] = 21_600.0
    """How long our marks on a node stand for themselves (``edgeobs.io/until``), seconds. After it another
    replica that knows nothing of the incident may take them away; at most a week."""

    journal_days: Annotated[float, Gt(0), Le(3650)] = 90.0
    """How long finished operations stay in the journal, days."""

    journal_entries: Annotated[int, Ge(1000)] = 200_000
    """Entries in the journal at most; of finished operations the oldest go first."""

    workloads_opt_in: bool = True
    """Whether pods must have opted in as well, by the same label or annotation on the pod; where off, the
    node's word is enough."""

    force_bare_pods: bool = False
    """Evict pods that no controller would start again, as ``kubectl drain --force``."""

    delete_empty_dir_data: bool = False
    """Evict pods whose emptyDir is lost with it, as ``kubectl drain --delete-emptydir-data``."""

    keep_free: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Share of every other node's allocatable that must stay free when pods are moved there, in [0, 1)."""

    lease_dead_s: Annotated[float, Ge(10), Le(3600)] = 40.0
    """Age of a node's Lease from which its kubelet is taken for dead, seconds; Kubernetes' own is 40."""

    release_quorum: Annotated[int, Ge(2), Le(5)] = 3
    """Witnesses of a node's death that are needed before its pods are released: its Lease and its telemetry,
    which always must be among them, its neighbours (others of the zone are heard), an alert, a person."""

    death_alerts: tuple[str, ...] = ("NodeDown", "KubeNodeUnreachable", "KubeNodeNotReady")
    """Names of Alertmanager alerts that count as a witness of a node's death."""

    failover_ready_s: Annotated[float, Gt(0), Le(3600)] = 180.0
    """How long a failover waits for a destination to become Ready before it tries the next one, seconds."""

    failback_after_s: Annotated[float, Ge(60), Le(604_800)] = 3600.0
    """How long the incident of a failover must have been resolved before it is failed back, seconds."""

    ladders: Mapping[str, tuple[Rung, ...]] = field(default_factory=lambda: LADDERS)
    """By policy, what is done in which order; a policy that is not named proposes what it finds, once."""

    playbooks: Mapping[str, Playbook] = field(default_factory=dict)
    """Users' own actions by name, called by alerts."""
