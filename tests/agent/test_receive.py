"""The core's receiver over HTTP: who may speak, what is understood, and what is answered."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from edgeobs.ingest.auth import Auth
from edgeobs.ingest.delivery import Delivery, Overloaded, Receipt
from edgeobs.ingest.settings import Limits, Settings, Token
from edgeobs.signals import SECOND, Counts
from edgeobs.uplink.inbox import Inbox
from edgeobs.uplink.letters import of_incident, packed
from edgeobs.uplink.receive import BASE, Receiver
from tests.agent.things import T0, make_incident, make_window

QUEUE = "ab" * 16
SECRET = {"Authorization": "Bearer secret"}


class Core:
    """The receiver of a core that knows one node's token."""

    def __init__(self, folder: Path) -> None:
        token = folder / "token"
        token.write_text("secret")
        self.settings = Settings(
            tokens=(Token(name="edge-1", token_file=str(token), nodes=("edge-1",)),), max_body_bytes=5000
        )
        self.taken: list[Delivery] = []
        self.told: list[str] = []
        self.refuse: Exception | None = None
        self.inbox = Inbox(folder / "inbox.sqlite", Counts())
        self.counts = Counts()
        receiver = Receiver(
            self.submit, Auth(self.settings, Limits()), self.settings, self.inbox, self.counts,
            on_incidents=lambda found: self.told.extend(i.id for i in found), clock=lambda: T0,
        )  # fmt: skip
        self.app = Starlette(routes=receiver.routes())

    async def submit(self, delivery: Delivery) -> Receipt:
        if self.refuse is not None:
            raise self.refuse
        self.taken.append(delivery)
        return Receipt(1)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://core") as client:
                return await client.request(method, BASE + path, headers=headers, content=body)

        return asyncio.run(go())

    def post(
        self, kind: str, label: str, body: bytes, path: str = "/v1/metrics", **more: str
    ) -> httpx.Response:
        headers = {"Edgeobs-Parcel": label, "Edgeobs-Kind": kind, "Content-Encoding": "gzip", **SECRET}
        return self.ask("POST", path, headers | {k.replace("_", "-"): v for k, v in more.items()}, body)


@pytest.fixture
def core(tmp_path: Path) -> Core:
    return Core(tmp_path)


def test_what_is_taken_is_answered_with_the_last_sequence(core: Core) -> None:
    for sequence, last in ((1, "1"), (3, "3"), (2, "3"), (3, "3")):
        answer = core.post("summary", f"edge-1/{QUEUE}/rest/{sequence}", packed(b"%d" % sequence))
        assert (answer.status_code, answer.headers["Edgeobs-Last"]) == (200, last)
    assert [d.body for d in core.taken] == [b"1", b"3"]
    told = core.ask("GET", "", SECRET).json()["lanes"]
    assert [(lane["node"], lane["last"], lane["missing"]) for lane in told] == [("edge-1", 3, 1)]


def test_an_incident_is_kept_told_and_becomes_an_alert(core: Core) -> None:
    letter = of_incident(make_incident(), {})
    answer = core.post("incident", f"edge-1/{QUEUE}/first/1", letter.body, "/v1/logs")
    assert answer.status_code == 200
    assert core.told == ["inc-1"]
    assert [d.format for d in core.taken] == ["alertmanager"]
    assert core.inbox.incidents() == [make_incident()]


GOOD = packed(b"x")
REFUSED = [
    ({"kind": "summary", "label": "edge-1"}, 400),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/rest/0"}, 400),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/first/1"}, 400),
    ({"kind": "incident", "label": f"edge-1/{QUEUE}/first/1"}, 400),  # not on the path of metrics
    ({"kind": "summary", "label": f"edge-2/{QUEUE}/rest/1"}, 403),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/rest/1", "Content_Encoding": "br"}, 400),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/rest/1", "Authorization": "Bearer no"}, 401),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/rest/1", "body": b"no gzip"}, 400),
    ({"kind": "summary", "label": f"edge-1/{QUEUE}/rest/1", "body": bytes(9000)}, 413),
]


@pytest.mark.parametrize(("asked", "status"), REFUSED)
def test_what_is_not_taken_moves_no_sequence(asked: dict[str, str], status: int, core: Core) -> None:
    answer = core.post(**{"body": GOOD, **asked})  # type: ignore[arg-type]
    assert answer.status_code == status
    assert "Edgeobs-Last" not in answer.headers
    assert core.inbox.heard() == []
    assert core.taken == []


def test_a_core_that_is_full_says_when_to_come_back(core: Core) -> None:
    core.refuse = Overloaded(7.0)
    answer = core.post("summary", f"edge-1/{QUEUE}/rest/1", GOOD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    core.refuse = None
    assert core.post("summary", f"edge-1/{QUEUE}/rest/1", GOOD).headers["Edgeobs-Last"] == "1"


def test_windows_are_kept_as_they_came_and_no_detector_sees_them(core: Core) -> None:
    hour = 3600 * SECOND
    early, late = make_window(T0 - hour), make_window(T0)
    core.post("window", f"edge-1/{QUEUE}/rest/1", early)
    core.post("window", f"edge-1/{QUEUE}/rest/2", late)
    assert core.inbox.windows("edge-1", 0, 1 << 62) == [early, late]
    assert core.inbox.windows("edge-1", T0 - hour, T0 - hour // 2) == [early], "by its samples' own time"
    assert core.inbox.windows("edge-1", T0 - 2 * SECOND, T0 - 2 * SECOND) == [late]
    assert core.taken == []
    assert core.post("window", f"edge-1/{QUEUE}/rest/3", GOOD).status_code == 400


def test_only_who_is_known_may_look(core: Core) -> None:
    assert core.ask("GET", "", {}).status_code == 401
