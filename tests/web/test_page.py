"""The page in a real browser."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from edgeobs.signals import Action, Check, Decision, Evidence, Incident, Point, Resource
from edgeobs.web import Node, Published, Zone
from tests.web.browsing import NEEDS_CHROMIUM

pytestmark = [
    pytest.mark.real,
    NEEDS_CHROMIUM,
]


class Canned(Protocol):
    now: Published

    def publish(self, **changes: object) -> None: ...


Serve = Callable[..., AbstractContextManager[str]]
Open = Callable[..., Page]


@pytest.fixture
def address(canned: Canned, serve: Serve) -> Iterator[str]:
    with serve(canned) as url:
        yield url


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Open]:
    """Open the page; at the end of the test nothing may have failed or gone anywhere but to this machine."""
    wrong: list[str] = []
    contexts = []

    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(f"console: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith(address):
            wrong.append(f"foreign request: {request.url}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # leaving or reloading the page ends what is under way
            wrong.append(f"failed: {request.url} {request.failure}")

    def go(path: str = "", width: int = 1440, height: int = 900, **context: Any) -> Page:
        own = browser.new_context(viewport={"width": width, "height": height}, **context)
        contexts.append(own)
        own.set_default_timeout(10_000)
        page = own.new_page()
        page.on("console", said)
        page.on("pageerror", lambda error: wrong.append(f"page: {error}"))
        page.on("request", asked)
        page.on("requestfailed", failed)
        page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(f"{address}/{path}")
        page.locator("#link[data-link=live]").wait_for()
        return page

    yield go
    for own in contexts:
        own.close()
    assert wrong == []


def test_it_shows_fleet_incidents_and_decisions(visit: Open) -> None:
    page = visit()
    expect(page.locator(".zone")).to_have_count(4)
    expect(page.locator(".cell")).to_have_count(31)
    expect(page.get_by_role("link", name="edge-27, abnormal")).to_be_visible()
    expect(page.locator(".zone").nth(1)).to_contain_text("held: cordon 10 nodes: all of zone b is silent")
    expect(page.locator(".zone").nth(0)).to_contain_text("simulated")
    expect(page.locator(".zone").nth(3)).not_to_contain_text("simulated")
    expect(page.locator("#active > li")).to_have_count(3)
    expect(page.locator("#decisions > li").first).to_contain_text("held")
    expect(page.locator("#decisions")).to_contain_text("would cordon")
    expect(page.locator("#decisions")).to_contain_text("denied")
    expect(page).to_have_title("(3) edgeobs")
    plot = page.locator("#active .plot").first
    assert plot.locator(".band").count() >= 1
    assert plot.locator(".value").count() >= 1
    assert plot.locator(".bar.high").count() > 10
    assert plot.locator(".axis").count() >= 5


def test_changes_appear_without_a_reload(visit: Open, canned: Canned) -> None:
    page = visit()
    expect(page.locator("#active > li")).to_have_count(3)
    page.evaluate("window.marked = true")
    focused = page.locator("#active .incident-open").nth(1)
    focused.focus()
    old = canned.now.incidents[2]
    fresh = replace(old, id="09-new", title="edge-03: something new", opened_ns=canned.now.now_ns)
    canned.publish(incidents=(fresh, *canned.now.incidents))
    expect(page.locator("#active > li").first).to_contain_text("edge-03: something new")
    expect(page.locator("#announce")).to_have_text("New incident: edge-03: something new")
    expect(
        focused.or_(page.locator("#active .incident-open").nth(2)).and_(page.locator(":focus"))
    ).to_have_count(1)
    resolved = replace(fresh, state="resolved", resolved_ns=canned.now.now_ns)
    canned.publish(incidents=(resolved, *canned.now.incidents[1:]))
    expect(page.locator("#active > li")).to_have_count(3)
    expect(page.locator("#resolved-count")).to_have_text("Resolved (2)")
    canned.publish(fleet=canned.now.fleet[:1])
    expect(page.locator(".cell")).to_have_count(10)
    assert page.evaluate("window.marked") is True


def test_expanded_evidence_is_drawn_anew(visit: Open, canned: Canned) -> None:
    page = visit("#incident/01-disk")
    card = page.locator("#active > li", has_text="edge-27")
    expect(card.locator(".evidence-item")).to_have_count(3)
    disk = canned.now.incidents[2]
    more = replace(disk, evidence=disk.evidence[:1])  # plots change without news of the incident
    canned.publish(incidents=(*canned.now.incidents[:2], more, *canned.now.incidents[3:]))
    expect(card.locator(".evidence-item")).to_have_count(1)


def test_deep_links(visit: Open) -> None:
    page = visit("#incident/00-net")
    expect(page.locator("#resolved .incident-open")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#resolved .incident-open")).to_be_focused()
    page.evaluate("location.hash = '#node/west/c/edge-27'")
    sheet = page.get_by_role("dialog", name="edge-27")
    expect(sheet).to_contain_text("alive: it speaks as often as ever")
    sheet.get_by_role("link", name=re.compile("disk latency")).click()
    expect(sheet).to_be_hidden()
    expect(page.locator("#active .incident-open", has_text="edge-27")).to_be_focused()
    page.evaluate("location.hash = '#node/no/such/node'")
    expect(page.locator("#announce")).to_have_text("This node is not known, or no longer.")


def test_the_keyboard_reaches_an_incident_and_its_plot(visit: Open) -> None:
    page = visit()
    page.locator("#active .plot-svg").first.wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to incidents")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#incidents-title")).to_be_focused()
    page.keyboard.press("Tab")
    first = page.locator("#active .incident-open").first
    expect(first).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for expanded in ("false", "true"):
        page.keyboard.press("Enter")
        expect(first).to_have_attribute("aria-expanded", expanded)
    page.locator("#active .plot-canvas").first.focus()
    page.keyboard.press("Home")
    plot = page.locator("#active .plot-canvas").first
    expect(plot).to_have_attribute("aria-valuenow", "0")
    expect(plot).to_have_attribute("aria-valuetext", re.compile("nothing expected yet, score"))
    page.keyboard.press("End")
    expect(page.locator(".readout").first).to_contain_text("expected")


def test_arrows_walk_a_zone_and_enter_opens_a_node(visit: Open) -> None:
    page = visit()
    page.locator(".cell").first.focus()
    for key, name in (
        ("ArrowRight", "edge-01"),
        ("End", "edge-09"),
        ("Home", "edge-00"),
        ("ArrowDown", None),
    ):
        page.keyboard.press(key)
        if name:
            expect(page.locator(".cell:focus")).to_have_text(name)
    expect(page.locator(".zone").first.locator('.cell[tabindex="0"]')).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    assert page.evaluate("location.hash") == ""


def test_the_checks_behind_a_decision_can_be_read(visit: Open) -> None:
    page = visit()
    card = page.locator("#decisions > li").first
    card.locator(".checks summary").click()
    expect(card.locator("tbody tr")).to_have_count(8)
    expect(card.locator("tr.v-held")).to_contain_text("zone-hold: held")


@pytest.mark.parametrize("width", [360, 412, 860, 1024, 1320])
def test_nothing_sticks_out_sideways(visit: Open, width: int) -> None:
    page = visit("#incident/03-burn", width=width, height=780)
    page.locator("#active .plot-svg").first.wait_for()
    over = page.evaluate(
        """() => [...document.querySelectorAll("body *:not(.unseen, .unseen *)")]
        .filter((e) => e.checkVisibility())
        .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert over == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


