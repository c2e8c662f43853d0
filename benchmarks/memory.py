"""Bytes per live series, everything counted, and what an idle core weighs."""

import time

from benchmarks.load import Sending, templates
from benchmarks.measure import Measure
from benchmarks.serving import Core, core

POINTS_EACH = 10_000
SETTLE_S = 2.0
ROUNDS = 12  # nodes look every five seconds: until their series have moved, and have seats
HISTORY_ROUNDS = 130  # 28 bytes a sample fill the default ring of 32 MiB


def run(quick: bool) -> list[Measure]:
    """The same core, empty and with many series: what lies between is what they cost."""
    series = 100_000 if quick else 400_000
    with core({"limits": {"max_series": 1_000_000, "max_series_per_sender": 1_000_000}}) as served:
        idle = _settled(served)
        first = Sending(served, [templates(POINTS_EACH, POINTS_EACH)])
        # What a request needs whatever it carries, and the shared history once full, are not the series'.
        first.rounds(HISTORY_ROUNDS)
        base, few = _settled(served), served.metric("edgeobs_series")
        Sending(served, [templates(series, POINTS_EACH)]).rounds(ROUNDS)
        full, many = _settled(served), served.metric("edgeobs_series")
    each = (full - base) * 2**20 / (many - few)
    return [
        Measure("bytes_per_series", each, "B", f"{many:,.0f} series: {full:.0f} MiB resident in all"),
        Measure("idle_rss_mib", idle, "MiB", f"after {few:,.0f} series: {base:.0f} MiB"),
    ]


def _settled(served: Core) -> float:
    """Resident memory once nothing is in flight, MiB."""
    time.sleep(SETTLE_S)
    return served.rss_mib()
