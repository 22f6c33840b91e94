"""The page as a person meets it: a real browser against the running service."""

from __future__ import annotations

import csv
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

PICTURES = Path(__file__).parent / "pictures"
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
ANSWER_MS = 60_000  # generous: a busy machine may still be warming its workers up
A_CAT = re.compile(r"\b(cat|tabby|lynx)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in CANDIDATES if name and (path := shutil.which(name))), None)
    if found is None:
        reason = "no browser here: install Debian's chromium, or name one in CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service_url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The upload page in a browser of its own; the test fails when the page's script does."""
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(ANSWER_MS)
    page = context.new_page()
    broken: list[Any] = []
    page.on("pageerror", lambda error: broken.append(error))  # noqa: PLW0108 # playwright writes on what it is handed
    page.goto(service_url)
    yield page
    context.close()
    assert broken == []


def card(page: Page, state: str) -> Locator:
    return page.locator(f"#results .card[data-state={state}]")


def expect_a_cat(page: Page) -> None:
    expect(card(page, "done")).to_have_count(1, timeout=ANSWER_MS)
    expect(card(page, "done").get_by_role("heading")).to_have_text(A_CAT)
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
    """The service's whole promise, and its way back: what the person typed is in the operator's file."""
    comment = 'not "Egyptian", rather:\n=a tabby, see the coat'
    page.get_by_label("Choose a picture").set_input_files(PICTURES / "chelsea.jpg")
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


def test_a_reload_keeps_what_this_visit_has_seen(page):
    """People go back and forth between pages; their results are stored nowhere else."""
    page.get_by_label("Choose a picture").set_input_files(PICTURES / "chelsea.jpg")
    expect_a_cat(page)
    page.reload()
    expect_a_cat(page)
    page.get_by_role("button", name="Clear").click()
    page.reload()

    expect(page.locator("#results .card")).to_have_count(0)


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_everything_works_without_javascript(page, feedback_csv):
    """Some browsers forbid scripts, and screen readers of old have none."""
    page.get_by_label("Choose a picture").set_input_files(PICTURES / "chelsea.jpg")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#results h3")).to_have_text(A_CAT)
    page.get_by_text("Report it").click()
    page.get_by_label("Anything else?").fill("one line,\nand another")
    page.get_by_role("button", name="Send report").click()
    expect(page.get_by_role("status").filter(has_text="Thank you")).to_be_visible()

    row = reports(feedback_csv)[-1]
    assert row["comment"].splitlines() == ["one line,", "and another"]
    assert A_CAT.search(row["prediction"].replace("_", " "))


def test_a_file_that_is_no_picture_gets_a_clear_sentence(page, tmp_path):
    """Nobody should have to guess from a status code what is wrong with their file."""
    text = tmp_path / "dog.jpg"
    text.write_text("this is not a picture")
    page.get_by_label("Choose a picture").set_input_files(text)

    expect(card(page, "failed")).to_contain_text("not a picture in a supported format", ignore_case=True)
    expect(page.get_by_role("status").first).to_contain_text("dog.jpg")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_several_pictures_at_once_each_go_their_own_way(page, tmp_path):
    """One bad file among holiday photos must not cost the others their answer."""
    text = tmp_path / "notes.jpg"
    text.write_text("this is not a picture")
    files = [PICTURES / "chelsea.jpg", text, PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"]
    page.get_by_label("Choose a picture").set_input_files(files)

    expect(card(page, "done")).to_have_count(3, timeout=ANSWER_MS)
    expect(card(page, "failed")).to_have_count(1, timeout=ANSWER_MS)
    expect(page.locator("#results .card")).to_contain_text(["chelsea.jpg", "notes.jpg", "coffee.jpg", "rocket.jpg"])


def test_a_busy_service_is_asked_again_when_it_said_to(page):
    """A full queue empties within seconds; nobody should have to press a button for that."""
    busy = {
        "status": 503,
        "headers": {"Retry-After": "1"},
        "content_type": "application/problem+json",
        "body": '{"detail": "too many at once"}',
    }
    page.route("**/", lambda route: route.fulfill(**busy), times=1)
    page.get_by_label("Choose a picture").set_input_files(PICTURES / "chelsea.jpg")
    expect(card(page, "waiting")).to_contain_text("busy", timeout=ANSWER_MS)

    expect_a_cat(page)


def test_a_lost_connection_is_said_in_words_and_can_be_tried_again(page):
    """A train's tunnel must not cost the choice of pictures."""
    page.route("**/", lambda route: route.abort(), times=1)
    page.get_by_label("Choose a picture").set_input_files(PICTURES / "chelsea.jpg")
    expect(card(page, "failed")).to_contain_text("can't be reached", timeout=ANSWER_MS)
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

    expect(card(page, "done")).to_contain_text(f"by-{kind}.png", timeout=ANSWER_MS)


@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": 360, "height": 740}}, {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}],
    indirect=True,
    ids=["phone", "desktop"],
)
def test_nothing_sticks_out_sideways(page):
    page.get_by_label("Choose a picture").set_input_files([PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg"])
    expect(card(page, "done")).to_have_count(2, timeout=ANSWER_MS)

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
