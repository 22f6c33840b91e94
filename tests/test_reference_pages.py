"""/docs and /redoc in a real browser that can reach only the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import WAIT_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page, Route

pytestmark = pytest.mark.long

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture
def page(browser: Browser, service_url: str) -> Iterator[Page]:
    """A page of a browser that is cut off from every other host; it fails on any message in the console."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.set_default_timeout(WAIT_MS)
    outside: list[str] = []
    complaints: list[str] = []

    def hold_back(route: Route) -> None:
        if route.request.url.startswith((service_url, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    context.route("**/*", hold_back)
    page = context.new_page()
    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert outside == []
    assert complaints == []


def test_swagger_ui_shows_every_chapter_and_predict_can_be_tried_out(page, service_url):
    """A newcomer's first call, without leaving the browser."""
    page.goto(f"{service_url}/docs")
    expect(page.locator(".opblock-summary-path").first).to_have_text("/predict")
    predict = page.locator("#operations-Classification-predict_predict")
    predict.locator(".opblock-summary-control").click()
    predict.get_by_role("button", name="Try it out").click()
    predict.locator("input[type=file]").set_input_files(PICTURES / "chelsea.jpg")
    predict.get_by_role("button", name="Execute").click()
    answer = predict.locator(".live-responses-table")

    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer).to_contain_text("Egyptian_cat")
    for chapter in ("Classification", "Pages", "Feedback", "Operations"):
        expect(page.locator(f"#operations-tag-{chapter}")).to_be_visible()


def test_swagger_ui_fills_in_nothing_that_would_change_the_answer(page, service_url):
    """Who tries a route out as it stands gets what a plain request gets, and not, say, one label of ten."""
    page.goto(f"{service_url}/docs")
    for route in ("Classification-predict_predict", "Jobs-jobs_submit", "Administration-admin_feedback_show"):
        block = page.locator(f"#operations-{route}")
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        fields = block.locator(".parameters input:not([type=file]), .parameters select")
        expect(fields.first).to_be_visible()
        values = fields.evaluate_all("fields => fields.map(one => one.type === 'checkbox' ? one.checked : one.value)")

        assert {value for value in values if value} == set(), route


def test_swagger_ui_is_dark_where_the_visitors_system_is(page, service_url):
    page.emulate_media(color_scheme="dark")
    page.goto(f"{service_url}/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.locator("html")).to_have_css("background-color", "rgb(28, 32, 34)")
    page.emulate_media(color_scheme="light")

    expect(page.locator("html")).not_to_have_css("background-color", "rgb(28, 32, 34)")


def test_redoc_shows_every_route_and_finds_words(page, service_url):
    """The same to read and to search; the search runs in a worker that the page makes from a blob."""
    page.goto(f"{service_url}/redoc")
    expect(page.get_by_role("heading", name="Image classifier")).to_be_visible()
    page.get_by_placeholder("Search").fill("upload page")

    expect(page.locator("[data-role='search:results']")).to_contain_text("The upload page")


@pytest.mark.parametrize("address", ["/docs", "/redoc"])
def test_the_pages_policy_is_widened_as_little_as_possible(page, service_url, address):
    """Nothing inline of ours, no eval, no other host."""
    answer = page.goto(f"{service_url}{address}")
    policy = answer.headers["content-security-policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy
