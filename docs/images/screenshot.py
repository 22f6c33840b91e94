"""Remake ``page.png``, the README's picture, from a fresh service: ``python docs/images/screenshot.py [URL]``."""  # noqa: INP001

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PHOTOS = HERE.parent.parent / "tests" / "pictures"
ANIMATION_MS = 800  # the bars grow for half a second


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 960})
        for photo in (
            "coffee.jpg",
            "chelsea.jpg",
        ):  # the first warms the service up, so that the time shown is a usual one
            page.goto(url)
            page.evaluate("sessionStorage.clear()")
            page.reload()
            page.get_by_label("Choose a picture").set_input_files(PHOTOS / photo)
            page.locator("#results .card[data-state=done]").wait_for()
        page.wait_for_timeout(ANIMATION_MS)
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=HERE / "page.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
