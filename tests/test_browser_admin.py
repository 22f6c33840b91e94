"""The operator's page in a real browser, against the running service with an admin key."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.long

PICTURES = Path(__file__).parent / "pictures"
KEY = "correct-horse-battery"
TIMEOUT_S = 60
PHONE = {"viewport": {"width": 360, "height": 740}}
DARK = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"}

REPORTS = [  # photo, what the person says it is, and about it
    ("rocket.jpg", "space shuttle", ""),
    ("coffee.jpg", "", "There is a spoon as well."),
    ("chelsea.jpg", "tabby", "Look at the coat:\n'tabby' is a pattern, not a breed."),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service with a key set, and some answers reported wrong; the last one names a picture that is gone."""
    with Stack(tmp_path_factory.mktemp("admin"), ADMIN_API_KEY=KEY) as stack:
        assert "Ready in" in stack.printed, stack.printed
        for photo, correct_label, comment in REPORTS:
            with (PICTURES / photo).open("rb") as file:
                answer = requests.post(
                    stack.url, files={"file": file}, headers={"Accept": "application/json"}, timeout=TIMEOUT_S
                ).json()
            report = {
                "filename": answer["image"],
                "prediction": answer["predictions"][0]["label"],
                "score": answer["predictions"][0]["score"],
                "correct_label": correct_label,
                "comment": comment,
                "model": answer["model"],
                "digest": answer["digest"],
            }
            assert requests.post(f"{stack.url}/feedback", data=report, timeout=TIMEOUT_S).ok
        gone = {"filename": "a" * 64, "prediction": "mixing_bowl", "comment": "swept"}
        assert requests.post(f"{stack.url}/feedback", data=gone, timeout=TIMEOUT_S).ok
        yield stack.url


@pytest.fixture
def page(browser: Browser, service: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The reports, in a browser that knows the key as its password and runs no script."""
    options = {"java_script_enabled": False, **getattr(request, "param", {})}
    context = browser.new_context(http_credentials={"username": "operator", "password": KEY}, **options)
    context.set_default_timeout(TIMEOUT_S * 1000)
    page = context.new_page()
    page.goto(f"{service}/admin/feedback")
    yield page
    context.close()


def test_an_operator_reads_filters_and_downloads_what_was_reported(page, tmp_path):
    """From a person's complaint to a picture that a training program can read, without JavaScript."""
    entries = page.get_by_role("listitem")
    expect(entries).to_have_count(4)
    expect(entries.get_by_role("heading", level=3)).to_have_text(
        [re.compile(words, re.IGNORECASE) for words in ("mixing bowl", r"cat|tabby|lynx", r"\d%", r"\d%")]
    )
    expect(entries.first.get_by_alt_text("No picture stored")).to_be_visible()
    expect(entries.nth(1)).to_contain_text("Correct: tabby")

    page.get_by_label("Only with a correct label").check()
    page.get_by_label("Label", exact=True).fill("tabby")
    page.get_by_role("button", name="Filter").click()
    expect(entries).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="pictures by correct label").click()
    download.value.save_as(tmp_path / "set.zip")
    page.get_by_role("link", name="Show all").click()
    expect(entries).to_have_count(4)

    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        (photo,) = [name for name in archive.namelist() if name != "reports.csv"]
        assert re.fullmatch(r"tabby/[0-9a-f]{64}\.jpg", photo)
        assert archive.read(photo) == (PICTURES / "chelsea.jpg").read_bytes()


@pytest.mark.parametrize(
    "page", [PHONE | {"java_script_enabled": True}, DARK | {"java_script_enabled": True}], indirect=True, ids=str
)
def test_nothing_sticks_out_sideways_and_every_thumbnail_is_visible(page):
    for image in page.get_by_role("listitem").get_by_role("img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0

    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_a_browser_without_the_key_is_asked_for_it(browser, service):
    """A headless browser can't ask anyone, and reports that instead of showing the page."""
    with browser.new_context() as context, pytest.raises(PlaywrightError, match="ERR_INVALID_AUTH_CREDENTIALS"):
        context.new_page().goto(f"{service}/admin/feedback")


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_who_sent_how_much_can_be_read_on_a_phone(page, service):
    """No name one letter a line, no column out of sight."""
    page.goto(f"{service}/admin/usage")
    table = page.get_by_role("group", name="Addresses")

    assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert table.get_by_role("rowheader").first.evaluate("element => element.clientHeight") <= 50  # one line is 44
