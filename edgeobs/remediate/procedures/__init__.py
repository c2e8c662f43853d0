"""How every verb is carried out, by name: one pure function each, and what it reads."""

from edgeobs.remediate.operation import Procedure, target_node
from edgeobs.remediate.procedures.cordon import cordon, taint, uncordon
from edgeobs.signals import Verb

__all__ = ["PROCEDURES"]

PROCEDURES: dict[Verb, Procedure] = {
    "cordon": Procedure(target_node, cordon),
    "taint": Procedure(target_node, taint),
    "uncordon": Procedure(target_node, uncordon, takes=False),
}
