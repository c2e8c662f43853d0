"""Every metric that the agent and the way up count, as `edgeobs.catalogue` declares the core's."""

from edgeobs.catalogue import Metric

METRICS: dict[str, Metric] = {
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
        "counter", "Incidents and windows of nodes that the core let go of for want of room.", ("kind",)
    ),
}