CONTRAST = """() => {
  const parse = (text) => {
    const [, kind, rest] = /^(rgba?|color)\\((.*)\\)$/.exec(text);
    const parts = rest.replace("srgb", "").split(/[ ,/]+/).filter(Boolean).map(Number);
    const scale = kind === "color" ? 1 : 255;
    return [...parts.slice(0, 3).map((x) => x / scale), parts[3] ?? 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const background = (element) => {
    const own = parse(getComputedStyle(element).backgroundColor);
    if (own[3] >= 1 || !element.parentElement) return own[3] ? own : [1, 1, 1, 1];
    return over(own, background(element.parentElement));
  };
  const light = (c) => c.slice(0, 3).map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const svg = element.closest("svg");
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.closest(".unseen, desc")) continue;
    const under = background(svg ? svg.parentElement : element);
    const style = getComputedStyle(element);
    const ink = over(parse(svg ? style.fill : style.color), under);
    const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${text} ${element.className}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(visit: Open, canned: Canned, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1, for every text shown."""
    canned.publish(
        status=replace(
            canned.now.status,
            paused="paused by ada",
            warm="learning: 24 of 60 s",
            notices=("the disk is full",),
        )
    )
    page = visit(color_scheme=scheme, reduced_motion="reduce")
    page.locator("#active .plot-svg").first.wait_for()
    page.locator("#resolved-box summary").click()
    page.locator("#decisions summary").first.click()
    expect(page.locator(".notice")).to_have_count(3)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", ground)[0]) > 128) == (scheme == "light")
    assert page.evaluate(CONTRAST) == []


