"""The page at an inspection line, in a real browser: a real detector looks at what a camera on this machine shows."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from api.keys.key import Key, Scope, digest_of, new_secret
from api.keys.key_file import line_of, replace_line
from model.export.errors import ExportError
from tests.support import axe
from tests.support.browser import WAIT_MS
from tests.support.inspection_line import CAT, CUP, DETECTOR, NO_ANSWER, TABLE, PartCamera, moved
from tests.support.missing import skip_or_fail
from tests.support.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route

pytestmark = pytest.mark.long

BUNDLE = ROOT / "models" / f"{DETECTOR}-fp32"
WALL = "hung:\n  - {label: clock, inner: [0.4, 0.4, 0.6, 0.6], outer: [0, 0, 1, 1]}\n"
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
DARK = {**DESKTOP, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SHOP_FLOOR = {"viewport": {"width": 1920, "height": 1080}}
UNSCRIPTED = {"java_script_enabled": False}
LATEST = "**/v1/inspections/latest"


@pytest.fixture(scope="module")
def camera() -> Iterator[PartCamera]:
    with PartCamera() as camera:
        yield camera


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, camera: PartCamera) -> Iterator[Stack]:
    if not BUNDLE.exists():
        skip_or_fail(f"make model NAME={DETECTOR} builds the detector that these tests need")
    patterns = tmp_path_factory.mktemp("patterns")
    (patterns / "table.yaml").write_text(TABLE)
    settings = {"MODELS": DETECTOR, "PATTERN_DIR": str(patterns), "CAMERA_URL": camera.url, "WORKERS": "1"}
    with Stack(tmp_path_factory.mktemp("inspect"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture(scope="module")
def checker() -> str:
    try:
        return axe.source()
    except ExportError as error:
        skip_or_fail(str(error))


@pytest.fixture
def page(browser: Browser, service: Stack, camera: PartCamera, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, with the cup before the camera; the test fails if its script does, or if its policy forbids a part."""
    camera.sees(CUP.read_bytes())
    yield from opened(browser, f"{service.url}/inspect", **getattr(request, "param", {}))


def opened(browser: Browser, url: str, **look: object) -> Iterator[Page]:
    context = browser.new_context(**look)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto(url)
    yield page
    context.close()
    assert broken == []


def trigger(page: Page) -> None:
    page.get_by_role("button", name="Inspect", exact=True).click()


def verdict(page: Page) -> Locator:
    """What a screen reader is told, and what is read from some steps away."""
    return page.locator("#verdict")


def expect_verdict(page: Page, state: str, *words: str) -> None:
    expect(verdict(page)).to_have_attribute("data-state", state)
    expect(verdict(page)).to_have_role("status")
    for said in words:
        expect(verdict(page)).to_contain_text(said)


def send(service: Stack, picture: bytes) -> None:
    """As somebody else."""
    sent = requests.post(f"{service.url}/v1/inspections", data=picture, timeout=60)
    assert sent.status_code == HTTPStatus.OK, sent.text


def marks(shown: Locator) -> list[str]:
    found: list[str] = shown.locator(".mark").evaluate_all("marks => marks.map(mark => mark.dataset.kind)")
    return found


def test_a_good_part_is_called_good_with_its_picture_and_what_was_found(page):
    trigger(page)
    expect_verdict(page, "good", "Good")
    latest = page.locator("#latest")

    expect(latest.locator("img")).to_have_js_property("naturalWidth", 600)
    expect(latest.get_by_role("listitem")).to_have_text(
        [re.compile(r"cup\s+found, 9\d\.\d%"), re.compile("not expected")]
    )
    assert marks(latest) == ["surplus", "found"]
    expect(latest).to_contain_text("table · set")
    expect(latest).to_contain_text(f"{DETECTOR}@1")
    expect(page.locator("#now-about")).to_have_text(re.compile(r"Inspected here at .*, \d+ s ago"))
    expect(page).to_have_title(re.compile("^Good"))


def test_boxes_lie_over_what_they_are_around(page):
    trigger(page)
    expect_verdict(page, "good")
    expect(page.locator("#latest img")).to_have_js_property("complete", True)
    left, top, right, bottom = page.evaluate(
        """() => {
            const [picture, box] = ["#latest img", "#latest [data-kind=found] .mark-line"].map(
                (part) => document.querySelector(part).getBoundingClientRect());
            return [(box.left - picture.left) / picture.width, (box.top - picture.top) / picture.height,
                    (box.right - picture.left) / picture.width, (box.bottom - picture.top) / picture.height];
        }"""
    )

    assert (left, top, right, bottom) == pytest.approx((0.289, 0.055, 0.692, 0.622), abs=0.03)


