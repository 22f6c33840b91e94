"""The upload page's parts, as a test or a picture of it needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PICTURES = Path(__file__).parents[1] / "pictures"


def choose(page: Page, *files: Path) -> None:
    page.get_by_label("Choose").set_input_files(files)


def card(page: Page, state: str) -> Locator:
    return page.locator(f"#results .card[data-state={state}]")


def expect_cards(page: Page, state: str, count: int) -> None:
    expect(card(page, state)).to_have_count(count)


def open_report(page: Page) -> None:
    """Open the last result's report form and the list of its labels, narrowed to cats."""
    card(page, "done").last.get_by_text("Report it").click()
    page.get_by_label("What is it?").last.press_sequentially("cat")
    page.get_by_role("option", name="tiger cat").wait_for()
