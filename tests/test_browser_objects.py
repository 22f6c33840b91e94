"""The page with a detector: boxes over the picture and the list beside it, in a real browser."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from model.export.errors import ExportError
from model.tests import detectors, networks
from tests.pictures import oriented
from tests.support import axe
from tests.support.browser import WAIT_MS
from tests.support.missing import skip_or_fail
from tests.support.stack import ROOT, Stack
from tests.support.upload_page import PICTURES, card, choose, expect_cards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.long

CAT, CUP = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg"
DETECTOR = "ssdlite-mobilenetv2"
BUNDLE = ROOT / "models" / f"{DETECTOR}-fp32"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SMALL = {"viewport": {"width": 320, "height": 640}}
DARK = {"color_scheme": "dark"}
UNSCRIPTED = {"java_script_enabled": False}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A classifier, a real detector, and one that finds the red in a picture."""
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(BUNDLE, models / BUNDLE.name)
    networks.write_bundle(models / "colours")
    detectors.write_bundle(models / "reds")
    names = f"colours,{DETECTOR},reds"
    with Stack(tmp_path_factory.mktemp("objects"), MODELS=names, MODELS_DIR=str(models), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def page(browser: Browser, service: Stack, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The upload page; the test fails if its script does, or if its policy forbids a part."""
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(service.url)
    yield page
    context.close()
    assert broken == []


def detect(page: Page, *files: Path, by: str = DETECTOR) -> Locator:
    """The card of one of these pictures, once all are answered."""
    page.get_by_label("Model").select_option(by)
    choose(page, *files)
    expect_cards(page, "done", len(files))
    return card(page, "done").first


def move_to(page: Page, percent: int) -> None:
    """The slider of the only card."""
    page.get_by_label("Least score").fill(str(percent))


def drawn(page: Page) -> list[float]:
    """Where the only box lies over its picture as it is seen: left, top, width, height as shares of the picture."""
    sides: list[float] = page.evaluate(
        """() => {
            const [picture, box] = [".thumb img", ".boxes .box-line"].map(
                (part) => document.querySelector(`#results ${part}`).getBoundingClientRect());
            return [(box.left - picture.left) / picture.width, (box.top - picture.top) / picture.height,
                    box.width / picture.width, box.height / picture.height];
        }"""
    )
    return sides


def test_a_detector_is_chosen_and_says_what_is_where(page):
    shown = detect(page, CUP)

    expect(shown.get_by_role("heading")).to_have_text("cup, dining table")
    expect(shown.locator(".object:visible .object-label")).to_have_text(["cup", "dining table"])
    expect(shown.locator(".object:visible .object-percent").first).to_have_text(re.compile(r"9\d\.\d%"))
    expect(shown.locator(".box:visible")).to_have_count(2)
    expect(shown.locator(".card-about")).to_contain_text(DETECTOR)
    expect(page.get_by_role("log")).to_contain_text("coffee.jpg: cup, dining table")
    expect(shown.get_by_text("Report it")).to_be_hidden()  # a report is about a label


def test_the_example_for_programs_asks_for_what_the_page_asks_for(page):
    example = page.get_by_role("group", name="The same from a program")
    expect(example).to_contain_text("/predict")
    page.get_by_label("Model").select_option(DETECTOR)
    expect(example).to_contain_text("/detect")
    page.reload()

    expect(example).to_contain_text("/detect")


def test_the_slider_says_how_certain_the_objects_in_sight_are_and_asks_nothing_anew(page):
    shown = detect(page, CUP)
    page.route("**/*", lambda route: route.abort())
    move_to(page, 90)
    expect(shown.locator(".object:visible .object-label")).to_have_text(["cup"])
    expect(shown.locator(".box:visible")).to_have_count(1)
    expect(shown.get_by_role("heading")).to_have_text("cup")
    expect(shown.get_by_role("status")).to_have_text("Showing 1 of 3, from a score of 90% up")
    move_to(page, 100)
    expect(shown.get_by_role("heading")).to_have_text("Nothing at 100% or above")
    page.get_by_label("Least score").press("Home")

    expect(page.get_by_label("Least score")).to_have_value("10")  # the model answers with nothing less certain
    expect(shown.locator(".object:visible")).to_have_count(3)


def test_pointing_at_a_box_names_it_and_lights_up_its_entry(page):
    shown = detect(page, CUP)
    cup = shown.locator(".box:visible").last  # the smaller one, which lies over the other
    expect(cup.locator(".box-name")).to_be_hidden()
    cup.locator(".box-line").hover()

    expect(cup.locator(".box-name")).to_be_visible()
    expect(cup.locator(".box-name")).to_have_text(re.compile(r"cup 9\d\.\d%"))
    expect(shown.locator(".object.lit")).to_have_text(re.compile("cup"))
    page.mouse.move(0, 0)
    expect(shown.locator(".lit")).to_have_count(0)


def test_the_keyboard_reaches_each_object_and_lights_up_its_box(page):
    shown = detect(page, CUP)
    page.get_by_label("Least score").focus()
    page.keyboard.press("Tab")
    expect(shown.get_by_role("button", name="cup")).to_be_focused()
    expect(shown.locator(".box.lit .box-name")).to_have_text(re.compile("cup"))
    page.keyboard.press("Tab")
    expect(shown.locator(".box.lit .box-name")).to_have_text(re.compile("dining table"))
    page.keyboard.press("Enter")
    expect(shown.get_by_role("button", name="dining table", pressed=True)).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")

    expect(shown.locator(".box.lit .box-name")).to_have_text(re.compile("dining table"))  # it stays lit


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_a_tap_names_an_object_where_nothing_can_be_pointed_at(page):
    shown = detect(page, CUP)
    shown.locator(".box-line:visible").last.tap()

    expect(shown.locator(".box.lit .box-name")).to_have_text(re.compile("cup"))
    expect(shown.get_by_role("button", name="cup", pressed=True)).to_be_visible()


@pytest.mark.parametrize("page", [{}, PHONE, UNSCRIPTED], indirect=True, ids=["desktop", "phone", "no script"])
def test_a_box_lies_over_what_it_is_around_in_any_size(page, tmp_path):
    picture = Image.new("RGB", (1600, 1000), "white")
    picture.paste("red", (400, 500, 1200, 900))
    picture.save(tmp_path / "red.png")
    if page.get_by_role("button", name="Classify").is_visible():
        page.get_by_label("Model").select_option("reds")
        choose(page, tmp_path / "red.png")
        page.get_by_role("button", name="Classify").click()
    else:
        detect(page, tmp_path / "red.png", by="reds")

    assert drawn_once_stable(page) == pytest.approx([0.25, 0.5, 0.5, 0.4], abs=0.03)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_boxes_lie_right_over_a_picture_that_its_metadata_turn(page, tmp_path, orientation):
    """``oriented.corners`` has its red upper left, before it is turned."""
    path = tmp_path / "turned.jpg"
    oriented.corners().save(path, quality=95, subsampling=0, exif=oriented_exif(orientation))
    detect(page, path, by="reds")
    left, top, width, height = drawn_once_stable(page)
    across, down = {1: (0, 0), 3: (1, 1), 6: (1, 0), 8: (0, 1)}[orientation]

    assert (left + width / 2, top + height / 2) == pytest.approx((0.25 + 0.5 * across, 0.25 + 0.5 * down), abs=0.05)


def oriented_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def drawn_once_stable(page: Page) -> list[float]:
    """As ``drawn``, once the picture is there."""
    loaded = page.locator("#results .thumb img")
    loaded.scroll_into_view_if_needed()
    expect(loaded).to_have_js_property("complete", True)
    return drawn(page)


def test_of_an_animation_the_frame_is_shown_that_was_looked_at(page, tmp_path):
    frames = [Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "blue")]
    frames[0].paste("red", (0, 0, 32, 32))
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    shown = detect(page, tmp_path / "moves.gif", by="reds")

    expect(shown.locator(".card-about")).to_contain_text("first frame of an animation")
    expect(shown.locator(".thumb img")).to_have_attribute("src", re.compile("/display/"))
    assert drawn_once_stable(page) == pytest.approx([0, 0, 0.5, 0.5], abs=0.05)


def test_a_picture_without_objects_says_so(page, tmp_path):
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    shown = detect(page, tmp_path / "white.png", by="reds")

    expect(shown.get_by_role("heading")).to_have_text("No objects found")
    expect(shown.get_by_label("Least score")).to_be_hidden()


def test_a_reload_keeps_boxes_and_their_list(page):
    detect(page, CUP)
    page.reload()
    expect_cards(page, "done", 1)

    expect(card(page, "done").get_by_role("heading")).to_have_text("cup, dining table")
    expect(card(page, "done").locator(".box:visible")).to_have_count(2)


def test_the_page_of_reports_says_that_a_report_is_about_a_label(page):
    detect(page, CUP)
    page.get_by_role("link", name="Feedback").click()
    expect(page.get_by_role("group", name="Which picture?")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(0)
    page.get_by_label("Another picture").set_input_files(CAT)

    expect(page.get_by_text("a report is about a label")).to_be_visible()


@pytest.mark.parametrize("page", [UNSCRIPTED], indirect=True)
def test_without_javascript_there_are_boxes_and_a_list_too(page):
    page.get_by_label("Model").select_option(DETECTOR)
    choose(page, CUP)
    page.get_by_role("button", name="Classify").click()
    shown = card(page, "done")

    expect(shown.get_by_role("heading")).to_have_text("cup, dining table")
    expect(shown.get_by_role("listitem").filter(has_text="%")).to_have_text([re.compile("cup"), re.compile("dining")])
    expect(shown.get_by_role("status")).to_have_text("Showing 2 of 3, from a score of 50% up")
    expect(shown.locator(".box")).to_have_count(2)
    expect(shown.get_by_label("Least score")).to_have_count(0)
    shown.locator(".box-line").last.hover()
    expect(shown.locator(".box-name").last).to_be_visible()


@pytest.mark.parametrize("page", [{}, DARK, PHONE, SMALL], indirect=True, ids=["desktop", "dark", "phone", "small"])
def test_objects_are_there_for_everybody(page):
    """Axe finds nothing wrong, and nothing sticks out sideways: with one picture, and with several."""
    try:
        checker = axe.source()
    except ExportError as error:
        skip_or_fail(str(error))
    shown = detect(page, CUP)
    shown.get_by_role("button", name="cup").focus()
    assert axe.violations(page, checker) == []
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    choose(page, CAT)
    expect_cards(page, "done", 2)

    assert axe.violations(page, checker) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