def test_a_chosen_theme_is_remembered(visit: Open) -> None:
    page = visit(color_scheme="light")
    button = page.get_by_role("button", name=re.compile("theme"))
    for name in ("light", "dark"):
        button.click()
        expect(button).to_have_text(f"theme: {name}")
    page.reload()
    page.locator("#link[data-link=live]").wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(button).to_have_text("theme: dark")


NAMELESS = """() => [...document.querySelectorAll("a[href], button, summary, [role=slider], dialog, section")]
  .filter((e) => e.checkVisibility())
  .filter((e) => {
    const by = document.getElementById(e.getAttribute("aria-labelledby"))?.textContent;
    return !(e.getAttribute("aria-label") || by || e.textContent).trim();
  }).map((e) => e.outerHTML.slice(0, 120))"""


def test_everything_has_a_name_and_ids_are_unique(visit: Open) -> None:
    page = visit("#node/west/c/edge-27")
    page.locator("#active .plot-svg").first.wait_for()
    assert page.evaluate(NAMELESS) == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Escape")
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    shown = "[...document.querySelectorAll('h1,h2,h3')].filter((e) => e.checkVisibility())"
    levels = page.evaluate(f"{shown}.map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_an_empty_page_teaches(visit: Open, canned: Canned, nothing: Published) -> None:
    canned.now = nothing
    page = visit()
    expect(page.locator("#fleet-empty")).to_contain_text("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318")
    expect(page.locator("#fleet-empty")).to_contain_text("127.0.0.1:4317")
    expect(page.locator("#incidents-empty")).to_contain_text("nothing has been sent yet")
    expect(page.locator("#decisions-empty")).to_contain_text("No decisions yet")


def test_a_lost_connection_is_said_and_found_again(browser: Browser, canned: Canned, serve: Serve) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serve(canned) as url:
        port = int(url.rpartition(":")[2])
        page.goto(url)
        expect(page.locator("#link-text")).to_have_text("live")
    expect(page.locator("#link-text")).to_have_text(re.compile(r"disconnected · as of \d\d:\d\d:\d\d"))
    expect(page.locator("body")).to_have_class(re.compile("stale"))
    canned.publish(fleet=canned.now.fleet[:1])
    with serve(canned, port=port):
        expect(page.locator("#link-text")).to_have_text("live", timeout=15_000)
        expect(page.locator(".cell")).to_have_count(10)
        context.close()


def test_a_thousand_nodes(visit: Open, canned: Canned, large: Published) -> None:
    canned.now = large
    page = visit()
    expect(page.locator(".cell")).to_have_count(1000)
    page.evaluate(
        """() => {
        window.touched = 0;
        const watch = new MutationObserver((all) => { window.touched += all.length; });
        watch.observe(document.getElementById("zones"), { subtree: true, childList: true, attributes: true });
        }"""
    )
    zones = list(large.fleet)
    nodes = list(zones[0].nodes)
    nodes[50] = nodes[50]._replace(state="silent", heart="silent")
    zones[0] = replace(zones[0], nodes=tuple(nodes))
    canned.publish(fleet=tuple(zones))
    expect(page.locator(".cell.is-silent")).to_have_count(334)
    assert page.evaluate("window.touched") < 40  # one cell and its zone's line, not the fleet


# --- hostile text

HOSTILE = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    '"><svg onload=window.owned=1>',
    "javascript:window.owned=1",
    "</title><script>window.owned=1</script>",
    "{{7*7}}${7*7}",
    "__proto__",
    "\u202eevil\u2066",
    "a/../b?c#d%00",
    "\x00\r\n\t",
    "x" * 300,
]
hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text("<>&\"'`/=#%", max_size=20))


