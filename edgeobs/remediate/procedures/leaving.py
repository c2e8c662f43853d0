"""Which pods would leave a node, and what forbids that they do. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from edgeobs.objects import Pod
from edgeobs.remediate.settings import Settings


class Leaving(NamedTuple):
    """The pods of a node, sorted by what is to become of them."""

    move: tuple[Pod, ...] = ()  # to be evicted
    going: tuple[Pod, ...] = ()  # on their way: their deletion was asked for
    stop: tuple[tuple[Pod, str], ...] = ()  # must not be evicted, and why


def sort_out(pods: Iterable[Pod], settings: Settings, *, chosen: bool) -> Leaving:
    """Sort a node's pods as ``kubectl drain`` does: static and DaemonSet pods stay, finished ones are over.

    Parameters
    ----------
    chosen
        Only pods that opted in are to leave; otherwise one that did not stops the whole.

    """
    move, going, stop = [], [], []
    for pod in pods:
        if pod.over or pod.mirror or (pod.owner is not None and pod.owner.kind == "DaemonSet"):
            continue
        if chosen and not consents(pod, settings):
            continue
        why = "" if pod.deleted_ns else _forbidden(pod, settings)
        if why:
            stop.append((pod, why))
        elif pod.deleted_ns:
            going.append(pod)
        else:
            move.append(pod)
    return Leaving(tuple(move), tuple(going), tuple(stop))


def consents(pod: Pod, settings: Settings) -> bool:
    """Whether a pod opted in, by label or annotation; all do where the node's word is enough."""
    key = settings.opt_in
    return not settings.workloads_opt_in or "enabled" in (pod.labels.get(key), pod.annotations.get(key))


def naming(pods: Iterable[tuple[Pod, str]], most: int = 3) -> str:
    """``shop/web-1: why; shop/db-0: why; and 4 more``."""
    told = [f"{pod.namespace}/{pod.name}: {why}" for pod, why in pods]
    more = [f"and {len(told) - most} more"] if len(told) > most else []
    return "; ".join(told[:most] + more)


def _forbidden(pod: Pod, settings: Settings) -> str:
    if not consents(pod, settings):
        return f"has not opted in ({settings.opt_in} is not 'enabled')"
    if pod.owner is None and not settings.force_bare_pods:
        return "has no controller that would start it again (force_bare_pods is off)"
    if pod.empty_dir and not settings.delete_empty_dir_data:
        return "keeps data in an emptyDir (delete_empty_dir_data is off)"
    return ""
