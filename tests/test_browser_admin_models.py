"""``/admin/models`` in a real browser without JavaScript, against the running service with the real model.

An operator takes a version from the folder to a part of the pictures and back. axe finds nothing wrong on the way.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import requests
from playwright.sync_api import expect

from model.export.errors import ExportError
from tests.support import axe
from tests.support.browser import WAIT_MS
from tests.support.missing import skip_or_fail
from tests.support.operator import ADMIN_KEY
from tests.support.stack import Stack
from tests.support.upload_page import PICTURES
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.long

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
DARK = {**DESKTOP, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 360, "height": 740}}
TIMEOUT_S = 60
PHOTOS = 120
DIFFER = ("chelsea.jpg", "rocket.jpg", "coffee.jpg")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models: Path, imagenet_sample: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("resnet50-int8", "resnet50-fp32", "resnet50-reference"):
        (folder / name).symlink_to(models / name)
    settings = {
        "MODELS": "resnet50@1",
        "MODELS_DIR": str(folder),
        "CHECK_DIR": str(first_photos(imagenet_sample, tmp_path_factory.mktemp("check"))),
        "ADMIN_API_KEY": ADMIN_KEY,
    }
    with Stack(tmp_path_factory.mktemp("models"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack.url


def first_photos(sample: Path, folder: Path) -> Path:
    """Enough for a check, and not more than a busy machine computes while a test waits."""
    header, *rows = (sample / "labels.csv").read_text().splitlines()[: 1 + PHOTOS]
    (folder / "labels.csv").write_text("\n".join([header, *rows]))
    for row in rows:
        shutil.copy(sample / row.partition(",")[0], folder)
    return folder


@pytest.fixture
def page(browser: Browser, service: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The models, in a browser that knows the key as its password."""
    options = getattr(request, "param", {"java_script_enabled": False})
    context = browser.new_context(http_credentials={"username": "operator", "password": ADMIN_KEY}, **options)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.goto(f"{service}/admin/models")
    yield page
    context.close()


def form(page: Page, name: str) -> Locator:
    """Of the only model."""
    return page.get_by_role("group", name=name, exact=True)


def confirm(page: Page) -> None:
    page.get_by_role("button", name="Yes, do it").click()


def version(service: str, picture: str) -> str:
    with (PICTURES / picture).open("rb") as file:
        return requests.post(f"{service}/predict", files={"file": file}, timeout=TIMEOUT_S).headers["X-Model-Version"]


def test_an_operator_takes_a_version_to_all_traffic_and_back(page, service):
    """Set, seen, checked, refused, forced, and rolled back."""
    form(page, "Candidate").get_by_label("Version").fill("reference")
    form(page, "Candidate").get_by_label("Shadow").fill("100")
    form(page, "Candidate").get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set the candidate of resnet50?")
    confirm(page)
    expect(page.get_by_role("status")).to_have_text("The candidate of resnet50 is set.")
    expect(page.get_by_role("rowheader", name="reference candidate")).to_be_visible()

    def compared() -> Any:
        for picture in DIFFER:
            assert version(service, picture) == "1"
        page.reload()
        return page.get_by_text(re.compile("Of the pictures that reference has computed beside, [1-9]")).is_visible()

    eventually(compared, "it is compared")
    form(page, "Check version reference").get_by_role("button").click()
    confirm(page)
    expect(page.get_by_role("status")).to_have_text("The check of the candidate of resnet50 has begun.")

    def checked() -> Any:
        page.goto(f"{service}/admin/models")
        return page.get_by_text("labelled pictures right").is_visible()

    eventually(checked, "the check ends")
    page.get_by_text("pictures on which they differ").click()
    pictures = page.get_by_role("listitem").get_by_role("img")
    expect(pictures.first).to_be_visible()
    form(page, "Promote version reference").get_by_role("button").click()
    confirm(page)
    expect(page.get_by_role("alert")).to_contain_text("Not done: resnet50@reference has not passed its check")

    form(page, "Promote version reference").get_by_label("Reason").fill("to see it answer")
    form(page, "Promote version reference").get_by_role("button").click()
    expect(page.get_by_text("because: “to see it answer”")).to_be_visible()
    confirm(page)
    expect(page.get_by_role("status")).to_have_text("The candidate of resnet50 answers now.")
    eventually(lambda: version(service, "chelsea.jpg") == "reference", "it answers")

    form(page, "Back to version 1").get_by_role("button").click()
    page.get_by_role("link", name="No, back").click()
    form(page, "Back to version 1").get_by_role("button").click()
    confirm(page)
    expect(page.get_by_role("status")).to_have_text("The rollback of resnet50 is done.")
    eventually(lambda: version(service, "chelsea.jpg") == "1", "the other one answers again")
    page.get_by_text("History").click()
    expect(page.get_by_role("listitem").filter(has_text="promote, forced: to see it answer")).to_contain_text(
        "by admin"
    )


@pytest.mark.parametrize("page", [DESKTOP, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
def test_axe_finds_nothing_wrong_and_nothing_sticks_out_sideways(page, service):
    """With and without a candidate; whatever can be opened is open."""
    try:
        checker = axe.source()
    except ExportError as error:
        skip_or_fail(str(error))
    operator = {"Authorization": f"Bearer {ADMIN_KEY}"}
    candidate = f"{service}/admin/models/resnet50/candidate"
    assert requests.put(candidate, data={"version": "reference"}, headers=operator, timeout=TIMEOUT_S).ok
    seen = {}

    def look(what: str) -> None:
        page.evaluate("document.querySelectorAll('details').forEach(details => {details.open = true})")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        seen[what] = axe.violations(page, checker) + [f"{wide} px too wide"] * bool(wide)

    def go_by(link: Locator) -> None:
        """A click alone does not wait: what follows would look at the old page, or at one without its styles."""
        with page.expect_navigation():
            link.click()

    page.reload()
    look("candidate")
    go_by(form(page, "Drop version reference").get_by_role("button"))
    look("confirm")
    go_by(page.get_by_role("button", name="Yes, do it"))
    look("none")
    go_by(form(page, "Candidate").get_by_role("button"))
    look("error")
    go_by(page.get_by_role("link", name="Usage"))
    look("usage")
    go_by(page.get_by_role("link", name="Reports"))
    look("reports")

    assert {what: wrong for what, wrong in seen.items() if wrong} == {}
