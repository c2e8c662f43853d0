"""A real browser for tests of the page, and a page on which nothing may go wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium") or ""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM, reason="chromium is missing: apt-get install chromium")


@contextmanager
def opened(browser: Browser, url: str, height: int, ready: str) -> Iterator[Page]:
    """A page, once it has what the selector ``ready`` names; in the end its console must be clean."""
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            wrong.append(message.text)

    context = browser.new_context(viewport={"width": 1440, "height": height})
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", heard)
    page.goto(url)
    page.locator(ready).wait_for()
    yield page
    context.close()
    assert wrong == []
