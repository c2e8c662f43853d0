"""Take the README's screenshot anew: `make demo` in one terminal, this in another once zone b is dark.

python docs/images/retake.py [URL] [FILE]
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:9464/"
FILE = sys.argv[2] if len(sys.argv) > 2 else str(Path(__file__).with_name("page.png"))

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium",
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ],
    )
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
    page.goto(URL)
    disk = page.locator("#active > li", has_text="edge-17").first
    disk.wait_for(timeout=150_000)
    if disk.locator(".incident-open").get_attribute("aria-expanded") == "false":
        disk.locator(".incident-open").click()
    disk.locator(".plot-svg").first.wait_for()
    page.locator("#decisions li", has_text="held").first.wait_for(timeout=150_000)
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=FILE)
    browser.close()