def test_a_part_that_lies_elsewhere_is_bad_and_the_page_says_by_how_much(page, camera):
    camera.sees(moved())
    trigger(page)
    expect_verdict(page, "bad", "Bad", "cup is out of place")
    latest = page.locator("#latest")

    expect(latest.get_by_role("listitem").first).to_contain_text(
        re.compile(r"out of place: left edge 2\d\.\d% too far right, right edge 2\d\.\d% too far right")
    )
    assert marks(latest)[:2] == ["place", "misplaced"]  # where it has to be, and where it is


def test_a_part_that_lacks_something_is_bad_and_shows_where_it_should_be(page, camera):
    camera.sees(CAT.read_bytes())
    trigger(page)
    expect_verdict(page, "bad", "cup is missing")

    assert marks(page.locator("#latest")) == ["surplus", "missing"]
    expect(page.locator("#latest [data-kind=missing] .mark-name")).to_have_text("✕ cup: missing")


def test_a_camera_that_is_down_leaves_no_old_decision_standing(page, camera):
    """The worst that this page could do is to show a good part's picture for one that was never taken."""
    trigger(page)
    expect_verdict(page, "good")
    camera.shows = NO_ANSWER
    trigger(page)
    expect_verdict(page, "failed", "No decision", "the camera answers with the status 503")
    for _ in range(2):  # what is kept is older than the failure, and is not shown again
        page.wait_for_event("response", lambda found: found.url.endswith("/latest"))

    expect_verdict(page, "failed", "No decision")
    expect(page.locator("#latest img")).to_have_count(0)
    camera.sees(CUP.read_bytes())
    trigger(page)
    expect_verdict(page, "good")


def test_while_a_part_is_inspected_nothing_of_the_one_before_is_shown(page):
    trigger(page)
    expect_verdict(page, "good")
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            waiting.append(route)
        else:
            route.continue_()

    page.route("**/v1/inspections", hold)
    trigger(page)
    expect_verdict(page, "busy", "Inspecting")
    expect(page.locator("#latest img")).to_have_count(0)
    page.keyboard.press("Enter")  # once more, by a hasty hand
    (only,) = waiting
    only.fulfill(status=503, content_type="application/problem+json", body='{"detail": "no worker is alive"}')

    expect_verdict(page, "failed", "no worker is alive")


def test_what_somebody_else_inspects_comes_by_itself(page, service):
    trigger(page)
    expect_verdict(page, "good")
    send(service, CAT.read_bytes())
    expect_verdict(page, "bad", "cup is missing")

    expect(page.locator("#now-about")).to_contain_text("Inspected elsewhere")
    expect(page.locator(".pasts[data-decision=bad] .past-why").first).to_have_text("cup is missing")


def test_an_inspection_by_somebody_else_replaces_a_failure(page, service, camera):
    camera.shows = NO_ANSWER
    trigger(page)
    expect_verdict(page, "failed")
    page.wait_for_event("response", lambda found: found.url.endswith("/latest"))
    page.wait_for_event("response", lambda found: found.url.endswith("/latest"))
    send(service, CUP.read_bytes())

    expect_verdict(page, "good")


def test_without_the_service_nothing_looks_live(page):
    trigger(page)
    expect_verdict(page, "good")
    page.route(LATEST, lambda route: route.abort())
    expect_verdict(page, "lost", "No connection", "The last that was known: good")
    expect(page.locator("#latest")).to_have_attribute("data-live", "false")
    expect(page.locator("#verdict-word")).to_have_text("No connection")
    page.unroute(LATEST)

    expect_verdict(page, "good")
    expect(page.locator("#latest")).to_have_attribute("data-live", "true")


def test_what_is_known_already_is_not_sent_again(page):
    trigger(page)
    expect_verdict(page, "good")
    statuses = [page.wait_for_event("response", lambda found: found.url.endswith("/latest")).status for _ in range(3)]

    assert statuses[1:] == [304, 304]


