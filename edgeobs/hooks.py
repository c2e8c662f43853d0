"""Runs users' playbooks: an HTTP hook or a Python function, beside the Kubernetes API they stand next to.

``python -m edgeobs.hooks package.module:function`` is how a function is run: JSON on standard input is its
one argument, what it prints or returns is its answer.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Any

import httpx

from edgeobs.calls import Answer, Api, Call
from edgeobs.objects import Claim, Node, Pod, Ref, Workload
from edgeobs.remediate.policies.playbook import Playbook

_AT_ONCE = 4
_KEPT = 1000
_MAX_TEXT = 500


class Hooks:
    """A cluster whose API also runs playbooks; their runs can be read like any other object.

    Parameters
    ----------
    api
        The cluster.
    playbooks
        By name.

    """

    def __init__(self, api: Api, playbooks: Mapping[str, Playbook]) -> None:
        self._api, self._playbooks = api, playbooks
        self._runs: dict[str, Future[Answer]] = {}

    def node(self, name: str) -> Node | None:
        """As the cluster's."""
        return self._api.node(name)

    def pods_of(self, node: str) -> list[Pod]:
        """As the cluster's."""
        return self._api.pods_of(node)

    def pod(self, namespace: str, name: str) -> Pod | None:
        """As the cluster's."""
        return self._api.pod(namespace, name)

    def workload(self, ref: Ref) -> Workload | None:
        """As the cluster's."""
        return self._api.workload(ref)

    def claim(self, namespace: str, name: str) -> Claim | None:
        """As the cluster's."""
        return self._api.claim(namespace, name)

    def raw(self, ref: Ref) -> dict[str, Any] | None:
        """A run of a playbook in this process: ``done``, ``status`` and ``text``; the cluster's otherwise."""
        if ref.kind != "Playbook":
            return self._api.raw(ref)
        run = self._runs.get(ref.name)
        if run is None:
            return None
        answer = run.result() if run.done() else Answer(0)
        return {"done": run.done(), "status": answer.status, "text": answer.text}

    def call(self, call: Call) -> Answer:
        """Start a playbook, which does not wait for it; the cluster's otherwise."""
        if call.verb != "run":
            return self._api.call(call)
        book = self._playbooks.get(str(call.body.get("playbook")))
        if book is None:
            return Answer(404, "NotFound", "there is no such playbook")
        if call.ref.name in self._runs:
            return Answer(202, "Accepted")
        if sum(not run.done() for run in self._runs.values()) >= _AT_ONCE:
            return Answer(429, "TooManyRequests", f"{_AT_ONCE} playbooks run already")
        run: Future[Answer] = Future()
        self._runs[call.ref.name] = run
        # Of a daemon: the process must be able to end while a hook hangs.
        Thread(target=_run, args=(run, book, dict(call.body), call.ref.name), daemon=True).start()
        if len(self._runs) > _KEPT:
            self._forget()
        return Answer(202, "Accepted")

    def _forget(self) -> None:
        over = next((name for name, run in self._runs.items() if run.done()), "")
        self._runs.pop(over, None)


def _run(run: Future[Answer], book: Playbook, body: dict[str, Any], key: str) -> None:
    run.set_result(_post(book, body, key) if book.url else _start(book, body))


def _post(book: Playbook, body: dict[str, Any], key: str) -> Answer:
    headers = {"Idempotency-Key": key}
    try:
        if book.token_file is not None:
            headers["Authorization"] = f"Bearer {book.token_file.read_text('utf-8').strip()}"
        said = httpx.post(book.url, json=body, headers=headers, timeout=book.timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answer(0, type(error).__name__, str(error)[:_MAX_TEXT])
    return Answer(said.status_code, said.reason_phrase, said.text[:_MAX_TEXT])


def _start(book: Playbook, body: dict[str, Any]) -> Answer:
    command = [sys.executable, "-m", "edgeobs.hooks", book.function]
    try:
        said = subprocess.run(  # noqa: S603  the operator's own configuration names it
            command,
            input=json.dumps(body),
            capture_output=True,
            text=True,
            timeout=book.timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(504, "Timeout", f"ended after {book.timeout_s:g} s")
    except OSError as error:
        return Answer(0, "NotStarted", str(error))
    if said.returncode:
        return Answer(500, "Failed", said.stderr.strip()[-_MAX_TEXT:])
    return Answer(200, "OK", said.stdout.strip()[:_MAX_TEXT])


def main(name: str) -> None:
    """Call one function with what standard input says."""
    module, _, function = name.partition(":")
    said = getattr(importlib.import_module(module), function)(json.load(sys.stdin))
    if said is not None:
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main(sys.argv[1])
