"""Holds the Lease, or waits for it, in a thread of its own; `fence` says whether we may act."""

import random
import secrets
import socket
import threading
import time
from collections.abc import Callable

import structlog

from edgeobs.calls import Api, Unreachable
from edgeobs.kube.clock import boot_ns
from edgeobs.kube.election import Fence, Seat, Terms, ask, release, seen, told
from edgeobs.kube.settings import KubernetesSettings
from edgeobs.objects import Ref

log = structlog.get_logger("edgeobs.kube")

_JITTER = 0.2  # of the time between two looks, so that replicas do not fall into step


def terms(settings: KubernetesSettings, namespace: str) -> Terms:
    """The terms of this process. Its identity is never that of another, nor of itself before a restart."""
    identity = f"{socket.gethostname()}_{secrets.token_hex(4)}"
    return Terms(identity, Ref("Lease", namespace, settings.lease), settings.lease_s, settings.renew_s)


class Elector:
    """One candidate.

    Parameters
    ----------
    api
        Where the Lease is; not slowed down by the bound on our other requests.
    terms, retry_s
        Who we are and the times; how long between two looks, seconds.
    clock
        Nanoseconds that never go back and go on while the machine sleeps.

    """

    def __init__(self, api: Api, terms: Terms, retry_s: float, clock: Callable[[], int] = boot_ns) -> None:
        self.terms = terms
        self._api, self._retry_s, self._clock = api, retry_s, clock
        self._seat = Seat()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="elector", daemon=True)
        self.problem = ""

    @property
    def fence(self) -> Fence | None:
        """Our leave to act, whether it holds now or not; none once we stop."""
        return None if self._stopping.is_set() else self._seat.fence

    def may_act(self, for_s: float = 0.0) -> Fence | None:
        """The fence, if what takes up to ``for_s`` may be begun now; to be asked before every mutation."""
        fence = self.fence
        return fence if fence and fence.holds(self._clock(), for_s) else None

    @property
    def holder(self) -> str:
        """Whose the Lease is, as last seen; empty: nobody's."""
        record = self._seat.record
        return record.holder if record else ""

    def start(self) -> None:
        """Stand for election."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop acting at once, and let go."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def step(self) -> None:
        """One look and one request at most."""
        was = self._seat.fence is not None
        try:
            if self._seat.waits(self.terms):
                found = self._api.raw(self.terms.lease)
                self._seat = seen(self._seat, found, self.terms, self._clock())
            self._ask()
        except (Unreachable, ValueError, TypeError, AttributeError) as error:  # a Lease of another shape too
            self._trouble(str(error))
        if was != (self._seat.fence is not None):
            log.info(
                "elected" if not was else "not_elected",
                fence=str(self._seat.fence or ""),
                lease=str(self.terms.lease),
            )

    def _ask(self) -> None:
        sent_ns = self._clock()
        self._seat, call = ask(self._seat, self.terms, sent_ns, time.time_ns())
        if call is None:
            self._trouble("")
            return
        answer = self._api.call(call)
        self._seat = told(self._seat, call, answer, self.terms, sent_ns, self._clock())
        lost = answer.status == 409  # another was faster; nothing is wrong
        self._trouble(
            "" if answer.ok or lost else f"{call.says}: {answer.status} {answer.reason}: {answer.text}"
        )

    def _trouble(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("lease_trouble", reason=problem)
        self.problem = problem

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(self._retry_s * random.uniform(1, 1 + _JITTER))  # noqa: S311  jitter, no secret
        self._seat, call = release(self._seat, self.terms, self._clock(), time.time_ns())
        if call is not None:
            self._api.call(call)