def test_pictures_are_inspected_by_hand_too(page, tmp_path):
    page.get_by_label("Inspect a picture").set_input_files(CAT)
    expect_verdict(page, "bad", "cup is missing")
    page.get_by_label("Inspect a picture").set_input_files(CUP)
    expect_verdict(page, "good")
    notes = tmp_path / "notes.jpg"
    notes.write_text("this is not a picture")
    page.get_by_label("Inspect a picture").set_input_files(notes)

    expect_verdict(page, "failed", "No decision", "not a picture")


def test_a_picture_may_be_dropped_anywhere(page):
    page.evaluate(
        """async () => {
            const drawn = new OffscreenCanvas(320, 240);
            drawn.getContext("2d").fillRect(20, 20, 200, 100);
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([await drawn.convertToBlob()], "part.png", {type: "image/png"}));
            const dropped = new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true});
            document.querySelector("h1").dispatchEvent(dropped);
        }"""
    )

    expect_verdict(page, "bad", "cup is missing")


def test_the_least_score_is_chosen_for_an_inspection(page):
    page.get_by_text("More").click()
    page.get_by_label("Least score").fill("0.99")
    trigger(page)
    expect_verdict(page, "bad", "cup is missing")
    page.get_by_label("Least score").fill("0.05")
    trigger(page)

    expect_verdict(page, "failed", "min_score must be a number from 0.1 to 1")


def test_the_history_has_bad_parts_first_and_each_has_its_picture(page, service):
    for picture in (CAT, CUP):
        send(service, picture.read_bytes())
    expect_verdict(page, "good")
    expect(page.locator(".past").first.locator(".past-decision")).to_have_text("Bad")
    expect(page.locator(".pasts:visible h3")).to_have_text([re.compile("Bad"), re.compile("Good")])
    page.get_by_role("link", name="Bad ones only").click()
    expect(page.locator(".pasts[data-decision=good]")).to_be_hidden()
    expect(page.get_by_role("link", name="Bad ones only")).to_have_attribute("aria-current", "true")
    first = page.locator(".past").first
    first.locator("summary").click()

    expect(first.locator("img")).to_have_js_property("naturalWidth", 451)
    expect(first.get_by_role("listitem").first).to_contain_text("cup")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert {row.split(",")[4] for row in download.value.path().read_text().splitlines()[1:]} == {"bad"}


def test_what_is_open_stays_open_when_others_come(page, service):
    send(service, CAT.read_bytes())
    send(service, CUP.read_bytes())
    expect_verdict(page, "good")
    row = page.locator(".pasts[data-decision=bad] .past").first
    expect(row).to_have_attribute("data-id", re.compile("."))  # the script's own
    kept = row.get_attribute("data-id")
    row.locator("summary").click()
    before = int(page.locator(".pasts[data-decision=bad] .pasts-count").inner_text())
    send(service, CAT.read_bytes())
    expect(page.locator(".pasts[data-decision=bad] .pasts-count")).not_to_have_text(str(before))

    expect(page.locator(f"[data-id='{kept}'] details")).to_have_attribute("open", "")
    expect(page.locator(f"[data-id='{kept}'] summary")).to_be_focused()


def test_everything_is_done_from_the_keyboard(page, service):
    send(service, CUP.read_bytes())
    expect_verdict(page, "good")
    tab_to(page, "#take")
    page.keyboard.press("Enter")
    expect(page.locator("#now-about")).to_contain_text("Inspected here")
    expect(page.locator("#take")).to_be_focused()  # to be pressed for the next part
    tab_to(page, "#file")
    tab_to(page, ".past summary")
    page.keyboard.press("Enter")

    expect(page.locator(".past [open] .inspected").first).to_be_visible()


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


@pytest.mark.parametrize("page", [UNSCRIPTED], indirect=True)
def test_without_javascript_there_are_decision_history_and_both_ways_to_inspect(page, camera):
    trigger(page)
    expect_verdict(page, "good", "Good")
    expect(page.locator("#latest img")).to_have_js_property("naturalWidth", 600)
    page.get_by_label("Inspect a picture").set_input_files(CAT)
    page.get_by_role("button", name="Inspect this picture").click()
    expect_verdict(page, "bad", "cup is missing")
    page.get_by_role("link", name="what came after").click()
    expect_verdict(page, "bad", "cup is missing")
    expect(page.locator(".past").first.locator(".past-decision")).to_have_text("Bad")
    page.locator(".past summary").first.click()
    expect(page.locator(".past .inspected").first).to_be_visible()
    page.get_by_role("link", name="Bad ones only").click()
    expect(page.locator(".pasts[data-decision=good]")).to_be_hidden()
    camera.shows = NO_ANSWER
    trigger(page)

    expect_verdict(page, "failed", "No decision", "the camera answers with the status 503")
    expect(page.locator("#latest img")).to_have_count(0)


