"""What a site has besides nodes: Deployments that fail over, their Service, playbooks; and its referee."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.objects import Inventory, Pod, Ref, Requirement, Workload
from edgeobs.remediate import MemoryCluster, moves
from edgeobs.remediate.marks import INCIDENT
from edgeobs.remediate.settings import Settings
from edgeobs.signals import SECOND

NAMES = ("svc-a", "svc-b", "svc-c")
ORIGIN = NAMES[0]
HOLD_NS = 60 * SECOND


@dataclass
class Moving:
    """Three Deployments of one Service, the first of which may fail over to the others."""

    cluster: MemoryCluster
    settings: Settings
    over_ns: dict[str, int] = field(default_factory=dict)  # incident → since when it is over
    scaled: set[str] = field(default_factory=set)  # Deployments that a person scaled while they were ours
    turned: bool = False  # the Service, by a person, while it was ours
    runs: dict[str, int] = field(default_factory=dict)  # of playbooks, by operation

    def __post_init__(self) -> None:
        for at, name in enumerate(NAMES):
            notes = {moves.TO: ",".join(NAMES[1:]), moves.SERVICE: "svc"} if name == ORIGIN else {}
            labels, selector = {self.settings.opt_in: "enabled"}, (Requirement("svc", "In", (name,)),)
            made = Workload(
                "Deployment", "shop", name, f"d-{name}", "", labels, notes, None, selector, 0 if at else 2,
                template=Pod("shop", name, requests={"cpu": 100}),
            )  # fmt: skip
            # Pods belong to a ReplicaSet; the model starts them for the Deployment at once.
            owned = Workload("ReplicaSet", "shop", f"{name}-rs", f"d-{name}", owner=made.ref)
            self.cluster.put(made, owned)
        body = {"metadata": {"namespace": "shop", "name": "svc"}, "spec": {"selector": {"svc": ORIGIN}}}
        self.cluster.call(Call("create", Ref("Service", "shop", "svc"), body))

    def deployment(self, name: str) -> Workload:
        found = self.cluster.workload(Ref("Deployment", "shop", name))
        assert found is not None
        return found

    def service(self) -> dict[str, Any]:
        found = self.cluster.raw(Ref("Service", "shop", "svc"))
        assert found is not None
        return found

    def settle(self) -> None:
        """Deployments count what is Ready, and let go of what is too much."""
        pods = self.cluster.inventory(0).pods
        for name in NAMES:
            held = self.deployment(name)
            mine = [pod for pod in pods if pod.owner == held.ref and not pod.deleted_ns]
            for pod in mine[held.replicas :]:
                self.cluster.call(Call("delete", pod.ref))
            ready = min(sum(pod.ready for pod in mine), held.replicas)
            if ready != held.ready_replicas:
                self.cluster.put(replace(held, ready_replicas=ready))

    # -- what people do

    def person_scales(self, name: str, replicas: int) -> None:
        held = self.deployment(name)
        if held.replicas != replicas:
            if INCIDENT in held.annotations:
                self.scaled.add(name)
            self.cluster.put(replace(held, replicas=replicas))

    def person_turns(self, name: str) -> None:
        service = self.service()
        if moves.selecting(service) != {"svc": name}:
            self.turned = self.turned or INCIDENT in moves.annotations(service)
            body = {"spec": {"selector": {"svc": name}}}
            self.cluster.call(Call("patch", Ref("Service", "shop", "svc"), body))

    def opts(self, enabled: bool) -> None:
        held = self.deployment(ORIGIN)
        self.cluster.put(replace(held, labels={self.settings.opt_in: "enabled" if enabled else "disabled"}))

    # -- playbooks

    def run(self, call: Call) -> Answer:
        self.runs[call.ref.name] = self.runs.get(call.ref.name, 0) + 1
        return Answer(202, "Accepted")

    def ran(self, name: str) -> dict[str, Any] | None:
        return {"done": True, "status": 200, "text": ""} if name in self.runs else None

    # -- what must hold

    def judge(self, call: Call, before: Inventory, service: Mapping[str, Any], now_ns: int) -> str:
        """Which promise a call that was done has broken; empty: none."""
        if call.ref.kind == "Playbook":
            return "it ran twice" if self.runs[call.ref.name] > 1 else ""
        return (
            self._judge_service(service)
            if call.ref.kind == "Service"
            else self._judge_deployment(call, before, service, now_ns)
        )

    def _judge_deployment(
        self, call: Call, before: Inventory, service: Mapping[str, Any], now_ns: int
    ) -> str:
        was = next(each for each in before.workloads if each.ref[:3] == call.ref[:3])
        origin = next(each for each in before.workloads if each.name == ORIGIN)
        is_now = self.deployment(was.name)
        if not moves.opted(origin, self.settings):
            return "the workload has not opted in"
        same, person = was.replicas == is_now.replicas, was.name in self.scaled
        self._forgets(was, is_now)
        if same or person:
            return "" if same else f"a person had scaled {was.name} to {was.replicas}"
        if was.name == ORIGIN:
            return self._judge_origin(was, is_now, now_ns)
        if is_now.replicas < was.replicas and moves.selecting(service) == {"svc": was.name}:
            return f"{was.name} serves, and was scaled down"
        return ""

    def _judge_origin(self, was: Workload, is_now: Workload, now_ns: int) -> str:
        if is_now.replicas:
            over = self.over_ns.get(was.annotations.get(INCIDENT, ""))
            return "" if over is not None and now_ns - over >= HOLD_NS else "it failed back too soon"
        to = self.deployment(is_now.annotations.get(moves.OVER_TO, ""))
        if to.ready_replicas < 1:
            return f"{to.name} has nothing Ready, and the origin was drained"
        return "" if moves.selecting(self.service()) == {"svc": to.name} else f"traffic goes not to {to.name}"

    def _judge_service(self, was: Mapping[str, Any]) -> str:
        is_now = self.service()
        if moves.selecting(was) == moves.selecting(is_now):
            self.turned = self.turned and INCIDENT in moves.annotations(is_now)
            return ""
        if self.turned:
            return "a person had turned the service"
        name = moves.selecting(is_now).get("svc", "")
        return (
            ""
            if self.deployment(name).ready_replicas
            else f"it was turned to {name}, which has nothing Ready"
        )

    def _forgets(self, was: Workload, is_now: Workload) -> None:
        if INCIDENT not in is_now.annotations:
            self.scaled.discard(was.name)
