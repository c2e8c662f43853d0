"""Every refusal is said: once for each incident, target and rule, and not at every step."""

import logging

from edgeobs.agent.alone.deeds import Wish
from edgeobs.signals import Counts, Decision

log = logging.getLogger("edgeobs.agent.alone")

_MOST = 100  # targets of incidents whose last refusal is remembered


class Refusals:
    """A line of the log and a count, when the rule that forbids is another than before."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._said: dict[tuple[str, str], str] = {}  # (incident, target) → rule

    def say(self, wish: Wish, decision: Decision) -> None:
        """Tell why a wish is not granted."""
        key = wish.incident.id, wish.target
        if self._said.get(key) == decision.rule:
            return
        self._said.pop(key, None)
        self._said[key] = decision.rule
        while len(self._said) > _MOST:
            del self._said[next(iter(self._said))]
        self._counts["edgeobs_agent_refusals_total", wish.kind, decision.rule] += 1
        said = decision.verdict, wish.kind, wish.target, decision.reason, decision.rule
        log.info("%s: %s %s: %s (%s)", *said)
