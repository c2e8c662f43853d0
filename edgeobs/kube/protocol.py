"""Calls as HTTP requests, and HTTP responses as answers. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgeobs.calls import Answer, Call
from edgeobs.kube.resources import RESOURCES, path

MANAGER = "edgeobs"
"""The field manager of everything we write."""

_LONGEST = 1000  # characters of an answer's text
_TYPES = {False: "application/merge-patch+json", True: "application/strategic-merge-patch+json"}


class Request(NamedTuple):
    """What is sent."""

    method: str
    path: str
    params: Mapping[str, str]
    type: str
    body: bytes


def request(call: Call) -> Request:
    """The one request that carries out a call. Raises ValueError for what no request can say."""
    if call.verb == "evict":
        return _eviction(call)
    if call.verb == "delete":
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **call.body, **_preconditions(call)}
        return _request("DELETE", path(call.ref), {}, body)
    params = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
    if call.verb == "patch":
        where = path(call.ref, call.subresource)
        return _request("PATCH", where, params, _marked(call), _TYPES[call.strategic])
    body = {"apiVersion": RESOURCES[call.ref.kind].group, "kind": call.ref.kind} if _known(call) else {}
    body |= _marked(call, named=True)
    if call.verb == "update":
        return _request("PUT", path(call.ref, call.subresource), params, body)
    if not call.ref.name:
        raise ValueError(f"{call.ref} has no name to be created under")
    return _request("POST", RESOURCES[call.ref.kind].path(call.ref.namespace), params, body)


def _known(call: Call) -> bool:
    path(call.ref)  # says what is wrong with it
    return True


def _request(
    method: str,
    where: str,
    params: Mapping[str, str],
    body: Mapping[str, Any],
    kind: str = "application/json",
) -> Request:
    return Request(method, where, params, kind, json.dumps(body, separators=(",", ":")).encode())


def _eviction(call: Call) -> Request:
    """Eviction, policy/v1: the preconditions are the server's to check, in its own transaction."""
    ref = call.ref
    if ref.kind != "Pod":
        raise ValueError(f"{ref}: only a pod can be evicted")
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "deleteOptions": {**call.body, **_preconditions(call)},
    }
    return _request("POST", path(ref, "eviction"), {"fieldManager": MANAGER}, body)


def _preconditions(call: Call) -> dict[str, Any]:
    wanted = {"uid": call.ref.uid, "resourceVersion": call.version}
    found = {key: value for key, value in wanted.items() if value}
    return {"preconditions": found} if found else {}


def _marked(call: Call, *, named: bool = False) -> dict[str, Any]:
    """The body with its preconditions, which a patch and an update carry in the metadata."""
    meta: dict[str, Any] = dict(call.body.get("metadata") or {})
    if named:
        meta |= {"name": call.ref.name} | ({"namespace": call.ref.namespace} if call.ref.namespace else {})
    if call.verb != "create":
        meta |= {"uid": call.ref.uid} if call.ref.uid else {}
        meta |= {"resourceVersion": call.version} if call.version else {}
    return {**call.body, "metadata": meta} if meta else dict(call.body)


def answer(status: int, retry_after: str, body: bytes) -> Answer:
    """What a response says; a body that is not JSON is quoted."""
    try:
        found = json.loads(body) if body else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Answer(status, "", body[:_LONGEST].decode(errors="replace"), _seconds(retry_after))
    if 200 <= status < 300:
        meta = found.get("metadata")
        version = str(meta.get("resourceVersion") or "") if isinstance(meta, dict) else ""
        return Answer(status, version=version)
    return refusal(found, status, retry_after)


def refusal(found: Mapping[str, Any], status: int = 0, retry_after: str = "") -> Answer:
    """What a Status object of Kubernetes says, in a response or as an event of a watch.

    An object that is another by now is a conflict, whichever way the server found out.
    """
    details = found.get("details")
    details = details if isinstance(details, dict) else {}
    status, reason = status or int(found.get("code") or 0), str(found.get("reason") or "")
    causes = details.get("causes")
    causes = [each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else []
    if status == 422 and causes and all(each.get("field") == "metadata.uid" for each in causes):
        status, reason = 409, "Conflict"
    text = _short(str(found.get("message") or ""))
    if any(each.get("reason") == "ResourceVersionTooLarge" for each in causes):
        reason = "ResourceVersionTooLarge"
    after = _seconds(retry_after) or _seconds(str(details.get("retryAfterSeconds") or ""))
    return Answer(status, reason, text, after)


def _short(text: str) -> str:
    """Both ends of a long message: some quote a whole object before they say what is wrong with it."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} … {text[-half:]}"


def _seconds(text: str) -> float:
    """Retry-After as Kubernetes sends it, whole seconds; 0: it says nothing."""
    text = text.strip()
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0
