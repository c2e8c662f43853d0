"""What a series' identity tells of changes: versions, start times, and whom they are about."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from annotated_types import Ge, Gt, Le

from edgeobs.signals import Identity, Labels, Resource, Source

Carrier = tuple[Source, str, Labels]
"""What came with a version: a sender's series by name and other labels; no name: one of its scopes."""

_SCOPE, _SCOPE_VERSION = "otel_scope_name", "otel_scope_version"
_WORD = re.compile(r"[^a-zA-Z0-9]+")
_ABOUT = {
    "namespace": ("namespace", "exported_namespace", "k8s_namespace_name"),
    "workload": (
        "deployment", "daemonset", "statefulset", "cronjob", "job_name", "workload", "k8s_deployment_name",
        "k8s_daemonset_name", "k8s_statefulset_name",
    ),
    "node": ("node", "k8s_node_name"),
    "pod": ("pod", "exported_pod", "k8s_pod_name"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings:
    """What counts as a change that makes the past of a series no guide any more."""

    starts: tuple[str, ...] = (
        "start_time_seconds", "start_time", "boot_time_seconds", "boot_time", "status_observed_generation",
        "metadata_generation", "config_last_reload_success_timestamp_seconds",
    )  # fmt: skip
    """Ends of names of metrics whose value changes only when something starts, or is configured, anew. With
    ``boot`` in it, it is about the node."""

    versions: tuple[str, ...] = (
        "version", "revision", "image", "image_tag", "image_tags", "image_id", "image_name", "kernel_release",
        "pod_template_hash", "controller_revision_hash", "generation", "build",
    )  # fmt: skip
    """Ends of names of attributes and labels that carry a version; ``.``, ``-`` and ``/`` count as ``_``."""

    jitter_s: Annotated[float, Ge(0), Le(3600)] = 5.0
    """Seconds by which a start time may wander: it is computed from a clock that is being set."""

    rest_s: Annotated[float, Gt(0), Le(604_800)] = 1800.0
    """Seconds for which a series is not learned anew again; doubled each time that it is soon after that, up
    to 256 times: what flaps may not blind it."""

    most: Annotated[int, Ge(1), Le(10_000_000)] = 100_000
    """Start times, versions and senders that are remembered, each; past it the oldest is forgotten."""


@lru_cache(maxsize=4096)
def watched(name: str, starts: tuple[str, ...]) -> bool:
    """Whether a metric of this name tells when something started."""
    return any(name == end or name.endswith(f"_{end}") for end in starts)


@lru_cache(maxsize=4096)
def carries_version(key: str, versions: tuple[str, ...]) -> bool:
    """Whether an attribute or label of this name does."""
    word = _WORD.sub("_", key)
    return any(word == end or word.endswith(f"_{end}") for end in versions)


def split(pairs: Labels, versions: tuple[str, ...]) -> tuple[Labels, Labels]:
    """Without, and only, what carries a version."""
    found = tuple(pair for pair in pairs if carries_version(pair[0], versions))
    return (tuple(pair for pair in pairs if pair not in found), found) if found else (pairs, ())


def carriers(identity: Identity, versions: tuple[str, ...]) -> Iterator[tuple[Carrier, Labels]]:
    """What of a series came with which version.

    The version of a scope is on every series of it, and is remembered once for all that a sender has.
    """
    rest, found = split(identity.labels, versions)
    scope = tuple(pair for pair in found if pair[0] == _SCOPE_VERSION)
    if scope:
        yield (identity.source, "", tuple(pair for pair in rest if pair[0] == _SCOPE)), scope
    if len(found) > len(scope):
        yield (identity.source, identity.name, rest), tuple(pair for pair in found if pair not in scope)


def about(identity: Identity) -> Resource | None:
    """Whom the labels of a series name, when that is not its sender: kube-state-metrics speaks of others."""
    found = dict(identity.labels)
    named = {
        field: next((found[key] for key in keys if found.get(key)), "") for field, keys in _ABOUT.items()
    }
    if not (named["workload"] or named["pod"] or named["node"]):
        return None
    sender = identity.source.resource
    place = Resource(cluster=sender.cluster, **named)
    return None if fits(sender, place) else place


def place_of(source: Source) -> Resource:
    """Where one version of something replaces another: a workload on a node, whatever the pod is called."""
    return source.resource._replace(pod="", zone="")


def fits(resource: Resource, place: Resource) -> bool:
    """Whether a resource is at a place: wherever the place is named, it is the same."""
    return all(not wanted or wanted == had for wanted, had in zip(place, resource, strict=True))