def good(page: Page, _camera: PartCamera) -> None:
    trigger(page)
    expect_verdict(page, "good")
    page.locator(".past summary").first.click()
    expect(page.locator(".past .inspected").first).to_be_visible()


def bad(page: Page, camera: PartCamera) -> None:
    camera.sees(moved())
    trigger(page)
    expect_verdict(page, "bad")
    page.get_by_text("More").click()


def failed(page: Page, camera: PartCamera) -> None:
    camera.shows = NO_ANSWER
    trigger(page)
    expect_verdict(page, "failed")


def lost(page: Page, _camera: PartCamera) -> None:
    trigger(page)
    expect_verdict(page, "good")
    page.route(LATEST, lambda route: route.abort())
    expect_verdict(page, "lost")


def refused(page: Page, _camera: PartCamera) -> None:
    page.route(LATEST, lambda route: route.fulfill(status=HTTPStatus.FORBIDDEN, body='{"detail": "not by this key"}'))
    page.reload()
    expect_verdict(page, "none", "not by this key")


@pytest.mark.parametrize("page", [DESKTOP, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
@pytest.mark.parametrize("reach", [good, bad, failed, lost, refused])
def test_axe_finds_nothing_wrong(page, camera, checker, reach):
    reach(page, camera)

    assert axe.violations(page, checker) == []


@pytest.mark.parametrize("page", [DESKTOP, DARK, PHONE], indirect=True, ids=["desktop", "dark", "phone"])
def test_axe_finds_nothing_wrong_without_scripts(page, service, checker):
    """Axe is a script too, so only our own are left out."""
    for picture in (CUP, CAT):
        send(service, picture.read_bytes())
    page.route("**/*.js", lambda route: route.abort())
    page.route("**/*.css", unscripted_styles)
    page.reload()
    expect_verdict(page, "bad")
    page.locator(".past summary").first.click()

    assert axe.violations(page, checker) == []


def unscripted_styles(route: Route) -> None:
    styles = (ROOT / "api" / "static" / route.request.url.rpartition("/")[2]).read_text()
    route.fulfill(body=styles.replace("(scripting: enabled)", "not all"), content_type="text/css")


@pytest.mark.parametrize("text_size", ["100%", "200%"])
@pytest.mark.parametrize(
    "page",
    [{"viewport": {"width": 320, "height": 640}}, PHONE, DESKTOP, SHOP_FLOOR],
    indirect=True,
    ids=["small phone", "phone", "desktop", "shop floor"],
)
def test_nothing_sticks_out_sideways(page, camera, text_size):
    page.evaluate("size => {document.documentElement.style.fontSize = size}", text_size)
    for reach in (bad, good, failed):
        reach(page, camera)
        camera.sees(CUP.read_bytes())
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), reach


@pytest.mark.parametrize("page", [DESKTOP, SHOP_FLOOR], indirect=True, ids=["desktop", "shop floor"])
def test_picture_decision_and_trigger_are_seen_at_once(page):
    trigger(page)
    expect_verdict(page, "good")

    for part in ("#latest .frame", "#verdict", "#take"):
        assert page.locator(part).evaluate(
            "part => part.getBoundingClientRect().top >= 0 && part.getBoundingClientRect().bottom <= innerHeight"
        ), part


# With keys, with several sets of patterns, and without a camera


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    return {name: new_secret() for name in ("operator", "sender", "reader")}


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory, secrets: dict[str, str]) -> Iterator[Stack]:
    if not BUNDLE.exists():
        skip_or_fail(f"make model NAME={DETECTOR} builds the detector that these tests need")
    scopes = {
        "operator": {Scope.CLASSIFY, Scope.INSPECTIONS},
        "sender": {Scope.CLASSIFY},
        "reader": {Scope.INSPECTIONS},
    }
    keys = tmp_path_factory.mktemp("keys") / "keys"
    for name, secret in secrets.items():
        replace_line(keys, name, line_of(Key(name, digest_of(secret), frozenset(scopes[name]))))
    patterns = tmp_path_factory.mktemp("patterns")
    (patterns / "table.yaml").write_text(TABLE)
    (patterns / "wall.yaml").write_text(WALL)
    settings = {"MODELS": DETECTOR, "PATTERN_DIR": str(patterns), "API_KEYS_FILE": str(keys), "WORKERS": "1"}
    with Stack(tmp_path_factory.mktemp("shut"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture
def shut_page(browser: Browser, shut: Stack) -> Iterator[Page]:
    yield from opened(browser, f"{shut.url}/inspect", **DESKTOP)


def give(page: Page, key: str) -> None:
    expect(page.get_by_label("Your key")).to_be_focused()
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")


def test_with_keys_the_page_shows_nothing_until_it_has_one(shut_page, secrets):
    """Pictures too come with the key, which is kept nowhere."""
    expect(shut_page.locator("#pattern option")).to_have_text(["Choose one"])
    give(shut_page, secrets["operator"])
    shut_page.get_by_label("Set of patterns").first.select_option("table")
    shut_page.get_by_label("Inspect a picture").set_input_files(CUP)
    expect_verdict(shut_page, "good")
    row = shut_page.locator(".past summary").first
    row.click()
    expect(shut_page.locator(".past img").first).to_have_js_property("naturalWidth", 600)
    with shut_page.expect_download() as download:
        shut_page.get_by_role("link", name="Download as CSV").click()

    assert "good" in download.value.path().read_text()
    assert secrets["operator"] not in shut_page.content() + shut_page.url
    assert shut_page.url.endswith("?pattern=table")  # a screen's own address keeps its choice


def test_one_of_several_sets_has_to_be_chosen(shut_page, secrets):
    give(shut_page, secrets["operator"])
    expect(shut_page.locator("#pattern option")).to_have_text(["Choose one", "table", "wall"])
    shut_page.get_by_label("Inspect a picture").set_input_files(CUP)
    expect(shut_page.locator("#pattern")).to_be_focused()
    expect(verdict(shut_page)).not_to_have_attribute("data-state", "busy")
    shut_page.locator("#pattern").select_option("wall")
    shut_page.get_by_label("Inspect a picture").set_input_files(CUP)

    expect_verdict(shut_page, "bad", "clock is missing")
    expect(shut_page.get_by_role("group", name="The same from a program")).to_contain_text(
        '/v1/inspections -F "pattern=wall"'
    )


def test_who_may_only_send_sees_what_he_has_sent(shut_page, secrets):
    give(shut_page, secrets["sender"])
    expect_verdict(shut_page, "none", "Not shown", "it needs the scope")
    shut_page.locator("#pattern").select_option("table")
    shut_page.get_by_label("Inspect a picture").set_input_files(CUP)

    expect_verdict(shut_page, "good")
    expect(shut_page.locator("#not-now")).to_contain_text("Inspections of others are not shown")


def test_who_may_only_read_is_told_so_in_place_of_a_decision(shut_page, secrets):
    give(shut_page, secrets["reader"])
    shut_page.locator("#pattern").select_option("table")
    shut_page.get_by_label("Inspect a picture").set_input_files(CUP)

    expect_verdict(shut_page, "failed", "No decision", "it needs the scope classify")


def test_who_has_no_key_is_asked_again_when_he_wants(shut_page, secrets):
    shut_page.get_by_role("button", name="Not now").click()
    expect_verdict(shut_page, "none", "Not shown", "This service needs a key.")
    shut_page.get_by_role("button", name="Look again").click()
    give(shut_page, secrets["operator"])

    expect(shut_page.locator("#not-now")).to_be_hidden()


def test_without_a_camera_the_button_says_so(shut_page):
    shut_page.keyboard.press("Escape")
    button = shut_page.get_by_role("button", name="Inspect", exact=True)

    expect(button).to_be_disabled()
    expect(button).to_have_accessible_description(re.compile("no camera, since CAMERA_URL is not set"))


def test_without_javascript_the_browser_itself_asks_for_the_key(browser, shut, secrets):
    password = {"username": "anybody", "password": secrets["operator"]}
    for page in opened(browser, f"{shut.url}/inspect", **UNSCRIPTED, http_credentials=password):
        page.get_by_role("link", name="Go on with one").click()
        page.get_by_label("Set of patterns").last.select_option("table")
        page.get_by_label("Inspect a picture").set_input_files(CUP)
        page.get_by_role("button", name="Inspect this picture").click()

        expect_verdict(page, "good", "Good")
        expect(page.locator("#latest img")).to_have_js_property("naturalWidth", 600)
