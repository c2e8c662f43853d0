"""The link is really cut, a real program is asked to restart, and the node is killed while it does."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeobs.signals import Counts
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.late import late, one
from tests.agent.far import NODE, UNIT
from tests.agent.test_cut import CORE_IP, HOUR, PORT, Network, Program, Site, network
from tests.waiting import wait

__all__ = ["network"]

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "{folder}/asked"
echo $$ > "{folder}/pid"
if [ -e "{folder}/hang" ]; then exec sleep 300; fi
"""


class AloneSite(Site):
    """The node may act, by a systemctl that writes down what it was asked."""

    def start_node(self) -> None:
        url = f"http://{CORE_IP}:{PORT}/api/v1/uplink"
        self.node = Program(self.network.node, "node", str(self.at_node), url, "alone")

    def asked(self) -> list[str]:
        file = self.at_node / "asked"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def deeds(self) -> list[str]:
        return list(self.node.ask("waiting")["deeds"])

    def faulty_until(self, number: int) -> bool:
        self.run(1, faulty=True)
        return len(self.asked()) >= number

    def is_cut(self) -> bool:
        return float(self.node.ask("waiting")["silent_s"]) > 1.0


@pytest.fixture
def site(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AloneSite]:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL.format(folder=tmp_path / "node"), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = AloneSite(network, tmp_path)
    yield found
    found.node.kill()
    found.core.kill()


@pytest.mark.timeout(400)  # starts four processes, on a machine that may have much else to do
def test_it_acts_only_while_it_is_cut_off_once_and_tells_the_core(site: AloneSite) -> None:
    site.run(HOUR)
    site.run(20, faulty=True)
    wait(site.drained, "what the node says arrives")
    site.run(HOUR)
    assert site.asked() == [], "the core answers"

    site.network.link("down")
    site.run(30)
    wait(site.is_cut, "it is cut off")
    wait(lambda: site.faulty_until(1), "it acts")
    wait(lambda: site.run(1, faulty=True) and site.deeds() == ["done"], "the program has ended")
    site.run(HOUR)
    assert site.deeds() == ["helped"]

    (site.at_node / "hang").touch()
    wait(lambda: site.faulty_until(2), "it acts again")
    site.node.kill()
    os.kill(int((site.at_node / "pid").read_text()), signal.SIGKILL)
    site.start_node()
    assert site.deeds() == ["helped", "unknown"]
    wait(lambda: site.run(1, faulty=True) and site.is_cut(), "it is cut off still")
    site.run(20, faulty=True)
    assert site.asked() == [f"--no-ask-password restart {UNIT}"] * 2, "nothing is repeated"

    site.network.link("up")
    wait(site.drained, "all arrives")
    site.run(20, faulty=True)
    assert len(site.asked()) == 2, "the core is back"
    wait(lambda: site.waiting()["incident"] == 0, "incidents arrive")
    inbox = Inbox(site.at_core / "inbox.sqlite", Counts())
    titles = [incident.title for incident in inbox.incidents()]
    records = [one(inbox, NODE, record.incident.id) for record in late(inbox, NODE, None, 10, 0)[1]]
    inbox.close()
    shown = [each.text for record in records if record for each in record[0].incident.evidence]
    assert any(text.startswith("done by the agent alone at ") for text in shown), "as the page has it"
    assert any(f"alone: restart of {UNIT}: it helped" in title for title in titles), titles
    assert any(f"alone: restart of {UNIT}: whether it was done is not known" in title for title in titles), (
        titles
    )