def settled(page: Page, condition: str) -> None:
    """Assert what must come to hold: a frame in between, as a dialog closes, shows nobody anything."""
    deadline = time.monotonic() + 5
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition


def hostile_site(words: list[str], at_ns: int) -> dict[str, object]:
    """Every text that a sender or an operator has a hand in, hostile; ids are our own."""
    a, b, c, d, e, f = words
    where = Resource(a, b, c)
    point = Point(10**18, 1.0, 0.0, 2.0, 3.0)
    points = (point, point._replace(time_ns=10**18 + 10**9))
    evidence = Evidence(
        "series", f"{d} {e}", d, ((e, f),), f, 10**18, 10**18, 5.0, 1.0, 9.0, 1.0, 0.5, 2.0, points
    )
    evidence = replace(evidence, why=a, parts=((f, 0.6), (e, 0.4)))
    incident = Incident(f"i-{a.encode().hex()}", "node", where, "open", 10**18, at_ns, 0, 5.0, f, (evidence,))
    action = Action("cordon", where, ((e, f),), d, e, incident.id)
    decision = Decision(f"d-{b}", action, "held", c, f, (Check(a, "held", b),), True, 10**18)
    node = Node(where, "abnormal", "alive", 5.0, True, 1, 10**18, (incident.id,))
    return {"fleet": (Zone(b, a, "abnormal", (node,)),), "incidents": (incident,), "decisions": (decision,)}


def test_hostile_text_is_only_ever_text(visit: Open, canned: Canned) -> None:
    page = visit()
    tags = "[...new Set([...document.querySelectorAll('*')].map((e) => e.localName))].sort().join(' ')"
    page.locator("#active .plot-svg").first.wait_for()
    page.locator("#decisions .checks summary").first.click()
    page.evaluate("location.hash = '#node/west/c/edge-27'")
    expect(page.locator("dialog")).to_be_visible()
    ours = set(page.evaluate(tags).split())

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(hostile, min_size=6, max_size=6))
    @example([""] * 6)
    def attack(words: list[str]) -> None:
        canned.publish(**hostile_site(words, time.time_ns()))
        mark = f"v{canned.now.version}"
        canned.publish(status=replace(canned.now.status, warm=mark))
        expect(page.locator("#notices")).to_have_text(mark)
        card = page.locator("#active > li")
        expect(card).to_have_count(1)
        expect(card.locator(".incident-title")).to_have_js_property("textContent", words[5])
        if card.locator(".incident-open").get_attribute("aria-expanded") == "false":
            card.locator(".incident-open").click()
        expect(card.locator(".evidence-name code")).to_have_js_property("textContent", words[3])
        assert set(page.evaluate(tags).split()) <= ours
        assert page.evaluate("window.owned") is None
        expect(card.locator(".parts code").first).to_have_js_property("textContent", words[5])
        links = page.evaluate("[...document.querySelectorAll('a')].map((e) => e.getAttribute('href'))")
        assert all(re.match(r"#|api/|openapi\.json$|metrics$|readyz$", link) for link in links)
        page.locator(".cell").first.evaluate("(e) => e.click()")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        settled(page, "document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    page.keyboard.press("Escape")
    attack()
