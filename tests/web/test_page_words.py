"""The page where people may speak: an action's story, approve, veto, pause; in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, HttpCredentials, Page, expect

from edgeobs.signals import Action, Check, Decision, Resource
from edgeobs.web import Explained, Published, Refused, Settings, Step
from tests.web.browsing import NEEDS_CHROMIUM
from tests.web.test_page import CONTRAST, NAMELESS

pytestmark = [
    pytest.mark.real,
    NEEDS_CHROMIUM,
]
Serve = Callable[..., AbstractContextManager[str]]
Open = Callable[..., Page]
TOKEN = "0123456789abcdef-secret"


class Fake:
    """A desk that remembers what was said, and may refuse."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.refuses: Refused | None = None
        self.note = ""

    def say(self, *said: str) -> str:
        if self.refuses:
            raise self.refuses
        self.heard.append(said)
        return self.note

    def steps(self, operation: str) -> list[Step]:
        if operation != "d-3":
            raise Refused(404, "no such operation")
        call = Step(2 * 10**9, "call", "patch node/edge-27: cordon <b>edge-27</b>")
        return [Step(10**9, "intent", "decided: cordon"), call, Step(3 * 10**9, "answer", "200")]

    def explain(self, node: str, cluster: str | None) -> Explained:
        if cluster != "west":
            raise Refused(404, f"{cluster} {node}")
        act = Action("drain", Resource(cluster, "c", node), (), "errors", "disk_failing", "01-disk")
        checks = (Check("paused", "allowed", "not paused"), Check("approved", "held", "waits for a person"))
        drain = Decision("d", act, "held", "approved", "waits for a person", checks, False, 1)
        fine = replace(drain, action=replace(act, verb="cordon"), verdict="allowed", checks=checks[:1])
        return Explained((), (drain,), (fine,))


@pytest.fixture
def desk() -> Fake:
    return Fake()


@pytest.fixture
def visit(
    browser: Browser, canned: Any, spoken: Published, desk: Fake, serve: Serve, tmp_path: Path
) -> Iterator[Open]:
    """Open the page with its token; nothing may go wrong but what a test says is refused."""
    canned.now = spoken
    file = tmp_path / "token"
    file.write_text(TOKEN)
    wrong: list[str] = []
    contexts = []
    settings = Settings(token_file=file, stream_interval_s=0.05, heartbeat_s=0.3)
    with serve(canned, settings, desk=desk) as url:

        def go(path: str = "", width: int = 1440, height: int = 900, **context: Any) -> Page:
            known = HttpCredentials(username="ada", password=TOKEN)
            own = browser.new_context(
                viewport={"width": width, "height": height}, http_credentials=known, **context
            )
            contexts.append(own)
            own.set_default_timeout(10_000)
            page = own.new_page()
            page.on("console", lambda m: wrong.append(m.text) if m.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: wrong.append(f"page: {error}"))
            page.on("request", lambda r: None if r.url.startswith(url) else wrong.append(r.url))
            page.goto(f"{url}/{path}")
            page.locator("#link[data-link=live]").wait_for()
            return page

        yield go
        for own in contexts:
            own.close()
    refused = [text for text in wrong if "409" in text]
    assert wrong == (refused if desk.refuses else [])


def card(page: Page, name: str) -> Any:
    return page.locator("#active > li", has_text=name)


def test_an_action_s_whole_story(visit: Open, canned: Any) -> None:
    page = visit()
    done = page.locator("#decisions > li", has_text="edge-27").filter(has=page.locator(".operation"))
    expect(done.locator(".operation-head")).to_contain_text("verifying")
    expect(done.locator(".operation-head")).to_contain_text("cordoned")
    done.locator(".steps summary").click()
    steps = done.locator(".steps-list > li")
    expect(steps).to_have_count(3)
    expect(steps.nth(1)).to_contain_text("patch node/edge-27: cordon <b>edge-27</b>")
    done.locator(".checks summary").click()
    expect(done.locator("tbody tr")).to_have_count(8)
    expect(done.get_by_role("link", name="the incident behind it")).to_be_visible()
    (operation,) = canned.now.operations
    ended = operation._replace(
        state="done",
        reason="helped: what was abnormal is calm",
        helped=True,
        updated_ns=operation.updated_ns + 10**9,
    )
    canned.publish(operations=(ended,))
    expect(done.locator(".operation-head")).to_contain_text("helped: what was abnormal is calm")
    expect(done.locator(".steps summary")).to_have_text("Steps, it helped")
    expect(done.locator(".steps")).to_have_attribute("open", "")
    expect(card(page, "edge-27").locator(".incident-verdicts")).to_contain_text("done")


def test_what_waits_is_approved_with_a_reason(visit: Open, desk: Fake) -> None:
    page = visit()
    mine = card(page, "edge-27")
    expect(mine.locator(".incident-verdicts")).to_contain_text("drain approved by ada")
    mine.get_by_role("button", name="approve drain…").click()
    dialog = page.get_by_role("dialog", name="Approve drain")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    expect(dialog.get_by_role("button", name="Approve drain")).to_be_disabled()
    page.keyboard.type("  the board is on its way ")
    dialog.get_by_role("button", name="Approve drain").click()
    expect(dialog).to_be_hidden()
    assert desk.heard == [("approve", "ada", "the board is on its way", "01-disk", "drain")]


