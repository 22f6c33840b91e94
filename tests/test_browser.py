"""The page as a person uses it: a real browser against the running service."""

from __future__ import annotations

import csv
import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.upload_page import PICTURES, card, choose, expect_cards, open_report

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.long

A_CAT = re.compile(r"\b(cat|tabby|lynx)\b", re.IGNORECASE)
CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"


def expect_a_cat(page: Page) -> None:
    expect_cards(page, "done", 1)
    expect(card(page, "done").get_by_role("heading")).to_have_text(A_CAT)
    expect(card(page, "done").locator(".card-about")).to_contain_text("resnet50")  # which model says so
    percents = [float(text.strip(" <%")) for text in card(page, "done").locator(".bar-percent").all_inner_texts()]
    picture = card(page, "done").get_by_role("img")
    expect(picture).to_be_visible()

    assert len(percents) == 5
    assert percents == sorted(percents, reverse=True)
    assert 0 < sum(percents) <= 101
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def reports(feedback_csv: Path) -> list[dict[str, str]]:
    with feedback_csv.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_person_drops_a_cat_reads_that_it_is_one_and_reports_it_wrong(page, feedback_csv):
    """The whole service from a person's view; and what the person typed is in the operator's file."""
    comment = 'not "Egyptian", rather:\n=a tabby, see the coat'
    choose(page, CAT)
    expect_a_cat(page)
    card(page, "done").get_by_text("Report it").click()
    page.get_by_label("What is it?").fill("+tabby, the usual one")
    page.get_by_label("Anything else?").fill(comment)
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    row = reports(feedback_csv)[-1]
    assert row["comment"] == comment
    assert row["correct_label"] == "'+tabby, the usual one"
    assert A_CAT.search(row["prediction"].replace("_", " "))
    assert 0 < float(row["score"]) <= 1
    assert re.fullmatch("[0-9a-f]{64}", row["image"])


def test_the_right_label_is_found_by_any_part_of_its_name(page, feedback_csv):
    """No person knows a thousand labels by heart; the operator gets the label as the model spells it."""
    choose(page, CAT)
    expect_a_cat(page)
    open_report(page)
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_have_text("tiger cat")  # the other guesses first, whole words before parts of one
    page.get_by_label("What is it?").fill("coon BLACK")
    expect(options).to_have_text(["black-and-tan coonhound"])
    options.click()
    expect(page.get_by_label("What is it?")).to_have_value("black-and-tan coonhound")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    assert reports(feedback_csv)[-1]["correct_label"] == "black-and-tan_coonhound"


