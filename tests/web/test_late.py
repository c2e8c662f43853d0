"""Incidents raised while a node was cut off, in the API and on the page in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from edgeobs.told import Late
from edgeobs.web import Refused
from tests.web.browsing import NEEDS_CHROMIUM, opened
from tests.web.test_page import CONTRAST, NAMELESS

Serve = Callable[..., AbstractContextManager[str]]
real = pytest.mark.real
LIST = "api/v1/late-incidents"


def test_they_are_listed_by_delivery_in_pages_and_by_node_and_end(
    canned: Any, record: Any, serve: Serve
) -> None:
    with serve(canned, told=record) as url:

        def ask(**asked: object) -> Any:
            return httpx.get(f"{url}/{LIST}", params=asked).json()  # type: ignore[arg-type]  # httpx checks it

        first = ask(limit=2)
        assert (first["total"], first["nodes"]) == (24, {"edge-27": 23, "edge-04": 1})
        assert [(each["agent"], each["id"]) for each in first["incidents"]] == [
            ("edge-27", "l-00"),
            ("edge-04", "l-00"),
        ]
        assert [each["id"] for each in ask(limit=2, offset=22)["incidents"]] == ["l-21", "l-22"]
        (unknown,) = ask(ended="unknown")["incidents"]
        assert (unknown["agent"], unknown["last_state"], unknown["resolved_s"]) == (
            "edge-04",
            "ongoing",
            None,
        )
        assert unknown["delivered_s"] > unknown["raised_s"]
        assert ask(node="edge-04", ended="resolved")["total"] == 0
        assert httpx.get(f"{url}/{LIST}?limit=1001").status_code == 422
        assert {each["id"] for each in httpx.get(f"{url}/api/v1/incidents").json()}.isdisjoint({"l-00"})


def test_one_has_its_evidence_and_what_summaries_say(canned: Any, record: Any, serve: Serve) -> None:
    with serve(canned, told=record) as url:
        one = httpx.get(f"{url}/{LIST}/l-00", params={"node": "edge-27"}).json()
        assert [each["source"] for each in one["evidence"]] == ["series", "sign", "series", "series"]
        assert one["evidence"][0]["points"][-1]["score"] is None
        known, other = one["summaries"]
        assert (known["largest"], known["score"], known["samples"], known["named"]) == (0.97, 9.9, 300, True)
        assert (other["text"], other["named"]) == ("node_load1", False)
        assert httpx.get(f"{url}/{LIST}/l-00", params={"node": "edge-1"}).status_code == 404
        assert httpx.get(f"{url}/{LIST}/l-00").status_code == 422


def test_one_that_an_agent_filled_with_nonsense_hides_no_other(
    canned: Any, record: Any, serve: Serve
) -> None:
    one = record.all[0].incident
    wrong = [replace(one, id="l-99", title=[17], score="high"), replace(one, id="l-98", score=10**400)]
    wrong.append(replace(one, id="l-97", title="\ud800"))
    record.all[:0] = [Late("edge-27", each, 1) for each in wrong]
    with serve(canned, told=record) as url:
        found = httpx.get(f"{url}/{LIST}").json()["incidents"]
        assert len(found) == 24
        for each in wrong:
            asked = httpx.get(f"{url}/{LIST}/{each.id}", params={"node": "edge-27"})
            assert asked.status_code == 404


def test_who_cannot_read_says_why_and_who_has_none_has_none(
    canned: Any, record: Any, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(canned) as url:
        assert httpx.get(f"{url}/{LIST}").json() == {"total": 0, "nodes": {}, "incidents": []}
        assert httpx.get(f"{url}/{LIST}/x", params={"node": "y"}).status_code == 404

    def fails(*_: object) -> None:
        raise Refused(503, "uplink.sqlite: the disk does not answer")

    monkeypatch.setattr(record, "late", fails)
    with serve(canned, told=record) as url:
        answer = httpx.get(f"{url}/{LIST}")
        assert (answer.status_code, answer.json()["detail"][-4:]) == (503, "swer")


@pytest.fixture
def page(browser: Browser, canned: Any, record: Any, serve: Serve) -> Iterator[Page]:
    """The page of a site with such incidents; at the end nothing may have been said in the console."""
    with serve(canned, told=record) as url, opened(browser, url, 900, "#late-box") as page:
        yield page


@real
@NEEDS_CHROMIUM
def test_the_page_shows_them_as_a_record_of_their_own(page: Page) -> None:
    cards = page.locator("#late > li")
    expect(cards).to_have_count(5)
    expect(page.locator("#late-count")).to_have_text("24 incidents")
    expect(cards.nth(0)).to_contain_text("raised by the agent on edge-27 at")
    expect(cards.nth(0)).to_contain_text("while cut off, delivered at")
    expect(cards.nth(0)).to_contain_text("nothing acted on it")
    expect(cards.nth(1)).to_contain_text("whether it still holds is not known here")
    expect(cards.nth(1)).to_contain_text("edge-04: <b>its link</b> loses packets")
    expect(page.locator("#active > li")).to_have_count(3)  # none of them is open
    expect(page).to_have_title("(3) edgeobs")
    page.locator("#late-more").click()
    expect(cards).to_have_count(24)
    expect(page.locator("#late-more")).to_be_hidden()


@real
@NEEDS_CHROMIUM
def test_they_are_filtered_by_node_and_by_end(page: Page) -> None:
    cards = page.locator("#late > li")
    page.get_by_label("agent of").select_option("edge-04")
    expect(cards).to_have_count(1)
    expect(page.locator("#late-count")).to_have_text("1 of 24 incidents")
    page.get_by_label("its end").select_option("resolved")
    expect(cards).to_have_count(0)
    expect(page.locator("#late-none")).to_be_visible()
    page.get_by_label("agent of").select_option("")
    expect(cards).to_have_count(5)


@real
@NEEDS_CHROMIUM
def test_one_opens_with_evidence_plots_and_summaries_from_the_keyboard(page: Page) -> None:
    card = page.locator("#late > li").first
    card.locator(".incident-open").focus()
    page.keyboard.press("Enter")
    expect(card.locator(".evidence-item").first).to_contain_text("node_disk_io_time_seconds_total:rate")
    plot = card.locator(".plot-canvas").first
    plot.focus()
    page.keyboard.press("End")
    expect(card.locator(".readout").first).to_contain_text("told raw: no range, no score")
    expect(card.locator(".evidence-item").nth(1)).to_contain_text('LogQL {a="b"}')
    expect(card.locator(".late-sums li").first).to_contain_text("largest 0.97")
    expect(card.locator(".late-sums li").nth(1)).to_contain_text("no evidence of it")
    card.locator(".incident-open").click()
    expect(card.locator(".incident-body")).to_be_hidden()


@real
@NEEDS_CHROMIUM
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1440])
def test_they_can_be_read_by_everybody(page: Page, scheme: Any, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    card = page.locator("#late > li").first
    card.locator(".incident-open").click()
    expect(card.locator(".plot-svg").first).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