def test_a_veto_and_what_takes_it_back(visit: Open, desk: Fake) -> None:
    page = visit()
    mine = card(page, "workbench")
    expect(mine.locator(".incident-verdicts")).to_contain_text("vetoed by bob")
    mine.get_by_role("button", name="take the veto back…").click()
    page.keyboard.type("done")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#word")).to_be_hidden()
    card(page, "zone b").get_by_role("button", name="veto…").click()
    page.keyboard.type("we are on site")
    page.get_by_role("dialog").get_by_role("button", name="Veto").click()
    expect(page.locator("#word")).to_be_hidden()
    assert desk.heard == [
        ("approve", "ada", "done", "03-burn", ""), ("veto", "ada", "we are on site", "02-dark", ""),
    ]  # fmt: skip


def test_pause_and_resume(visit: Open, desk: Fake, canned: Any) -> None:
    page = visit()
    page.get_by_role("button", name="pause…").click()
    page.keyboard.type("we change the switch")
    page.get_by_role("dialog").get_by_role("button", name="Pause everything").click()
    expect(page.locator("#word")).to_be_hidden()
    canned.publish(status=replace(canned.now.status, paused="paused by ada: we change the switch"))
    expect(page.locator(".notice-held")).to_contain_text("we change the switch")
    page.get_by_role("button", name="resume…").click()
    desk.note = "still held: paused in the ConfigMap"
    page.keyboard.type("done")
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.locator(".word-answer")).to_have_text("Done, but: still held: paused in the ConfigMap")
    page.get_by_role("button", name="close").click()
    expect(page.locator("#word")).to_be_hidden()
    assert [said[0] for said in desk.heard] == ["pause", "resume"]


def test_a_refusal_is_said_and_nothing_is_lost(visit: Open, desk: Fake) -> None:
    desk.refuses = Refused(409, "we do not lead: edge-b leads; approve it there")
    page = visit()
    card(page, "edge-27").get_by_role("button", name="approve drain…").click()
    page.keyboard.type("yes")
    page.get_by_role("dialog").get_by_role("button", name="Approve drain").click()
    expect(page.locator(".word-answer")).to_have_text("we do not lead: edge-b leads; approve it there")
    expect(page.get_by_label("Why?")).to_have_value("yes")
    page.keyboard.press("Escape")
    expect(page.locator("#word")).to_be_hidden()


def test_a_node_says_what_would_be_done_about_it(visit: Open, canned: Any) -> None:
    page = visit("#node/west/c/edge-27")
    sheet = page.get_by_role("dialog", name="edge-27")
    expect(sheet).to_contain_text("verifying")
    sheet.get_by_text("What would be done about it now").click()
    rows = sheet.locator(".checks tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("approved: waits for a person")
    expect(rows.nth(1)).to_contain_text("every rule allows it")
    (operation,) = canned.now.operations
    canned.publish(operations=(operation._replace(state="done", reason="helped"),))
    expect(sheet).to_contain_text("helped")
    expect(rows).to_have_count(2)
    assert page.evaluate(CONTRAST) == []


def test_where_nobody_may_speak_the_page_says_how(
    browser: Browser, canned: Any, spoken: Published, serve: Serve
) -> None:
    canned.now = spoken
    context = browser.new_context()
    with serve(canned) as url:
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#how")).to_contain_text("set web.token_file")
        expect(page.locator(".operation")).to_have_count(1)
        expect(page.locator("#pause")).to_be_hidden()
        expect(page.locator(".word-button")).to_have_count(0)
        context.close()


@pytest.mark.parametrize("width", [360, 412, 860, 1320])
def test_nothing_sticks_out_and_fingers_find_the_buttons(visit: Open, width: int) -> None:
    page = visit(width=width, height=780)
    page.locator(".steps summary").first.click()
    expect(page.locator(".steps-list > li")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for button in page.locator(".word-button").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= (40 if width < 860 else 30)
    card(page, "edge-27").get_by_role("button", name="approve drain…").click()
    box = page.locator("#word").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_and_everything_has_a_name(visit: Open, canned: Any, scheme: str) -> None:
    canned.publish(status=replace(canned.now.status, paused="paused by ada"))
    page = visit(color_scheme=scheme, reduced_motion="reduce")
    page.locator(".steps summary").first.click()
    expect(page.locator(".steps-list > li")).to_have_count(3)
    (operation,) = canned.now.operations
    for states in (("intended", "working", "done"), ("failed", "cancelled", "undone")):
        more = [operation._replace(id=f"o-{state}", state=state) for state in states]
        canned.publish(operations=(operation, *more))
        shown = card(page, "edge-27").locator(f".incident-verdicts .o-{states[-1]}")
        expect(shown).to_be_visible()
        assert page.evaluate(CONTRAST) == []
    card(page, "edge-27").get_by_role("button", name="approve drain…").click()
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
