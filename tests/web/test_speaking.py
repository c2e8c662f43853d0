"""Who may speak over the API, how, and how often; and what becomes of it."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from edgeobs.web import Explained, Published, Refused, Settings, Step
from edgeobs.web.api import web_app
from edgeobs.web.pace import Pace
from edgeobs.web.protect import MARK
from edgeobs.web.speaking import BURST, EVERY_S, QUESTIONS

TOKEN = "0123456789abcdef-secret"
HERE = "http://localhost"
PAUSE, VETO = "/api/v1/remediation/pause", "/api/v1/incidents/01-disk/veto"


class Fake:
    """A desk that remembers what was said."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.refuses: Refused | None = None

    def say(self, *said: str) -> str:
        if self.refuses:
            raise self.refuses
        self.heard.append(said)
        return "noted"

    def steps(self, operation: str) -> list[Step]:
        if operation != "dec-1":
            raise Refused(404, "no such operation")
        return [
            Step(1_000_000_000, "intent", "decided: cordon"),
            Step(2_000_000_000, "call", "patch node/a0"),
        ]

    def explain(self, node: str, cluster: str | None) -> Explained:
        return Explained((("node", node), ("cluster", cluster or "any")), (), ())


@pytest.fixture
def desk() -> Fake:
    return Fake()


@pytest.fixture
def app(canned: Any, desk: Fake, tmp_path: Path) -> Any:
    (tmp_path / "token").write_text(TOKEN)
    return web_app(canned, Settings(token_file=tmp_path / "token"), desk=desk)


def basic(name: str = "ada", token: str = TOKEN) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


def ask(
    app: Any, path: str, body: Any = None, method: str = "POST", times: int = 1, **changes: str | None
) -> Any:
    """Requests as a person's program makes them, but for what a test changes."""
    headers = {
        "authorization": basic(), MARK.lower(): "1", "content-type": "application/json", "origin": HERE,
        "sec-fetch-site": "same-origin",
    }  # fmt: skip
    headers |= {name.replace("_", "-"): text for name, text in changes.items() if text is not None}
    for name in [name.replace("_", "-") for name, text in changes.items() if text is None]:
        headers.pop(name, None)
    sent = None if method == "GET" else json.dumps({"why": "because"} if body is None else body)

    async def go() -> Any:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 9))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as http:
            answers = [await http.request(method, path, headers=headers, content=sent) for _ in range(times)]
            return answers if times > 1 else answers[0]

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("path", "body", "heard"),
    [
        (PAUSE, {"why": " because "}, ("pause", "ada", "because", "", "")),
        ("/api/v1/remediation/resume", {"why": "done"}, ("resume", "ada", "done", "", "")),
        (VETO, {"why": "no"}, ("veto", "ada", "no", "01-disk", "")),
        ("/api/v1/incidents/01-disk/approve", {"why": "yes"}, ("approve", "ada", "yes", "01-disk", "")),
        ("/api/v1/incidents/01-disk/approve", {"why": "yes", "verb": "drain"},
         ("approve", "ada", "yes", "01-disk", "drain")),
    ],
)  # fmt: skip
def test_a_word_is_heard_with_who_and_why(app: Any, desk: Fake, path: str, body: Any, heard: Any) -> None:
    answer = ask(app, path, body)
    assert (answer.status_code, answer.json()) == (200, {"by": "ada", "note": "noted"})
    assert desk.heard == [heard]


def test_a_bearer_has_no_name(app: Any) -> None:
    assert ask(app, PAUSE, authorization=f"Bearer {TOKEN}").json()["by"] == "the holder of the token"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"authorization": None}, 401),
        ({"authorization": basic(token="another-token-of-some-length")}, 401),
        ({"authorization": "Bearer "}, 401),
        ({MARK.lower().replace("-", "_"): None}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:81"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"origin": None, "sec_fetch_site": None}, 200),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "application/json; charset=utf-8"}, 200),
        ({"content_length": "9000"}, 413),
    ],
)
def test_nobody_speaks_without_the_token_or_from_another_site(
    app: Any, desk: Fake, changes: dict[str, Any], status: int
) -> None:
    for path in (PAUSE, VETO):
        answer = ask(app, path, **changes)
        assert answer.status_code == status, answer.text
        assert answer.json().get("detail") or status == 200
    assert len(desk.heard) == (2 if status == 200 else 0)


