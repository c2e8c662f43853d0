"""Prometheus remote write 1.0 and 2.0 → `Points`: the reference, with protobuf's own parser.

The fast decoder is held equal to this one on every input; what a request means is decided here and in
`remote_write_series`, `remote_write_columns` and `native_histogram`.

A series without a name, with an empty or a repeated label name, or a native histogram that breaks its
specification is counted as ``invalid`` and left out, the rest is taken (2.0, *Partial Write*). Labels in any
order are taken. A body that is no such message, or refers to a symbol that is not there, is `Malformed`.
Exemplars are counted and skipped.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from edgeobs.ingest.errors import Malformed
from edgeobs.ingest.intern import INVALID, Interner
from edgeobs.ingest.remote_write_columns import GAUGE, SCALAR, Collector
from edgeobs.ingest.remote_write_messages import messages
from edgeobs.ingest.remote_write_series import (
    UNSPECIFIED,
    Families,
    Named,
    histogram_kind,
    named,
    scalar_kind,
)
from edgeobs.ingest.wire_place import place
from edgeobs.signals import Identity, Points, Principal


class About(NamedTuple):
    """What decides a series' identities: its labels (none: invalid), its type and unit."""

    what: Named | None
    type_: int
    unit: str


def decode_v1(
    body: bytes, interner: Interner, families: Families, principal: Principal, now_ns: int
) -> Points:
    """Decode a decompressed ``prometheus.WriteRequest``; raises `Malformed`."""
    request = _parsed(messages().write_request, body)
    for one in request.metadata:
        families.learn(principal.id, one.metric_family_name, one.type)
    made = Collector()
    for series in request.timeseries:
        made.exemplars += len(series.exemplars)
        if series.samples or series.histograms:
            about = about_v1(series, families, principal)
            made.add(series, 0, partial(admit, interner, principal, now_ns, about))
    return made.points()


def decode_v2(body: bytes, interner: Interner, principal: Principal, now_ns: int) -> Points:
    """Decode a decompressed ``io.prometheus.write.v2.Request``; raises `Malformed`."""
    request = _parsed(messages().request, body)
    symbols: list[str] = list(request.symbols)
    if request.timeseries and (not symbols or symbols[0]):
        raise Malformed("symbols[0]: expected an empty string")
    for i, series in enumerate(request.timeseries):
        _check_refs(series, len(symbols), f"timeseries[{i}]")
    made = Collector()
    for series in request.timeseries:
        made.exemplars += len(series.exemplars)
        if series.samples or series.histograms:
            about = about_v2(series, symbols)
            made.add(series, series.created_timestamp, partial(admit, interner, principal, now_ns, about))
    return made.points()


def about_v1(series: Any, families: Families, principal: Principal) -> About:
    """Of a 1.0 ``TimeSeries``: the type is what its sender said of its family."""
    what = named((label.name, label.value) for label in series.labels)
    return About(what, families.type_of(principal.id, what.name) if what else UNSPECIFIED, "")


def about_v2(series: Any, symbols: Sequence[str]) -> About:
    """Of a 2.0 ``TimeSeries`` whose references are all there."""
    refs = list(series.labels_refs)
    what = named((symbols[i], symbols[j]) for i, j in zip(refs[::2], refs[1::2], strict=True))
    return About(what, series.metadata.type, symbols[series.metadata.unit_ref])


def admit(interner: Interner, principal: Principal, now_ns: int, about: About, holds: int) -> int:
    """The id of what a series holds (SCALAR, CUMULATIVE or GAUGE), or the refusal."""
    if about.what is None:
        return INVALID
    name, source, labels = about.what
    kind = scalar_kind(name, about.type_) if holds == SCALAR else histogram_kind(about.type_, holds == GAUGE)
    return interner.admit(principal, Identity(source, name, labels, kind, about.unit), now_ns)


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise Malformed(f"{place(kind.DESCRIPTOR, body)}: {error}") from error


def _check_refs(series: Any, known: int, where: str) -> None:
    """References MUST point into the symbols, and labels come in pairs (2.0, *Symbols*)."""
    for at, refs in ((where, series.labels_refs), *_exemplar_refs(series, where)):
        if len(refs) % 2:
            raise Malformed(f"{at}.labels_refs: {len(refs)} references are not pairs")
        if refs and max(refs) >= known:
            raise Malformed(f"{at}.labels_refs: {max(refs)} is not one of {known} symbols")
    for name, ref in (("help_ref", series.metadata.help_ref), ("unit_ref", series.metadata.unit_ref)):
        if ref >= known:
            raise Malformed(f"{where}.metadata.{name}: {ref} is not one of {known} symbols")


def _exemplar_refs(series: Any, where: str) -> list[tuple[str, Any]]:
    return [(f"{where}.exemplars[{i}]", e.labels_refs) for i, e in enumerate(series.exemplars)]
