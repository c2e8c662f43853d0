"""What acts alone, joined to an agent."""

import time

from edgeobs.agent.agent import Agent
from edgeobs.agent.alone.alone import Alone
from edgeobs.agent.alone.hands import Hands
from edgeobs.agent.alone.settings import Settings
from edgeobs.settings import Config
from edgeobs.signals import Resource
from edgeobs.uplink.send import Sender


def wired(config: Config, settings: Settings, agent: Agent, sender: Sender, node: Resource) -> Alone:
    """Reads its journal at once: what was done for an incident is told with it from the first word on."""
    incidents = agent.core.pipeline.incidents
    hands = Hands(
        node.node, settings.timeout_s, settings.metaserver_url, config.remediate,
        lambda: sender.silence().silent,
    )  # fmt: skip
    alone = Alone(
        settings, config.remediate, config.engine.data_dir, node, incidents.active, incidents.recent,
        sender.silence, agent.telling.news, hands.do, agent.counts, agent.problems,
    )  # fmt: skip
    agent.telling.story, agent.alone = alone.story, alone
    alone.open(time.time_ns())
    return alone