def test_without_a_token_nothing_is_taken_even_on_this_machine(canned: Any, desk: Fake) -> None:
    app = web_app(canned, Settings(), desk=desk)
    answer = ask(app, PAUSE)
    assert answer.status_code == 403
    assert "web.token_file" in answer.json()["detail"]
    assert desk.heard == []
    told = ask(app, "/api/v1/remediation", method="GET").json()
    assert (told["changeable"], "web.token_file" in told["how"]) == (False, True)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(app: Any, desk: Fake, method: str) -> None:
    assert ask(app, PAUSE, method=method).status_code == 405
    assert ask(app, PAUSE, method="GET").status_code == 405
    for path in ("/", "/api/v1/status", "/healthz", "/metrics", "/api/v1/remediation", f"{PAUSE}/x"):
        assert ask(app, path).status_code == 405
    assert desk.heard == []


@pytest.mark.parametrize(
    "body",
    [{}, {"why": ""}, {"why": "   "}, {"why": 7}, {"why": "x" * 513}, {"why": "x", "who": "eve"}, [], "x"],
)
def test_a_word_needs_a_reason_and_nothing_else(app: Any, desk: Fake, body: Any) -> None:
    assert ask(app, VETO, body).status_code == 422
    assert desk.heard == []


def test_only_an_action_is_approved(app: Any) -> None:
    assert ask(app, "/api/v1/incidents/01-disk/approve", {"why": "x", "verb": "destroy"}).status_code == 422


@pytest.mark.parametrize("status", [404, 409, 503])
def test_a_refusal_tells_why(app: Any, desk: Fake, status: int) -> None:
    desk.refuses = Refused(status, "because of that")
    answer = ask(app, VETO)
    assert (answer.status_code, answer.json()) == (status, {"detail": "because of that"})


def test_words_are_bounded_in_rate_and_only_those_with_the_token_count(app: Any, desk: Fake) -> None:
    assert {a.status_code for a in ask(app, PAUSE, times=BURST + 5, authorization=None)} == {401}
    answers = ask(app, PAUSE, times=BURST + 1)
    assert [answer.status_code for answer in answers] == [200] * BURST + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= EVERY_S + 1
    assert len(desk.heard) == BURST


def test_questions_are_bounded_in_rate(app: Any) -> None:
    answers = ask(app, "/api/v1/nodes/x/explain", method="GET", times=QUESTIONS + 30)
    assert {answer.status_code for answer in answers} == {200, 429}


def test_room_comes_back_with_time() -> None:
    now = [1000.0]
    pace = Pace(BURST, EVERY_S, clock=lambda: now[0])
    assert [pace.wait_s() for _ in range(BURST)] == [0.0] * BURST
    assert pace.wait_s() == EVERY_S
    now[0] += EVERY_S
    assert (pace.wait_s(), pace.wait_s()) == (0.0, EVERY_S)
    now[0] += 10**6
    assert [pace.wait_s() for _ in range(BURST)] == [0.0] * BURST
    assert pace.wait_s() > 0


def test_questions_are_answered(app: Any) -> None:
    told = ask(app, "/api/v1/nodes/edge-7/explain?cluster=west", method="GET").json()
    assert told["facts"] == {"node": "edge-7", "cluster": "west"}
    steps = ask(app, "/api/v1/operations/dec-1/steps", method="GET").json()["steps"]
    assert [(step["at_s"], step["kind"]) for step in steps] == [(1.0, "intent"), (2.0, "call")]
    assert ask(app, "/api/v1/operations/dec-2/steps", method="GET").status_code == 404
    assert ask(app, "/api/v1/operations/dec-1/steps", method="GET", authorization=None).status_code == 401


def test_what_people_said_is_told(app: Any, canned: Any, spoken: Published) -> None:
    canned.now = spoken
    told = ask(app, "/api/v1/remediation", method="GET").json()
    assert (told["changeable"], told["how"], told["approve"]) == (True, "", ["drain", "release", "failover"])
    assert [(word["what"], word["incident_id"], word["verb"]) for word in told["words"]] == [
        ("veto", "03-burn", ""), ("approve", "01-disk", "drain"),
    ]  # fmt: skip
    operations = ask(app, "/api/v1/operations", method="GET").json()
    assert operations[0]["text"] == "cordon edge-27: verifying: cordoned"
    assert operations[0]["helped"] is None


def test_the_description_says_which_header_a_word_needs(app: Any) -> None:
    paths = ask(app, "/openapi.json", method="GET").json()["paths"]
    for path in (PAUSE, VETO.replace("01-disk", "{incident_id}")):
        found = paths[path]["post"]
        assert MARK.lower() in {each["name"].lower() for each in found["parameters"]}
        assert {"200", "401", "403", "404", "409", "422", "429", "503"} <= found["responses"].keys()


def test_without_a_desk_nobody_answers(canned: Any) -> None:
    assert ask(web_app(canned), "/api/v1/nodes/x/explain", method="GET").status_code == 503
