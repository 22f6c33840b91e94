"""The page for everybody: axe finds nothing wrong in any of its states, and no mouse, motion or width is needed."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from model.export.errors import ExportError
from tests.support import axe
from tests.support.missing import skip_or_fail
from tests.support.upload_page import PICTURES, choose, expect_cards, open_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.long

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
DARK = {**DESKTOP, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
STYLES = Path(__file__).parents[1] / "api" / "static" / "page.css"
STICKING_OUT = """() => document.documentElement.scrollWidth === document.documentElement.clientWidth ? [] :
    [...document.querySelectorAll("body *")].filter(element => element.getBoundingClientRect().right > innerWidth)
        .map(element => element.outerHTML.slice(0, 100))"""
CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"


@pytest.fixture(scope="module")
def checker() -> str:
    try:
        return axe.source()
    except ExportError as error:
        skip_or_fail(str(error))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """No picture."""
    path = tmp_path / "notes.jpg"
    path.write_text("this is not a picture")
    return path


def empty(_page: Page, _notes: Path) -> None:
    pass


def result(page: Page, _notes: Path) -> None:
    choose(page, CAT)
    expect_cards(page, "done", 1)


def several(page: Page, notes: Path) -> None:
    choose(page, CAT, CUP, notes, ROCKET)
    expect_cards(page, "done", 3)
    expect_cards(page, "failed", 1)


def under_way(page: Page, _notes: Path) -> None:
    page.route("**/", lambda _route: None)  # never answered
    choose(page, CAT, CUP, ROCKET, CAT)
    expect(page.get_by_role("progressbar", name="All pictures")).to_be_visible()


def error(page: Page, notes: Path) -> None:
    page.route("**/", lambda route: route.abort(), times=1)
    choose(page, CAT)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    choose(page, notes)
    expect_cards(page, "failed", 2)


def report(page: Page, notes: Path) -> None:
    result(page, notes)
    open_report(page)
    page.keyboard.press("ArrowDown")


def reported(page: Page, notes: Path) -> None:
    report(page, notes)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you")).to_be_visible()


def feedback(page: Page, _notes: Path) -> None:
    go_to_feedback(page)
    page.get_by_label("What it really is").press_sequentially("cat")
    page.get_by_role("option", name="tiger cat").wait_for()


def feedback_with_pictures(page: Page, notes: Path) -> None:
    result(page, notes)
    go_to_feedback(page)
    page.get_by_role("radio", name="chelsea.jpg").check()
    page.get_by_label("Another picture").set_input_files(notes)
    expect(page.get_by_text("the file is not a picture")).to_be_visible()


def health(page: Page, _notes: Path) -> None:
    page.get_by_role("link", name="Service health").click()
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()


def asked_for_a_key(page: Page, _notes: Path) -> None:
    page.route("**/", lambda route: route.fulfill(status=HTTPStatus.UNAUTHORIZED))
    choose(page, CAT)
    page.get_by_label("Your key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("does not know this key")).to_be_visible()


STATES = (
    empty, result, several, under_way, error, report, reported, feedback, feedback_with_pictures, health,
    asked_for_a_key,
)  # fmt: skip


@pytest.mark.parametrize("page", [DESKTOP, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_wrong(page, checker, notes, state):
    """All of its rules count, the recommended ones too."""
    reach: Callable[[Page, Path], None] = state
    reach(page, notes)

    assert axe.violations(page, checker) == []


@pytest.mark.parametrize("page", [DESKTOP, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
def test_axe_finds_nothing_wrong_without_scripts(page, checker, notes):
    """As a visitor without JavaScript sees it. axe is a script too, so only our own scripts are left out."""
    page.route("**/*.js", lambda route: route.abort())
    page.route("**/page.css", unscripted_styles)
    page.reload()
    seen = {"empty": axe.violations(page, checker)}
    choose(page, notes)
    page.get_by_role("button", name="Classify").click()
    expect(page.get_by_role("alert")).to_be_visible()
    seen["error"] = axe.violations(page, checker)
    choose(page, CAT)
    page.get_by_role("button", name="Classify").click()
    page.get_by_text("Report it").click()
    seen["report"] = axe.violations(page, checker)
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_role("status").filter(has_text="Thank you")).to_be_visible()
    seen["thanks"] = axe.violations(page, checker)
    go_to_feedback(page)
    seen["feedback"] = axe.violations(page, checker)

    assert {state: wrong for state, wrong in seen.items() if wrong} == {}


def go_to_feedback(page: Page) -> None:
    """A click alone does not wait: the next evaluation would find the old page, or none."""
    page.get_by_role("link", name="Feedback").click()
    page.wait_for_url("**/feedback")


def unscripted_styles(route: Route) -> None:
    styles = STYLES.read_text().replace("(scripting: enabled)", "not all")
    route.fulfill(body=styles, content_type="text/css")


def test_everything_can_be_done_from_the_keyboard_and_the_focus_is_always_visible(page):
    """From an empty page to a report that is stored, without a mouse."""
    tab_to(page, "#file")
    choose(page, CAT)  # the browser's own dialog, which Enter opens
    expect_cards(page, "done", 1)
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "[name=correct_label]")
    page.keyboard.type("tabby")
    page.get_by_role("option", name="tabby").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("What is it?")).to_have_value("tabby")
    tab_to(page, "button[type=submit]:not(.unscripted)")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_focused()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until ``selector`` has the focus; every stop on the way shows it."""
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """selector => {
                const focused = document.activeElement;
                const shown = focused.id === "file" ? focused.closest(".drop") : focused;
                return {there: focused.matches(selector), outline: getComputedStyle(shown).outlineStyle,
                        html: focused.outerHTML.slice(0, 80)};
            }""",
            selector,
        )
        assert stop["outline"] == "solid", stop["html"]
        if stop["there"]:
            return
        stops.append(stop["html"])
    pytest.fail(f"{selector} can't be reached: {stops}")


