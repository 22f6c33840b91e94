"""The page of a service that needs keys, in a real browser: it asks for one and keeps it to itself."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from api.keys.key import Key, Scope, digest_of, new_secret
from api.keys.key_file import line_of, replace_line
from tests.support.browser import WAIT_MS
from tests.support.stack import Stack
from tests.support.upload_page import PICTURES, card, choose, expect_cards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.long

CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"
A_CAT = re.compile(r"\b(cat|tabby|lynx)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def everything() -> str:
    """The key of a visitor who may use the whole page."""
    return new_secret()


@pytest.fixture(scope="module")
def only_reports() -> str:
    return new_secret()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, everything: str, only_reports: str) -> Iterator[Stack]:
    keys = tmp_path_factory.mktemp("keys") / "keys"
    for name, secret, scopes in (
        ("visitor", everything, {Scope.CLASSIFY, Scope.FEEDBACK}),
        ("reporter", only_reports, {Scope.FEEDBACK}),
    ):
        replace_line(keys, name, line_of(Key(name, digest_of(secret), frozenset(scopes))))
    with Stack(tmp_path_factory.mktemp("shut"), API_KEYS_FILE=str(keys), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def page(browser: Browser, service: Stack, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page as a new visitor opens it; the test fails if its script does."""
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    broken: list[object] = []
    page.on("pageerror", lambda error: broken.append(error))  # noqa: PLW0108 # playwright writes on what it is handed
    page.goto(service.url)
    yield page
    context.close()
    assert broken == []


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="This service needs a key")


def give(page: Page, key: str) -> None:
    expect(page.get_by_label("Your key")).to_be_focused()
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")


def test_the_page_asks_for_a_key_once_and_goes_on_with_what_it_was_doing(page, everything):
    """For several pictures too; and from the keyboard alone."""
    choose(page, CAT, CUP, ROCKET)
    give(page, everything)

    expect_cards(page, "done", 3)
    expect(dialog(page)).to_be_hidden()
    expect(page.locator("#results h3").first).to_have_text(A_CAT)


def test_a_wrong_key_is_said_to_be_wrong_and_can_be_mended(page, everything):
    choose(page, CAT)
    give(page, "two words")
    expect(page.get_by_role("alert")).to_contain_text("can't be a key")
    page.get_by_label("Your key").fill("")
    give(page, everything[:-1])
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    expect(page.get_by_label("Your key")).to_have_accessible_description(re.compile("does not know this key"))
    give(page, everything)

    expect_cards(page, "done", 1)


def test_the_key_is_kept_nowhere(page, everything):
    """Whoever uses the browser next finds nothing, and no log of addresses has it; a reload asks again."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    choose(page, CAT)
    give(page, everything)
    expect_cards(page, "done", 1)
    kept = page.evaluate(
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state])"
    )

    assert everything not in kept
    assert "visit" in kept  # so the search would find what is stored
    assert everything not in page.content()
    assert [address for address in addresses if everything in address] == []
    assert page.context.cookies() == []
    page.reload()
    choose(page, CAT)
    expect(dialog(page)).to_be_visible()


def test_who_has_no_key_is_not_asked_again_for_each_picture(page, everything):
    """Twenty pictures must not mean twenty dialogs; but whoever tries again may have found the key."""
    choose(page, CAT, CUP, ROCKET, CAT, CUP)
    expect(dialog(page)).to_be_visible()
    page.keyboard.press("Escape")
    expect_cards(page, "failed", 5)
    expect(dialog(page)).to_be_hidden()
    expect(card(page, "failed").first).to_contain_text("This service needs a key.")
    page.get_by_role("button", name="Try again").first.click()
    give(page, everything)

    expect_cards(page, "done", 1)


def test_a_report_and_the_list_of_labels_go_with_the_key(page, service, everything):
    """From the page of a result and from the page for reports."""
    choose(page, CAT)
    give(page, everything)
    expect_cards(page, "done", 1)
    page.get_by_text("Report it").click()
    page.get_by_label("What is it?").press_sequentially("tiger c")
    page.get_by_role("option", name="tiger cat").click()
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()
    page.get_by_role("link", name="Feedback").click()
    page.get_by_role("group", name="Which picture?").wait_for()  # the page's script is there
    page.get_by_label("What it really is").click()
    give(page, everything)
    page.get_by_label("What it really is").press_sequentially("tabb")
    page.get_by_role("option", name="tabby").click()
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    with (service.data_dir / "feedback" / "feedback.csv").open(newline="", encoding="utf-8") as file:
        stored = [row["correct_label"] for row in csv.DictReader(file, strict=True)]
    assert stored[-2:] == ["tiger_cat", "tabby"]


def test_a_key_that_may_not_do_it_is_told_so_and_can_be_changed(page, only_reports, everything):
    choose(page, CAT)
    give(page, only_reports)
    expect(card(page, "failed")).to_contain_text("it needs the scope classify")
    page.get_by_role("button", name="Change key").click()
    give(page, everything)
    page.get_by_role("button", name="Try again").click()

    expect_cards(page, "done", 1)


def test_the_time_is_said_once_where_the_service_says_it_itself(page):
    over = {
        "status": 429,
        "headers": {"Retry-After": "47"},
        "content_type": "application/problem+json",
        "body": '{"detail": "one sender may send 3 requests a minute: try again in 47 s"}',
    }
    page.route("**/", lambda route: route.fulfill(**over), times=1)
    choose(page, CAT)

    expect(card(page, "failed")).to_contain_text(re.compile("3 requests a minute: try again in 47 s", re.IGNORECASE))
    expect(card(page, "failed")).not_to_contain_text("seconds")


@pytest.mark.parametrize(("seconds", "says"), [("90", "Try again in 90 seconds."), ("7200", r"Try again (at|on) .*\d")])
def test_who_is_over_the_limit_reads_when_to_try_again(page, seconds, says):
    over = {
        "status": 429,
        "headers": {"Retry-After": seconds},
        "content_type": "application/problem+json",
        "body": '{"detail": "this key may send 60 requests a minute"}',
    }
    page.route("**/", lambda route: route.fulfill(**over), times=1)
    choose(page, CAT)

    expect(card(page, "failed")).to_contain_text(re.compile(f"60 requests a minute. {says}"))
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_what_is_said_at_the_start_and_on_the_page_is_how_to_send_the_key(page, service):
    """Whoever pastes the command has only the key's value to add."""
    command = 'curl -H "Authorization: Bearer $KEY" -F file='

    assert "for those who have a key of" in service.printed.splitlines()[0]
    assert command in service.printed
    assert command in page.locator("footer code").inner_text()


def test_without_javascript_the_browser_itself_asks_for_the_key(browser, service, everything):
    """As the password, with any name."""
    context = browser.new_context(
        java_script_enabled=False, http_credentials={"username": "anybody", "password": everything}
    )
    page = context.new_page()
    page.goto(service.url)
    expect(page.get_by_text("Your browser will ask for it as a password")).to_be_visible()
    choose(page, CAT)
    page.get_by_role("button", name="Classify").click()

    expect(page.locator("#results h3")).to_have_text(A_CAT)
    assert (
        card(page, "done").get_by_role("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    )
    context.close()
