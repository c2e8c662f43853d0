"""Logs and spans on the page, in a real browser."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from edgeobs.signals import SECOND
from edgeobs.web import Line, Published
from tests.web.browsing import NEEDS_CHROMIUM, opened
from tests.web.test_page import CONTRAST, NAMELESS

pytestmark = [
    pytest.mark.real,
    NEEDS_CHROMIUM,
]
Serve = Callable[..., AbstractContextManager[str]]


class Kept:
    """An archive with two lines."""

    def lines(self, query: str, start_ns: int, end_ns: int) -> Sequence[Line]:
        assert end_ns > start_ns
        return [
            Line(2 * SECOND, f"write to <b>sda</b> failed ({query[:1]})"),
            Line(SECOND, "write to sdb failed"),
        ]


@pytest.fixture
def page(browser: Browser, canned: Any, seen: Published, serve: Serve) -> Iterator[Page]:
    """The page of a site with logs and spans; nothing may have gone wrong on it in the end."""
    canned.now = seen
    live = "#link[data-link=live]"
    with serve(canned, archive=Kept()) as url, opened(browser, url, 1400, live) as page:
        yield page


def test_the_service_graph_marks_what_is_surprising(page: Page) -> None:
    expect(page.locator("#services-box")).to_be_visible()
    expect(page.locator(".service")).to_have_count(7)
    expect(page.locator(".call")).to_have_count(8)
    expect(page.locator(".call.odd")).to_have_count(1)
    expect(page.locator(".service.odd .service-name")).to_have_text("payments")
    expect(page.locator("#services-count")).to_have_text("7 services, 8 edges, 1 abnormal")
    expect(page.locator("#services-odd")).to_contain_text("till → payments: ")
    expect(page.locator("#services-odd")).to_contain_text("31 % failed")
    drawn = page.locator(".service").all()
    boxes = {each.locator(".service-name").text_content(): each.bounding_box() for each in drawn}
    assert len({(box["x"], box["y"]) for box in boxes.values() if box}) == 7
    web, till = boxes["web"], boxes["till"]
    assert web is not None
    assert till is not None
    assert web["x"] < till["x"]


def test_a_site_without_spans_has_no_graph(page: Page, canned: Any) -> None:
    expect(page.locator("#services-box")).to_be_visible()
    canned.publish(calls=())
    expect(page.locator("#services-box")).to_be_hidden(timeout=15_000)  # the page asks every 5 s


def test_evidence_of_logs_and_spans(page: Page, canned: Any) -> None:
    page.locator("#active > li", has_text="edge-27").locator(".incident-open").click()
    card = page.locator("#active > li", has_text="edge-27")
    if card.locator(".incident-open").get_attribute("aria-expanded") == "false":
        card.locator(".incident-open").click()
    slow, new = card.locator(".evidence-item").nth(0), card.locator(".evidence-item").nth(1)
    expect(slow).to_contain_text("span duration")
    expect(slow).to_contain_text("shop/till-7c9f-x2: POST /pay")
    expect(slow).to_contain_text("4bf92f3577b34da6a3ce929d0e0e4736")
    expect(new).to_contain_text("log template never seen")
    expect(new).to_contain_text("template write to <*> failed: <*>")
    new.get_by_text("its lines").click()
    expect(new.locator("pre")).to_contain_text("write to <b>sda</b> failed ({)")
    expect(new).to_contain_text('{k8s_namespace_name="shop"} |~ "write to"')
    canned.publish(incidents=tuple(replace(each, score=each.score + 1) for each in canned.now.incidents))
    expect(card).to_contain_text("score 10.4")
    expect(new.locator("pre")).to_be_visible()  # what is open stays open


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("#services-box")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


def test_a_node_without_metrics_says_what_it_sends(page: Page, canned: Any) -> None:
    first, *zones = canned.now.fleet
    mute = first.nodes[0]._replace(sends=("logs", "spans"), series=0, heart="alive")
    canned.publish(fleet=(replace(first, nodes=(mute, *first.nodes[1:])), *zones))
    page.get_by_role("link", name="edge-00, ok, logs and spans alone").click()
    expect(page.locator("#node")).to_contain_text("logs, spans")
    expect(page.locator("#node")).to_contain_text("none: it sends no metrics")
    page.keyboard.press("Escape")


def test_a_narrow_page_does_not_scroll_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    expect(page.locator("#services-box")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
