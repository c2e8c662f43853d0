"""Logs and spans behind the page: the service graph and where it is drawn, evidence, and its lines."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeobs.signals import SECOND
from edgeobs.web import Hint, Line, Published, Refused
from edgeobs.web.keep import policy
from edgeobs.web.layout import placed
from edgeobs.web.signals import AFTER_NS, BEFORE_NS

Serve = Callable[..., AbstractContextManager[str]]
TEXT = "till: never logged before: write to <*> failed: <*>"


class Kept:
    """An archive that remembers what it was asked, and may refuse."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.refuses: Refused | None = None

    def lines(self, query: str, start_ns: int, end_ns: int) -> Sequence[Line]:
        self.asked.append((query, start_ns, end_ns))
        if self.refuses:
            raise self.refuses
        return [
            Line(2 * SECOND, "write to /dev/sda failed: EIO"),
            Line(SECOND, "write to /dev/sdb failed: EIO"),
        ]


def test_the_service_graph(canned: Any, seen: Published, serve: Serve) -> None:
    canned.now = seen
    with serve(canned) as url:
        answer = httpx.get(f"{url}/api/v1/services")
        again = httpx.get(f"{url}/api/v1/services", headers={"If-None-Match": answer.headers["etag"]})
    graph = answer.json()
    assert again.status_code == 304
    assert [(c["caller"], c["callee"]) for c in graph["calls"] if c["anomalous"]] == [("till", "payments")]
    services = {each["name"]: each for each in graph["services"]}
    assert {name for name, each in services.items() if each["anomalous"]} == {"payments"}
    assert services["payments"]["error_ratio"] == pytest.approx(0.31)
    assert services["outside"]["column"] < services["web"]["column"] < services["till"]["column"]


def test_nobody_calls_anybody(canned: Any, serve: Serve) -> None:
    with serve(canned) as url:
        assert httpx.get(f"{url}/api/v1/services").json() == {"services": [], "calls": []}


def test_evidence_says_whose_it_is(canned: Any, seen: Published, serve: Serve) -> None:
    canned.now = seen
    with serve(canned) as url:
        slow, new, *rest = httpx.get(f"{url}/api/v1/incidents/01-disk").json()["evidence"]
    assert (slow["kind"], slow["whose"]) == ("span duration", "shop/till-7c9f-x2: POST /pay")
    assert slow["traces"] == ["4bf92f3577b34da6a3ce929d0e0e4736"]
    assert (new["source"], new["pod"], new["detail"]) == ("sign", "till-7c9f-x2", "write to <*> failed: <*>")
    assert {each["kind"] for each in rest} == {""}


def test_lines_of_evidence(
    canned: Any, seen: Published, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeobs.web.signals._EVERY_S", 3600.0)
    canned.now, kept = seen, Kept()
    evidence = next(e for i in seen.incidents for e in i.evidence if e.text == TEXT)
    with serve(canned, archive=kept) as url:

        def get(incident: str, text: str) -> httpx.Response:
            return httpx.get(f"{url}/api/v1/incidents/{incident}/lines", params={"text": text})

        answer = get("01-disk", TEXT)
        assert answer.json()["query"] == evidence.query
        assert [line["time_s"] for line in answer.json()["lines"]] == [2.0, 1.0]
        window = evidence.onset_ns - BEFORE_NS, evidence.last_ns + AFTER_NS
        assert kept.asked == [(evidence.query, *window)]
        assert get("01-disk", "another").status_code == 404
        assert get("nobody", TEXT).status_code == 404
        assert get("01-disk", "node_disk_queue_length").status_code == 404, "a metric has no lines"
        kept.refuses = Refused(502, "Loki: no whole answer within 5 s")
        assert (get("01-disk", TEXT).status_code, get("01-disk", TEXT).json()["detail"][:4]) == (502, "Loki")
        codes = [get("01-disk", TEXT).status_code for _ in range(30)]
        assert codes[-1] == 429
    with serve(canned) as url:
        answer = httpx.get(f"{url}/api/v1/incidents/01-disk/lines", params={"text": TEXT})
        assert answer.status_code == 503
        assert "loki.url" in answer.json()["detail"]


names = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(names, names), max_size=30), st.randoms())
@example([("a", "b"), ("b", "a")], None)
@example([("a", "a")], None)
def test_every_service_has_a_place_of_its_own(pairs: list[tuple[str, str]], chance: Any) -> None:
    places = placed(pairs)
    assert places.keys() == {name for pair in pairs for name in pair}
    assert len(set(places.values())) == len(places)
    columns = [column for column, _ in places.values()]
    assert set(columns) == set(range(max(columns, default=-1) + 1))
    for column in set(columns):
        rows = sorted(row for at, row in places.values() if at == column)
        assert rows == list(range(len(rows)))
    if chance is not None:
        chance.shuffle(pairs)
        assert placed(pairs) == places


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_callers_stand_to_the_left_where_nobody_calls_back(numbers: list[tuple[int, int]]) -> None:
    pairs = [(str(min(pair)), str(max(pair))) for pair in numbers if pair[0] != pair[1]]
    places = placed(pairs)
    assert all(places[a][0] < places[b][0] for a, b in pairs)


def test_a_long_chain_is_no_recursion() -> None:
    places = placed([(f"{i:05}", f"{i + 1:05}") for i in range(5000)])
    assert places["05000"] == (5000, 0)


def hint(number: int, service: str, operation: str = "", reason: str = "slow") -> Hint:
    return Hint(f"{number:032x}", reason, f"{service} {operation}", service, operation, number * SECOND, 7.0)


def test_what_is_worth_keeping_of_traces(canned: Any, serve: Serve) -> None:
    hints = (hint(9, "till", "POST /pay", "failed"), hint(8, "cart"), hint(7, "till", "POST /pay"))
    with serve(canned) as url:
        nothing = httpx.get(f"{url}/api/v1/traces/keep/policy").json()
        assert nothing["string_attribute"]["values"] == ["edgeobs: nothing is surprising now"]
        canned.publish(hints=hints)
        told = httpx.get(f"{url}/api/v1/traces/keep").json()
        few = httpx.get(f"{url}/api/v1/traces/keep?limit=1").json()
        policy = httpx.get(f"{url}/api/v1/traces/keep/policy").json()
    assert [(each["trace"][-1], each["reason"], each["seen_s"]) for each in told["traces"]] == [
        ("9", "failed", 9.0),
        ("8", "slow", 8.0),
        ("7", "slow", 7.0),
    ]
    till, cart = told["operations"]
    assert (till["service"], till["operation"], till["traces"], till["seen_s"]) == (
        "till",
        "POST /pay",
        2,
        9.0,
    )
    assert (till["reasons"], cart["operation"]) == (["failed", "slow"], "")
    assert [len(few["traces"]), len(few["operations"])] == [1, 1]
    assert policy == {
        "name": "edgeobs",
        "type": "string_attribute",
        "string_attribute": {"key": "service.name", "values": ["cart", "till"]},
    }


def test_the_policy_names_a_bounded_number_of_services() -> None:
    found = policy([hint(9, f"s{n:04}") for n in range(500)]).string_attribute.values
    assert found == tuple(f"s{n:04}" for n in range(100))


def test_the_policy_holds_nothing_that_a_collector_would_fetch() -> None:
    named = policy([hint(9, "a${http://elsewhere/}"), hint(9, "a\x7fb"), hint(9, "\ufffe"), hint(8, "till")])
    assert named.string_attribute.values == ("till",)
