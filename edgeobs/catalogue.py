"""Every metric edgeobs emits about itself, declared once: name, type, unit, help, labels."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """A metric as /metrics shows it. Counters are named with ``_total``."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()


METRICS: dict[str, Metric] = {
    "edgeobs_requests_total": Metric(
        "counter", "Requests from senders, by protocol and HTTP status (or gRPC code).", ("protocol", "code")
    ),
    "edgeobs_request_bytes_total": Metric(
        "counter", "Bytes received in request bodies, as they came over the wire.", ("protocol",), "bytes"
    ),
    "edgeobs_points_received_total": Metric("counter", "Points decoded from requests.", ("protocol",)),
    "edgeobs_points_rejected_total": Metric(
        "counter",
        "Points refused: over a series limit, for a node the sender may not speak for, or invalid.",
        ("reason",),
    ),
    "edgeobs_log_records_received_total": Metric(
        "counter", "Log records decoded from requests.", ("protocol",)
    ),
    "edgeobs_log_records_rejected_total": Metric(
        "counter",
        "Log records refused: for a node the sender may not speak for, or over a limit of one request.",
        ("reason",),
    ),
    "edgeobs_spans_received_total": Metric("counter", "Spans decoded from requests.", ("protocol",)),
    "edgeobs_spans_rejected_total": Metric(
        "counter", "Spans refused: for a node the sender may not speak for, or invalid.", ("reason",)
    ),
    "edgeobs_log_lines_dropped_total": Metric(
        "counter",
        "Log records counted in no series: too old, sent twice, no room for their sender.",
        ("reason",),
    ),
    "edgeobs_log_lines_other_total": Metric(
        "counter", "Log records counted without a template because a bound was reached.", ("reason",)
    ),
    "edgeobs_log_bodies_cut_total": Metric(
        "counter",
        "Log records of which not all was looked at: their first line alone, or its first bytes.",
        ("what",),
    ),
    "edgeobs_log_templates_evicted_total": Metric(
        "counter", "Templates of log lines forgotten to make room for others."
    ),
    "edgeobs_spans_dropped_total": Metric(
        "counter",
        "Spans that became no series, or not wholly: duplicate, orphan (no parent within the wait), negative"
        " (ends before it starts; counted without a duration), late (its interval is over), future, too old,"
        " limit (no room).",
        ("reason",),
    ),
    "edgeobs_spans_other_total": Metric(
        "counter",
        "Spans counted under `other` because a bound on services, operations or edges was reached.",
        ("what",),
    ),
    "edgeobs_spans_skewed_total": Metric(
        "counter", "Spans that began before their parent did: clocks of nodes differ."
    ),
    "edgeobs_spans_joined_total": Metric("counter", "Spans whose parent was found."),
    "edgeobs_signs_total": Metric(
        "counter", "What logs and spans told by themselves and no series does, by kind.", ("kind",)
    ),
    "edgeobs_points_dropped_total": Metric(
        "counter",
        "Points taken but not scored: duplicate, out of order, not finite, stale, too old, from the future.",
        ("reason",),
    ),
    "edgeobs_points_late_total": Metric(
        "counter", "Points scored at their own time but too late to act upon."
    ),
    "edgeobs_series_resets_total": Metric("counter", "Resets seen in cumulative series."),
    "edgeobs_samples_scored_total": Metric("counter", "Feature samples that a detector scored."),
    "edgeobs_detector_errors_total": Metric(
        "counter",
        "Batches that a detector, or another part of detection, failed on; the rest of the pipeline went on.",
        ("detector",),
    ),
    "edgeobs_models": Metric("gauge", "River models by whether they work.", ("detector", "state")),
    "edgeobs_models_left_out_total": Metric(
        "counter", "Series for which a detector had no room for a model.", ("detector",)
    ),
    "edgeobs_series_relearned_total": Metric(
        "counter",
        "Series learned anew because something about them changed: a restart, a version, our own act.",
    ),
    "edgeobs_series": Metric("gauge", "Live series."),
    "edgeobs_series_limit": Metric("gauge", "Series that may live at once."),
    "edgeobs_series_expired_total": Metric("counter", "Series forgotten because nothing was heard of them."),
    "edgeobs_nodes": Metric("gauge", "Nodes by heartbeat.", ("state",)),
    "edgeobs_queue_bytes": Metric("gauge", "Bytes of requests waiting for the pipeline.", (), "bytes"),
    "edgeobs_queue_limit_bytes": Metric(
        "gauge", "Bytes of requests that may wait before senders are told to come back.", (), "bytes"
    ),
    "edgeobs_queue_shed_total": Metric(
        "counter", "Requests turned away because the queue was full.", ("protocol",)
    ),
    "edgeobs_pipeline_lag_seconds": Metric(
        "gauge", "How long the last finished request had waited and worked.", (), "seconds"
    ),
    "edgeobs_step_duration_seconds": Metric(
        "histogram",
        "Time from the last byte of a request to its last decision.",
        (),
        "seconds",
        (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0),
    ),
    "edgeobs_incidents": Metric("gauge", "Incidents that are not resolved.", ("scope",)),
    "edgeobs_incidents_opened_total": Metric("counter", "Incidents opened.", ("scope",)),
    "edgeobs_incidents_dropped_total": Metric(
        "counter", "Incidents not opened because too many were open.", ("scope",)
    ),
    "edgeobs_evidence_dropped_total": Metric(
        "counter",
        "Surprising samples or alerts not followed: over a bound of a step, of a node or in all, or our own.",
        ("reason",),
    ),
    "edgeobs_decisions_total": Metric(
        "counter", "Decisions on proposed actions.", ("verb", "verdict", "rule")
    ),
    "edgeobs_operations_total": Metric(
        "counter", "Operations on the cluster that reached a state.", ("verb", "state")
    ),
    "edgeobs_api_calls_total": Metric(
        "counter",
        "Calls that change the cluster, by verb and HTTP status; 0: no answer. Failed reads are verb read.",
        ("verb", "code"),
    ),
    "edgeobs_events_total": Metric(
        "counter", "Events and conditions told to the cluster, for people.", ("result",)
    ),
    "edgeobs_external_alerts_total": Metric("counter", "Alerts that Alertmanager told us of.", ("status",)),
    "edgeobs_alerts_sent_total": Metric("counter", "Alerts sent to an Alertmanager replica.", ("result",)),
    "edgeobs_store_errors_total": Metric(
        "counter",
        "Failed writes of incidents, decisions, snapshots or the journal; unreadable lines of feedback.",
        ("what",),
    ),
    "edgeobs_store_healthy": Metric("gauge", "1 while incidents and decisions can be written."),
    "edgeobs_snapshot_timestamp_seconds": Metric(
        "gauge", "When detector state was last saved.", (), "seconds"
    ),
    "edgeobs_build_info": Metric("gauge", "Always 1.", ("version", "decoder")),
    "edgeobs_agent_scrapes_total": Metric(
        "counter", "Scrapes of local targets by how they ended.", ("result",)
    ),
    "edgeobs_agent_summaries_put_off_total": Metric(
        "counter", "Series whose summary the budget had no room for; they go on adding up."
    ),
    "edgeobs_agent_windows_left_out_total": Metric(
        "counter", "Raw windows that were not told: no room in the budget, or too many series at once."
    ),
    "edgeobs_agent_queue_errors_total": Metric("counter", "Times that the queue's disk took nothing."),
    "edgeobs_agent_incidents_untold_total": Metric(
        "counter", "Incidents let go of while the disk took nothing: never told, and in no queue."
    ),
    "edgeobs_agent_actions_total": Metric(
        "counter",
        "Actions of an agent that was cut off, by each state that they came to.",
        ("action", "result"),
    ),
    "edgeobs_agent_refusals_total": Metric(
        "counter",
        "Actions that an agent did not take alone, by the rule that forbade them.",
        ("action", "rule"),
    ),
    "edgeobs_uplink_requests_total": Metric(
        "counter", "Parcels sent to the core, by the HTTP status of the answer; 0: there was none.", ("code",)
    ),
    "edgeobs_uplink_sent_total": Metric("counter", "Parcels that the core has taken.", ("kind",)),
    "edgeobs_uplink_sent_bytes_total": Metric("counter", "Compressed bytes of those.", (), "bytes"),
    "edgeobs_uplink_dropped_total": Metric("counter", "Parcels dropped for want of room on disk.", ("kind",)),
    "edgeobs_uplink_refused_total": Metric("counter", "Parcels that the core will never take.", ("kind",)),
    "edgeobs_uplink_queue_bytes": Metric("gauge", "Bytes that wait for the core, on disk.", (), "bytes"),
    "edgeobs_uplink_waiting": Metric("gauge", "Parcels that wait for the core.", ("kind",)),
    "edgeobs_uplink_taken_total": Metric("counter", "Parcels taken from nodes.", ("kind",)),
    "edgeobs_uplink_known_total": Metric(
        "counter", "Parcels that were known already: repetitions.", ("kind",)
    ),
    "edgeobs_uplink_missing_total": Metric(
        "counter", "Sequences of nodes that never came: what their queues had to drop."
    ),
    "edgeobs_uplink_forgotten_total": Metric(
        "counter", "Incidents, windows and summaries' peaks of nodes let go of for want of room.", ("kind",)
    ),
}
