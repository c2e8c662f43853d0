"""Objects of kinds that the cluster in memory knows nothing about: kept as they are, with a version."""

from collections.abc import Iterator
from typing import Any

from edgeobs.calls import Answer, Call
from edgeobs.objects import Ref
from edgeobs.remediate.model import NOT_FOUND, merged, refusal

_MOST = 10_000

Key = tuple[str, str, str]
"""Kind, namespace, name."""


class Others:
    """ConfigMaps, Services, Events and the like; the oldest go where there are too many."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        """One, whatever its UID."""
        return self.objects.get(ref[:3])

    def call(self, call: Call, numbers: Iterator[int]) -> Answer:
        """Create, patch, update or delete."""
        key, found = call.ref[:3], self.raw(call.ref)
        if call.verb == "create":
            if found is not None:
                return Answer(409, "AlreadyExists", f"{call.ref} exists")
            return self._keep(key, dict(call.body), 201, numbers)
        if found is None:
            return NOT_FOUND
        meta = found["metadata"]
        refused = refusal(call, meta["uid"], meta["resourceVersion"])
        if refused:
            return refused
        if call.verb == "delete":
            del self.objects[key]
            return Answer(200)
        body = merged(found if call.verb == "patch" else {"metadata": {"uid": meta["uid"]}}, call.body)
        return self._keep(key, body, 200, numbers)

    def _keep(self, key: Key, body: dict[str, Any], status: int, numbers: Iterator[int]) -> Answer:
        number = str(next(numbers))
        meta = {"uid": f"uid-{number}", **body.get("metadata", {}), "resourceVersion": number}
        if key not in self.objects and len(self.objects) >= _MOST:
            del self.objects[next(iter(self.objects))]
        self.objects[key] = body | {"metadata": meta}
        return Answer(status, version=number)