def test_a_picture_of_something_that_the_model_does_not_know_can_be_reported_in_own_words(page, feedback_csv):
    """Those reports say what to train next. A report does not wait for the list of labels, which may not arrive."""
    page.route(re.compile(r"/labels(\?|$)"), lambda route: route.abort(), times=1)
    choose(page, CAT)
    expect_a_cat(page)
    page.get_by_text("Report it").click()
    with page.expect_event("requestfailed"):
        page.get_by_label("What is it?").click()
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.get_by_label("What is it?").fill("a neighbour's")
    expect(page.get_by_text("No label of the model fits")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    assert reports(feedback_csv)[-1]["correct_label"] == "a neighbour's"


def test_the_feedback_page_searches_the_labels_too(page, feedback_csv):
    page.get_by_role("link", name="Feedback").click()
    page.get_by_label("What it really is").press_sequentially("tiger c")
    page.get_by_role("option", name="tiger cat").click()
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    assert reports(feedback_csv)[-1]["correct_label"] == "tiger_cat"


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_errors_are_sentences_on_the_page(page, tmp_path):
    text = tmp_path / "dog.jpg"
    text.write_text("this is not a picture")
    choose(page, text)
    page.get_by_role("button", name="Classify").click()

    expect(page.get_by_role("alert")).to_contain_text("not a picture in a supported format")
    expect(page).to_have_title("Error · Image classifier")


def test_a_reload_keeps_what_this_visit_has_seen(page):
    """People go back and forth between pages; their results are stored nowhere else."""
    choose(page, CAT)
    expect_a_cat(page)
    page.reload()
    expect_a_cat(page)
    page.get_by_role("button", name="Clear").click()
    page.reload()

    expect(page.locator("#results .card")).to_have_count(0)


def test_a_reload_keeps_the_order_of_the_cards_and_what_failed(page, tmp_path):
    """Whichever answer comes first. A link that has expired is not offered any more."""
    text = tmp_path / "notes.jpg"
    text.write_text("this is not a picture")
    choose(page, CUP, text, CAT)
    expect_cards(page, "done", 2)
    expect_cards(page, "failed", 1)
    choose(page, ROCKET)
    expect_cards(page, "done", 3)
    names = ["rocket.jpg", "coffee.jpg", "notes.jpg", "chelsea.jpg"]
    expect(page.locator("#results .card")).to_contain_text(names)
    page.evaluate("sessionStorage.visit = sessionStorage.visit.replace(/expires=\\d+/, 'expires=1')")
    page.reload()

    expect(page.locator("#results .card")).to_contain_text(names)
    expect(card(page, "failed")).to_contain_text("not a picture in a supported format", ignore_case=True)
    expect(page.locator("#results .thumb[href]")).to_have_count(2)
    expect(page.locator("#results .thumb").first).not_to_have_attribute("href", re.compile("."))


def test_a_card_of_an_animation_shows_the_frame_that_was_classified(page, tmp_path):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
    choose(page, tmp_path / "moves.gif")
    expect_cards(page, "done", 1)

    expect(card(page, "done").locator(".card-about")).to_contain_text("first frame of an animation")
    expect(card(page, "done").get_by_role("img")).to_have_attribute("src", re.compile("/display/"))


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 640}}], indirect=True)
def test_the_list_of_labels_opens_where_it_can_be_seen(page):
    """Above its field at the window's lower end, below it at the upper one."""
    choose(page, CAT)
    expect_a_cat(page)
    card(page, "done").get_by_text("Report it").click()
    field, labels = page.get_by_label("What is it?"), page.get_by_role("listbox")
    for edge in ("end", "start"):
        field.evaluate("(field, block) => field.scrollIntoView({block, behavior: 'instant'})", edge)
        field.click()
        expect(labels).to_be_visible()
        expect(labels).to_be_in_viewport(ratio=1)
        page.keyboard.press("Escape")


def test_a_report_needs_no_pictures_name(page, feedback_csv):
    """The page of reports offers what this visit has classified, and takes another picture."""
    choose(page, CAT)
    expect_a_cat(page)
    page.get_by_role("link", name="Feedback").click()
    page.get_by_role("radio", name="chelsea.jpg").check()
    expect(page.get_by_label("What the service said")).to_have_value(re.compile("cat|tabby|lynx"))
    page.get_by_label("Another picture").set_input_files(CUP)
    expect(page.get_by_role("radio", name="coffee.jpg")).to_be_checked()
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_text("Thank you. Your report is stored.")).to_be_visible()

    row = reports(feedback_csv)[-1]
    assert row["image"] == hashlib.sha256(CUP.read_bytes()).hexdigest()
    assert (row["prediction"], row["model"]) == ("espresso", "resnet50")


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_everything_works_without_javascript(page, feedback_csv):
    """Some browsers forbid scripts, and old screen readers have none."""
    choose(page, CAT)
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#results h3")).to_have_text(A_CAT)
    expect(page.locator("#results .card-about")).to_contain_text("resnet50")
    page.get_by_text("Report it").click()
    expect(page.locator("#labels option")).to_have_count(998)  # of 1000 classes two are called crane, and two maillot
    page.get_by_label("What is it?").fill("black-and-tan coonhound")
    page.get_by_label("Anything else?").fill("one line,\nand another")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_role("status").filter(has_text="Thank you")).to_be_visible()

    row = reports(feedback_csv)[-1]
    assert row["comment"].splitlines() == ["one line,", "and another"]
    assert row["correct_label"] == "black-and-tan_coonhound"
    assert A_CAT.search(row["prediction"].replace("_", " "))


