"""Debian's Chromium, headless: for tests of the page, and for its pictures in the documentation."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

CANDIDATES = (os.environ.get("CHROMIUM"), "/usr/bin/chromium", "/usr/bin/chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # CI runs as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

WAIT_MS = 60_000  # generous: on a busy machine the workers may still be starting

expect.set_options(timeout=WAIT_MS)


class NoBrowser(Exception):
    """This machine has no browser that we know."""


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A running browser; ``arguments`` are added to those that it always has.

    Raises:
        NoBrowser: no browser is found.
    """
    found = next((path for name in CANDIDATES if name and (path := shutil.which(name))), None)
    if found is None:
        raise NoBrowser("no browser here: install Debian's chromium, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()
