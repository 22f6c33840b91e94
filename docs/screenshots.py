"""``python -m docs.screenshots [URL]``: the documentation's pictures of the page, of a fresh service or that at URL.

That of the operator's page of the models is of a service of its own, which checks a candidate with labelled photos
(IMAGENET_SAMPLE); without them that picture stays as it is.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import requests
from PIL import Image

from tests.support.browser import chromium
from tests.support.inspection_line import CAT as NO_CUP
from tests.support.inspection_line import DETECTOR, TABLE, PartCamera, moved
from tests.support.operator import ADMIN_KEY, Operator
from tests.support.stack import Stack
from tests.support.upload_page import PICTURES, choose, expect_cards, open_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parent / "images"
DESKTOP = {"viewport": {"width": 1200, "height": 800}, "reduced_motion": "reduce"}
DARK = {**DESKTOP, "color_scheme": "dark"}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "reduced_motion": "reduce"}
CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"
PHOTOS = Path(os.environ.get("IMAGENET_SAMPLE") or Path(__file__).parents[2] / "shared" / "imagenet-sample")
FLAT_COLOURS = 16
ROUNDS = 3  # of refining the palette; without any a cat's green eyes turn brown
DOCUMENTED_URL = "http://127.0.0.1:8000/"  # as `make run` says; a service started for the pictures has a port by chance


def main() -> None:
    with service() as url, chromium() as browser:
        warm_up(browser, url)
        with opened(browser, url, DESKTOP) as page:
            save(page, "empty")
            choose(page, CAT)
            expect_cards(page, "done", 1)
            save(page, "page")
            open_report(page)
            page.keyboard.press("ArrowDown")
            save(page, "report")
        with opened(browser, url, DESKTOP) as page:
            choose(page, CAT, CUP, ROCKET)
            expect_cards(page, "done", 3)
            save(page, "several")
        with opened(browser, url, DESKTOP) as page, tempfile.TemporaryDirectory() as folder:
            notes = Path(folder) / "notes.jpg"
            notes.write_text("this is not a picture")
            choose(page, notes)
            expect_cards(page, "failed", 1)
            save(page, "error")
        with opened(browser, url, DESKTOP) as page:
            page.route("**/", lambda route: route.fulfill(status=HTTPStatus.UNAUTHORIZED))
            choose(page, CAT)
            page.get_by_role("dialog").wait_for()
            save(page, "key", whole=False)  # what is below the window is not behind the dialog
        with opened(browser, url, DARK) as page:
            choose(page, CUP)
            expect_cards(page, "done", 1)
            save(page, "dark")
        with opened(browser, url, PHONE) as page:
            choose(page, CAT)
            expect_cards(page, "done", 1)
            save(page, "phone")
        if len(sys.argv) == 1:
            picture_of_objects(browser, url)
            picture_of_inspections(browser)
        if len(sys.argv) == 1 and (PHOTOS / "labels.csv").exists():
            picture_of_models(browser)


def picture_of_objects(browser: Browser, url: str) -> None:
    """The detector's answers, with one of the objects reached by the keyboard."""
    for _ in range(2):  # the first answer takes longer than all that follow
        with opened(browser, url, DESKTOP) as page:
            page.get_by_label("Model").select_option("ssdlite-mobilenetv2")
            choose(page, CUP)
            expect_cards(page, "done", 1)
            choose(page, CAT)
            expect_cards(page, "done", 2)
            page.get_by_role("button", name="cat").focus()
            save(page, "objects")


def picture_of_inspections(browser: Browser) -> None:
    """The page at an inspection line, with a part that lies elsewhere, after others."""
    with tempfile.TemporaryDirectory() as folder, PartCamera() as camera:
        (Path(folder) / "table.yaml").write_text(TABLE)
        settings = {"MODELS": DETECTOR, "PATTERN_DIR": folder, "CAMERA_URL": camera.url}
        with (
            Stack(Path(folder) / "data", **settings) as stack,
            opened(browser, f"{stack.url}/inspect", DESKTOP) as page,
        ):
            for picture, state in ((CUP.read_bytes(), "good"), (NO_CUP.read_bytes(), "bad"), (moved(), "bad")):
                camera.sees(picture)
                page.get_by_role("button", name="Inspect", exact=True).click()
                page.locator(f"#verdict[data-state={state}]").wait_for()
            page.get_by_text("Bad: 2").wait_for()
            save(page, "inspect")


def picture_of_models(browser: Browser) -> None:
    """The operator's page, with a candidate that was checked and has computed some pictures beside."""
    settings = {"MODELS": "resnet50@1", "CHECK_DIR": str(PHOTOS), "ADMIN_API_KEY": ADMIN_KEY, "RESULT_CACHE": "off"}
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), **settings) as stack:
        operator = Operator(stack.url, "resnet50")
        operator.send("PUT", "candidate", version="reference", share=20, shadow=100).raise_for_status()
        for photo in sorted(PHOTOS.glob("*.JPEG"))[:60]:
            with photo.open("rb") as file:
                requests.post(f"{stack.url}/predict", files={"file": file}, timeout=60).raise_for_status()
        operator.begin()
        operator.checked()
        password = {"username": "operator", "password": ADMIN_KEY}
        with opened(browser, f"{stack.url}/admin/models", {**DESKTOP, "http_credentials": password}) as page:
            save(page, "models")


@contextmanager
def service() -> Iterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder), RESULT_CACHE="off") as stack:
        yield stack.url


def warm_up(browser: Browser, url: str) -> None:
    """A first answer takes longer than all that follow, and the pictures show a usual one."""
    with opened(browser, url, DESKTOP) as page:
        choose(page, CAT, CUP, ROCKET, CAT, CUP, ROCKET)
        expect_cards(page, "done", 6)


@contextmanager
def opened(browser: Browser, url: str, look: Mapping[str, object]) -> Iterator[Page]:
    context = browser.new_context(**look)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(url)
    for command in page.locator("footer code").all():
        documented = re.sub(r"http://\S+/(?=predict|detect|v1)", DOCUMENTED_URL, command.inner_text())
        command.evaluate("(command, text) => {command.textContent = text}", documented)
    yield page
    context.close()


def save(page: Page, name: str, *, whole: bool = True) -> None:
    page.evaluate(  # what is closed is not loaded, and would be waited for without an end
        "Promise.all([...document.images].filter(image => image.checkVisibility())"
        ".map(image => image.decode().catch(() => {})))"
    )
    page.evaluate("scrollTo(0, 0)")
    shot = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    reduced(shot).save(IMAGES / f"{name}.png", optimize=True)


def reduced(shot: Image.Image) -> Image.Image:
    """``shot`` with 256 colours, half as large: the page's flat ones exactly, the rest for the photos, dithered."""
    pixels = np.asarray(shot)
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    flat = colours[np.argsort(-counts)[:FLAT_COLOURS]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([*flat.flatten(), *(shot.quantize(256 - FLAT_COLOURS, kmeans=ROUNDS).getpalette() or [])])
    indexes = np.array(shot.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))
    for index, colour in enumerate(flat):  # Pillow itself takes any colour that is near
        indexes[(pixels == colour).all(axis=2)] = index
    result = Image.fromarray(indexes)
    result.putpalette(palette.getpalette() or [])
    return result


if __name__ == "__main__":
    main()