def test_a_file_that_is_not_a_picture_gets_a_clear_sentence(page, tmp_path):
    """People should not have to guess from a status code what is wrong with their file."""
    text = tmp_path / "dog.jpg"
    text.write_text("this is not a picture")
    choose(page, text)

    expect(card(page, "failed")).to_contain_text("not a picture in a supported format", ignore_case=True)
    expect(page.get_by_role("log")).to_contain_text("dog.jpg: ")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_several_pictures_at_once_each_go_their_own_way(page, tmp_path):
    """One bad file among holiday photos must not cost the others their answer."""
    text = tmp_path / "notes.jpg"
    text.write_text("this is not a picture")
    choose(page, CAT, text, CUP, ROCKET)

    expect_cards(page, "done", 3)
    expect_cards(page, "failed", 1)
    expect(page.locator("#results .card")).to_contain_text(["chelsea.jpg", "notes.jpg", "coffee.jpg", "rocket.jpg"])
    expect(page.get_by_text(re.compile(r"^3 answered, 1 failed in (\d+ ms|\d+\.\d s)$")).first).to_be_visible()


def test_uploads_show_their_progress_and_can_be_cancelled(page):
    """A folder of holiday photos over a phone's connection takes minutes; what is done already stays."""
    choose(page, CAT)
    expect_a_cat(page)
    page.route("**/", lambda _route: None)  # never answered
    choose(page, CUP, ROCKET)
    expect(page.get_by_text("0 of 2 done")).to_be_visible()
    expect(page.get_by_role("progressbar", name="All pictures")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Upload")).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#results .card")).to_have_count(1)
    page.unroute("**/")
    choose(page, CUP)

    expect_cards(page, "done", 2)
    expect(page.get_by_role("button", name="Clear")).to_be_visible()


def test_what_is_not_a_file_is_not_blamed_on_the_connection(page):
    """A folder that is dropped looks like a file until it is read; so does one that was deleted meanwhile."""
    page.evaluate(
        """() => {
            const folder = new File([], "holiday");
            folder.slice = () => ({arrayBuffer: () => Promise.reject(new DOMException("", "NotFoundError"))});
            const drop = new DragEvent("drop", {bubbles: true, cancelable: true});
            Object.defineProperty(drop, "dataTransfer", {value: {types: ["Files"], files: [folder]}});
            document.body.dispatchEvent(drop);
        }"""
    )

    expect(card(page, "failed")).to_contain_text("it is a folder")


def test_the_page_tries_a_busy_service_again_when_retry_after_says(page):
    """A full queue empties within seconds; a person should not have to press a button for that."""
    busy = {
        "status": 503,
        "headers": {"Retry-After": "1"},
        "content_type": "application/problem+json",
        "body": '{"detail": "too many at once"}',
    }
    page.route("**/", lambda route: route.fulfill(**busy), times=1)
    choose(page, CAT)
    expect(card(page, "waiting")).to_contain_text("busy")

    expect_a_cat(page)


def test_a_lost_connection_is_explained_and_can_be_tried_again(page):
    """A train's tunnel must not cost the choice of pictures."""
    page.route("**/", lambda route: route.abort(), times=1)
    choose(page, CAT)
    expect(card(page, "failed")).to_contain_text("can't be reached")
    page.get_by_role("button", name="Try again").click()

    expect_a_cat(page)


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_pictures_can_be_dropped_anywhere_and_pasted(page, kind):
    """A file chooser is the slow way; the page promises both."""
    page.evaluate(
        """async ([kind]) => {
            const drawn = new OffscreenCanvas(320, 240);
            drawn.getContext("2d").fillRect(20, 20, 200, 100);
            const carried = new DataTransfer();
            carried.items.add(new File([await drawn.convertToBlob()], `by-${kind}.png`, {type: "image/png"}));
            const event = kind === "drop"
                ? new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true})
                : new ClipboardEvent("paste", {clipboardData: carried, bubbles: true, cancelable: true});
            document.querySelector("h1").dispatchEvent(event);
        }""",
        [kind],
    )

    expect(card(page, "done")).to_contain_text(f"by-{kind}.png")
