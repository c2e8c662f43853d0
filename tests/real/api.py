"""The harness's own way to the API server, as its administrator; edgeobs never gets this."""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import yaml

Object = dict[str, Any]
T = TypeVar("T")
PATIENCE = 4.0
"""By which a machine that is slow or busy may take longer than said."""
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Api:
    """Calls by path, and manifests by what discovery says of their kinds.

    Parameters
    ----------
    server
        ``https://host:port``.
    authority
        The certificate that the server's must chain to.
    token
        Sent as bearer.

    """

    def __init__(self, server: str, authority: Path, token: str) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        headers = {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(
            base_url=server, verify=context, headers=headers, timeout=10, trust_env=False
        )
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def __call__(
        self, method: str, path: str, body: Object | None = None, kind: str = MERGE, **query: Any
    ) -> Object:
        """The answer's object; an error answer raises httpx.HTTPStatusError with what the server said."""
        headers = {"content-type": kind if method == "PATCH" else "application/json"}
        content = None if body is None else json.dumps(body)
        answer = self.http.request(method, path, content=content, headers=headers, params=query)
        if answer.is_error:
            raise httpx.HTTPStatusError(
                f"{method} {path}: {answer.text}", request=answer.request, response=answer
            )
        found: Object = answer.json()
        return found

    def items(self, path: str, **query: Any) -> list[Object]:
        """A list's objects."""
        return list(self("GET", path, **query)["items"])

    def path(self, manifest: Mapping[str, Any]) -> str:
        """Where an object of this kind, namespace and name is."""
        version, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if kind not in self._kinds.get(root, {}):
            known = self("GET", root)["resources"]
            self._kinds[root] = {
                each["kind"]: (each["name"], each["namespaced"]) for each in known if "/" not in each["name"]
            }
        plural, namespaced = self._kinds[root][kind]
        place = f"/namespaces/{meta.get('namespace', 'default')}" if namespaced else ""
        return f"{root}{place}/{plural}/{meta['name']}"

    def apply(self, manifests: str | Path | Object) -> list[Object]:
        """Apply a manifest, or the text or file of several, in their order; what the server made of each."""
        return [
            self("PATCH", self.path(each), each, APPLY, fieldManager="harness", force="true")
            for each in documents(manifests)
        ]

    def delete(self, path: str, **options: Any) -> bool:
        """Whether there was something to delete."""
        try:
            self("DELETE", path, options or None)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return False
            raise
        return True


def documents(manifests: str | Path | Object) -> Iterator[Object]:
    """Single manifests."""
    if isinstance(manifests, dict):
        yield manifests
        return
    text = manifests.read_text() if isinstance(manifests, Path) else manifests
    yield from (each for each in yaml.safe_load_all(text) if each)


def wait(what: str, look: Callable[[], T], within_s: float = 30.0, every_s: float = 0.05) -> T:
    """The first result that counts as true.

    Raises
    ------
    TimeoutError
        Saying what did not come, and what there was instead.

    """
    deadline = time.monotonic() + PATIENCE * within_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE * within_s:g} s: {what}; last seen: {found!r}")
        time.sleep(every_s)
    return found
