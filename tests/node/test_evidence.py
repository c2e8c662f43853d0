"""What a check finds is evidence in an incident of its node, beside what it was found by."""

from pathlib import Path

from edgeobs.compose import build
from edgeobs.config import parse
from edgeobs.ingest.auth import Auth
from edgeobs.ingest.decoders import Decoders
from edgeobs.node.collect import Collector
from edgeobs.node.settings import Settings
from edgeobs.node.sources.table import sources
from edgeobs.signals import SECOND
from tests.node.boards import Clock, unpack, write

CALM_S, BROKEN_S = 900, 180


def test_a_gateway_that_is_lost_opens_an_incident_that_names_the_check(tmp_path: Path) -> None:
    clock, now_ns = Clock(), 1_700_000_000 * SECOND
    asked = {name: each for name, each in sources().items() if name == "gateway"}
    settings = Settings(root=str(unpack("server", tmp_path)), within_s=10.0, node="edge-1", zone="a")
    collector = Collector(settings, asked)
    collector.host.clock = clock
    config = parse("detect: {compiled: false}\n")
    core = build(config)
    decoders, sender = Decoders(core.interner, fast=False), Auth(config.server, config.limits).loopback
    for second in range(CALM_S + BROKEN_S):
        if second == CALM_S:
            write(tmp_path, "proc/net/arp", "IP\n192.168.0.1 0x1 0x0 00:00:00:00:00:00 * eno1\n")
        now_ns += SECOND
        clock.now += 1
        points = decoders.decode("otlp_proto", collector.collect(now_ns), sender, now_ns)
        incidents = core.pipeline.step(points, now_ns).incidents
        assert not incidents or second >= CALM_S, "calm"
        found = {each.name: dict(each.labels) for one in incidents for each in one.evidence}
        if "edgeobs_node_problem" in found:
            break
    (incident,) = incidents
    assert found["edgeobs_node_problem"]["k8s_node_condition_type"] == "GatewayUnreachable"
    assert "edgeobs_node_gateway_up" in found
    assert {each.resource.node for each in incident.evidence if each.source == "series"} == {"edge-1"}
