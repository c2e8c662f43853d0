"""Live reads and calls: what is sent, what an answer means, and that nothing is ever sent twice."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeobs.calls import Answer, Call, Unreachable
from edgeobs.kube import checks
from edgeobs.kube.connection import Pace
from edgeobs.kube.live import Live
from edgeobs.kube.protocol import answer
from edgeobs.kube.resources import RESOURCES, path
from edgeobs.objects import Claim, Ref
from tests.kube.fake_api import FakeApi, status
from tests.kube.test_trim import NODE, POD

NODE_REF = Ref("Node", "", "edge-1", "n1")
POD_REF = Ref("Pod", "shop", "web-1", "u1")


@pytest.fixture
def live(fake: FakeApi) -> Iterator[Live]:
    with httpx.Client(base_url=fake.url, timeout=2) as http:
        yield Live(http, 2.0, cluster="site-1")


def sent(fake: FakeApi) -> tuple[str, str, dict[str, str], Any]:
    """The one request that came."""
    assert len(fake.calls) == 1
    return fake.calls[0][:4]


def test_a_patch_carries_its_preconditions_and_our_name(live: Live, fake: FakeApi) -> None:
    call = Call("patch", NODE_REF, {"spec": {"unschedulable": True}}, version="9")
    assert live.call(call) == Answer(200, version="99")
    assert sent(fake) == (
        "PATCH", "/api/v1/nodes/edge-1", {"fieldManager": "edgeobs", "fieldValidation": "Strict"},
        {"spec": {"unschedulable": True}, "metadata": {"uid": "n1", "resourceVersion": "9"}},
    )  # fmt: skip
    assert fake.calls[0][4]["Content-Type"] == "application/merge-patch+json"


def test_a_strategic_patch_of_a_status(live: Live, fake: FakeApi) -> None:
    body = {"status": {"conditions": [{"type": "X"}]}}
    live.call(Call("patch", NODE_REF._replace(uid=""), body, subresource="status", strategic=True))
    assert sent(fake)[1:] == (
        "/api/v1/nodes/edge-1/status", {"fieldManager": "edgeobs", "fieldValidation": "Strict"}, body,
    )  # fmt: skip
    assert fake.calls[0][4]["Content-Type"] == "application/strategic-merge-patch+json"


def test_an_eviction(live: Live, fake: FakeApi) -> None:
    live.call(Call("evict", POD_REF, {"gracePeriodSeconds": 30}, version="7"))
    assert sent(fake) == (
        "POST", "/api/v1/namespaces/shop/pods/web-1/eviction", {"fieldManager": "edgeobs"},
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-1", "namespace": "shop"},
         "deleteOptions": {"gracePeriodSeconds": 30, "preconditions": {"uid": "u1", "resourceVersion": "7"}}},
    )  # fmt: skip


def test_a_deletion(live: Live, fake: FakeApi) -> None:
    live.call(Call("delete", POD_REF, {"gracePeriodSeconds": 0}))
    assert sent(fake) == (
        "DELETE", "/api/v1/namespaces/shop/pods/web-1", {},
        {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
         "preconditions": {"uid": "u1"}},
    )  # fmt: skip


def test_a_creation_and_an_update(live: Live, fake: FakeApi) -> None:
    lease = Ref("Lease", "edgeobs", "edgeobs")
    live.call(Call("create", lease, {"spec": {"a": 1}}))
    live.call(Call("update", lease._replace(uid="l1"), {"spec": {"a": 2}}, version="4"))
    (method, where, _, body), (method2, where2, _, body2) = (each[:4] for each in fake.calls)
    base = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    names = {"name": "edgeobs", "namespace": "edgeobs"}
    assert (method, where) == ("POST", "/apis/coordination.k8s.io/v1/namespaces/edgeobs/leases")
    assert body == base | {"spec": {"a": 1}, "metadata": names}
    assert (method2, where2) == ("PUT", "/apis/coordination.k8s.io/v1/namespaces/edgeobs/leases/edgeobs")
    assert body2 == base | {"spec": {"a": 2}, "metadata": names | {"uid": "l1", "resourceVersion": "4"}}


@pytest.mark.parametrize(
    "call",
    [
        Call("patch", Ref("Secret", "shop", "x"), {}),
        Call("patch", Ref("Pod", "", "x"), {}),
        Call("delete", Ref("Node", "", ""), {}),
        Call("create", Ref("ConfigMap", "shop", ""), {}),
        Call("evict", Ref("Node", "", "x"), {}),
        Call("patch", Ref("Node", "", "a/../b"), {}),
        Call("patch", NODE_REF, {"a": object()}),
    ],
    ids=str,
)
def test_what_no_request_can_say_is_not_sent(live: Live, fake: FakeApi, call: Call) -> None:
    said = live.call(call)
    assert (said.status, said.reason) == (400, "BadRequest")
    assert said.text
    assert not fake.calls


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(sorted(RESOURCES)))
def test_no_name_leads_anywhere_else(name: str, namespace: str, kind: str) -> None:
    try:
        found = path(Ref(kind, namespace, name))
    except ValueError:
        return
    resource = RESOURCES[kind]
    parts = found.split("/")
    assert parts[-1] == name
    assert parts[-2] == resource.plural
    assert not {".", "..", ""} & set(parts[1:])
    assert found.isascii()
    assert not set(found) & set("?#%\\ ")


def test_refusals_keep_kubernetes_own_words(live: Live, fake: FakeApi) -> None:
    code, _, body = status(429, "TooManyRequests", "Cannot evict pod", retryAfterSeconds=10)
    fake.answers.extend(
        [(code, {}, body), (503, {"Retry-After": "3"}, b"<html>upstream</html>"), (204, {}, b"")]
    )
    call = Call("evict", POD_REF)
    assert live.call(call) == Answer(429, "TooManyRequests", "Cannot evict pod", 10.0)
    assert live.call(call) == Answer(503, "", "<html>upstream</html>", 3.0)
    assert live.call(call) == Answer(204)
    assert len(fake.calls) == 3


def test_an_object_that_is_another_by_now_is_a_conflict_however_it_is_said() -> None:
    causes = [{"field": "metadata.uid", "reason": "FieldValueInvalid"}]
    *_, body = status(422, "Invalid", "uid is immutable", causes=causes)
    assert answer(422, "", json.dumps(body).encode())[:2] == (409, "Conflict")
    *_, body = status(422, "Invalid", "x", causes=[*causes, {"field": "spec.taints"}])
    assert answer(422, "", json.dumps(body).encode())[:2] == (422, "Invalid")


@given(st.integers(100, 599), st.text(max_size=8), st.binary(max_size=64))
def test_any_response_is_an_answer(code: int, retry_after: str, body: bytes) -> None:
    said = answer(code, retry_after, body)
    assert said.status == code
    assert said.retry_after_s >= 0


KEYS = st.sampled_from(["details", "causes", "message", "reason", "metadata", "field"])
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
)


@given(JSON)
@example({"details": {"causes": 1}})
def test_any_json_is_an_answer(body: Any) -> None:
    assert answer(500, "", json.dumps(body).encode()).status == 500
    assert answer(200, "", json.dumps(body).encode()).ok


def test_without_an_answer_it_is_unknown_and_never_sent_again(fake: FakeApi) -> None:
    hung = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        hung.wait(30)

    def cuts(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    fake.answers.extend([silent, cuts])
    with httpx.Client(base_url=fake.url, timeout=0.3) as http:
        live = Live(http, 0.3)
        for _ in range(2):
            said = live.call(Call("evict", POD_REF))
            assert said.unknown
            assert "POST /api/v1/namespaces/shop/pods/web-1/eviction" in said.text
    hung.set()
    assert len(fake.calls) == 2


def test_a_server_that_is_not_there_is_named() -> None:
    with httpx.Client(base_url="http://127.0.0.1:9", timeout=1) as http:
        live = Live(http, 1.0)
        assert live.call(Call("evict", POD_REF)).unknown
        with pytest.raises(Unreachable, match="GET /api/v1/nodes/edge-1: ConnectError"):
            live.node("edge-1")


def test_reads(live: Live, fake: FakeApi) -> None:
    lease = {"metadata": {"name": "edge-1"}, "spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
    fake.answers.extend([(200, {}, NODE), (200, {}, lease)])
    node = live.node("edge-1")
    assert node
    assert (node.cluster, node.lease_ns) == ("site-1", 1_767_225_600_000_000_000)
    assert live.node("gone") is None
    fake.answers.append((200, {}, POD))
    found = live.pod("shop", "web-1")
    assert found
    assert found.uid == "u1"
    assert live.pod("shop", "gone") is None
    claim = {
        "metadata": {"name": "d", "namespace": "shop"},
        "spec": {"volumeName": "v"},
        "status": {"phase": "Bound"},
    }
    fake.answers.extend([(200, {}, claim)])
    assert live.claim("shop", "d") == Claim("shop", "d", "v", ((),)), (
        "its volume is gone: reachable from nowhere"
    )
    assert live.workload(Ref("Job", "shop", "x")) is None


def test_all_pods_of_a_node_over_several_pages(live: Live, fake: FakeApi) -> None:
    pods = "/api/v1/pods"
    for number in range(600):
        fake.put(pods, f"p{number}", metadata={"namespace": "shop"})
    assert len(live.pods_of("edge-1")) == 600
    assert [given["fieldSelector"] for _, given in fake.asked(limit="500")] == ["spec.nodeName=edge-1"] * 2
    with pytest.raises(Unreachable, match="is no name of Kubernetes"):
        live.pods_of("a,metadata.name!=x")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (status(403, "Forbidden", "User x cannot get"), "403 Forbidden: User x cannot get"),
        (status(401, "Unauthorized", "Unauthorized"), "401 Unauthorized"),
        ((200, {}, b"nonsense"), "the answer is no JSON"),
        ((200, {}, [1]), "the answer is no object"),
        ((200, {}, {"metadata": {"namespace": "shop"}}), "is not as Kubernetes has it: no 'name'"),
        ((301, {"Location": "http://127.0.0.1:9/"}, b""), "301"),
    ],
)
def test_a_read_that_fails_says_why(live: Live, fake: FakeApi, reply: Any, said: str) -> None:
    fake.answers.append(reply)
    with pytest.raises(Unreachable, match=said):
        live.pod("shop", "web-1")


def test_a_metaserver_is_never_written(fake: FakeApi) -> None:
    with httpx.Client(base_url=fake.url) as http:
        said = Live(http, 1.0, read_only=True).call(Call("evict", POD_REF))
    assert (said.status, said.reason) == (405, "MethodNotAllowed")
    assert not fake.calls


def test_our_own_bound_refuses_reads_rather_than_queueing_them_for_long_and_holds_no_call(
    fake: FakeApi,
) -> None:
    with httpx.Client(base_url=fake.url) as http:
        live = Live(http, 0.5, Pace(1))
        assert [live.call(Call("evict", POD_REF)).status for _ in range(3)] == [200, 200, 200]
        with pytest.raises(Unreachable, match="qps"):
            live.pod("shop", "web-1")
    assert len(fake.calls) == 3


def resources(**without: str) -> dict[str, Any]:
    return {
        group: {"resources": [
            {"name": name} | ({"group": "policy", "version": "v1"} if name == "pods/eviction" else {})
            for name in names if without.get("name") != name
        ]}
        for group, names in checks.NEEDED.items() if without.get("group") != group
    }  # fmt: skip


@pytest.mark.parametrize(
    ("version", "groups", "problems"),
    [
        ({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}, resources(), []),
        ({"major": "1", "minor": "29+", "gitVersion": "v1.29.1-eks"}, resources(), []),
        ({"major": "1", "minor": "28", "gitVersion": "v1.28.9"}, resources(),
         ["the API server is v1.28.9; edgeobs acts from 1.29 on"]),
        ({}, resources(), ["the API server does not say which version it is (no version)"]),
        ({"major": "1", "minor": "34"}, resources(group="/apis/policy/v1"),
         ["the API server has no /apis/policy/v1"]),
        ({"major": "1", "minor": "34"}, resources(name="pods/eviction"),
         ["the API server has no pods/eviction in /api/v1"]),
    ],
)  # fmt: skip
def test_what_a_server_lacks_is_said(version: Any, groups: Any, problems: list[str]) -> None:
    assert checks.lacking(version, groups) == problems


def test_evictions_of_another_version_are_none() -> None:
    groups = resources()
    for each in groups["/api/v1"]["resources"]:
        each.pop("version", None)
    assert checks.lacking({"major": "1", "minor": "34"}, groups) == [
        "the API server has evictions, but not of policy/v1"
    ]


def test_a_server_that_cannot_be_asked_is_a_problem(live: Live, fake: FakeApi) -> None:
    fake.answers.append(status(403, "Forbidden", "not for you"))
    assert checks.check(live) == ["GET /version: 403 Forbidden: not for you"]
