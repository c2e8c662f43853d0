"""Bytes → columns → scores: the decoders alone, and from a loopback socket to the score."""

import time

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from benchmarks import otlp_decode, remote_write_decode
from benchmarks.load import Body, Sending, templates
from benchmarks.measure import Measure
from benchmarks.serving import core

SERIES = 100_000
POINTS_EACH = 10_000
SENDERS = 2
ROUNDS = {True: 20, False: 30}  # over all series; processor time comes in hundredths of a second


def run(quick: bool) -> list[Measure]:
    """Decoders first, then a whole core as a child process."""
    measures = [Measure(*row) for row in (*otlp_decode.measure(quick), *remote_write_decode.measure(quick))]
    bodies = templates(SERIES, POINTS_EACH)
    upb = _upb(bodies)
    return [*measures, _served(bodies, upb, quick, gzip=False), _served(bodies, upb, quick, gzip=True)]


def _served(bodies: list[Body], upb: float, quick: bool, *, gzip: bool) -> Measure:
    """Samples scored per second of the server's CPU time, everything it does counted, kernel included."""
    name = "socket_to_score_gzip" if gzip else "socket_to_score"
    with core() as served:
        shares = [bodies[n::SENDERS] for n in range(SENDERS)]
        sending = Sending(served, shares, gzip)
        sending.rounds(3)  # introduces the series
        cpu, scored, began = (
            served.cpu_s(),
            served.metric("edgeobs_samples_scored_total"),
            time.perf_counter(),
        )
        sending.rounds(ROUNDS[quick])
        wall = time.perf_counter() - began
        cpu, scored = served.cpu_s() - cpu, served.metric("edgeobs_samples_scored_total") - scored
    rate = scored / cpu
    busy = f"upb's parser alone {upb:,.0f}/s; server busy {100 * cpu / wall:.0f} % of a core"
    return Measure(name, rate, "samples/s/core", busy, rate / upb)


def _upb(bodies: list[Body]) -> float:
    """Points a second through protobuf's own parser, nothing done with them."""
    data = [body.data.tobytes() for body in bodies[:3]]
    began, points = time.process_time(), 0
    while time.process_time() - began < 0.5:
        for text, body in zip(data, bodies, strict=False):
            ExportMetricsServiceRequest.FromString(text)
            points += body.points
    return points / (time.process_time() - began)