def test_a_screen_reader_announces_every_result_and_the_end(page, notes):
    """Several results may arrive within a second: each is a line of its own, so that none is lost."""
    choose(page, CAT, notes, CUP)
    log = page.get_by_role("log")

    expect(log).to_contain_text("Looking at 3 pictures")
    expect(log).to_contain_text(re.compile(r"chelsea\.jpg: .*cat, \d+\.\d%"))
    expect(log).to_contain_text(re.compile(r"coffee\.jpg: espresso, \d+\.\d%"))
    expect(log).to_contain_text("notes.jpg: the file is not a picture")
    expect(log).to_contain_text(re.compile(r"2 answered, 1 failed in (\d+ ms|\d+\.\d s)"))


def test_a_screen_reader_announces_which_label_is_chosen_and_how_many_are_left(page):
    choose(page, CAT)
    expect_cards(page, "done", 1)
    open_report(page)
    field = page.get_by_role("combobox", name="What is it?")
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_role("listbox").get_by_role("option", selected=True)

    expect(field).to_have_attribute("aria-expanded", "true")
    expect(chosen).to_have_count(1)
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
    expect(field).to_have_accessible_description(re.compile(r"\d+ labels to choose from"))
    page.keyboard.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("page", [{**DESKTOP, "reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_if_the_visitors_system_asks_for_that(page):
    choose(page, CAT)
    expect_cards(page, "done", 1)

    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


@pytest.mark.parametrize("text_size", ["100%", "200%"])
@pytest.mark.parametrize(
    "page",
    [
        {"viewport": {"width": 320, "height": 640}},
        {"viewport": {"width": 390, "height": 844}},
        {"viewport": {"width": 640, "height": 400}},
        DARK,
    ],
    indirect=True,
    ids=["small phone", "phone", "desktop at 200%", "desktop"],
)
def test_nothing_sticks_out_sideways(page, notes, text_size):
    """No line needs scrolling in two directions, whatever the zoom or the size of the text."""
    page.evaluate("size => {document.documentElement.style.fontSize = size}", text_size)
    several(page, notes)
    open_report(page)

    assert page.evaluate(STICKING_OUT) == []
    go_to_feedback(page)
    page.evaluate("size => {document.documentElement.style.fontSize = size}", text_size)
    assert page.evaluate(STICKING_OUT) == []
