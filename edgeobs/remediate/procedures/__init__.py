"""How every verb is carried out, by name: one pure function each, and what it reads."""

from edgeobs.remediate.operation import Procedure, target_node, with_pods
from edgeobs.remediate.procedures.cordon import cordon, taint, uncordon
from edgeobs.remediate.procedures.drain import drain, reschedule
from edgeobs.remediate.procedures.failback import failback
from edgeobs.remediate.procedures.failover import failover
from edgeobs.remediate.procedures.failover import reads as moved
from edgeobs.remediate.procedures.playbook import annotate, notify, playbook
from edgeobs.remediate.procedures.playbook import reads as ran
from edgeobs.remediate.procedures.release import release
from edgeobs.signals import Verb

__all__ = ["PROCEDURES"]

PROCEDURES: dict[Verb, Procedure] = {
    "notify": Procedure(target_node, notify, takes=False),
    "annotate": Procedure(target_node, annotate, takes=False),
    "playbook": Procedure(ran, playbook),
    "cordon": Procedure(target_node, cordon),
    "taint": Procedure(target_node, taint),
    "uncordon": Procedure(target_node, uncordon, takes=False),
    "reschedule": Procedure(with_pods, reschedule),
    "drain": Procedure(with_pods, drain),
    "release": Procedure(with_pods, release),
    "failover": Procedure(moved, failover),
    "failback": Procedure(moved, failback, takes=False),
}
