"""What a browser shows of pictures with colour profiles is what the models get."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from model.sandbox.colour import to_srgb
from tests.pictures import odd, profiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

pytestmark = pytest.mark.long


@pytest.fixture
def shown(browser: Browser) -> Callable[[bytes, str], np.ndarray]:
    """Gives what a browser shows of a picture: int16, shape (height, width, 3), red, green, blue."""

    def show(image: bytes, media_type: str) -> np.ndarray:
        page = browser.new_page()
        page.set_content(f'<img src="data:{media_type};base64,{base64.b64encode(image).decode()}">')
        page.evaluate("document.querySelector('img').decode()")
        screenshot = page.locator("img").screenshot()
        page.close()
        return np.asarray(Image.open(BytesIO(screenshot)).convert("RGB"), np.int16)

    return show


@pytest.mark.parametrize(
    "make",
    [profiles.display_p3, profiles.adobe_rgb, profiles.prophoto_rgb, profiles.swapped_channels],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 90, "subsampling": "4:4:4"}),
    ],
)
def test_a_picture_with_a_profile_is_seen_as_a_browser_shows_it(shown, make, file_format, options):
    """Every pixel of the photo is far from what its numbers mean in sRGB."""
    image = odd.encoded(odd.photo(), file_format, icc_profile=make(), **options)
    stored = odd.opened(image).convert("RGB")
    seen = shown(image, f"image/{file_format.lower()}")

    assert np.abs(seen - np.asarray(stored)).mean() > 4
    assert np.abs(seen - np.asarray(to_srgb(stored))).mean() < 1


def test_inks_are_seen_as_a_browser_shows_them(shown):
    image = odd.encoded(odd.photo().convert("CMYK"), "JPEG", icc_profile=profiles.inks(), quality=95)
    picture = odd.opened(image)
    picture.load()
    seen = shown(image, "image/jpeg")

    assert np.abs(seen - np.asarray(picture.convert("RGB"))).mean() > 8
    assert np.abs(seen - np.asarray(to_srgb(picture))).mean() < 1.5


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("make", [profiles.grey, profiles.prophoto_rgb], ids=lambda make: make.__name__)
def test_greys_are_seen_as_a_browser_shows_them(shown, make, file_format):
    image = odd.encoded(odd.photo().convert("L"), file_format, icc_profile=make())
    picture = odd.opened(image)
    picture.load()
    seen = shown(image, f"image/{file_format.lower()}")

    assert np.abs(seen - np.asarray(picture.convert("RGB"))).mean() > 8
    assert np.abs(seen - np.asarray(to_srgb(picture).convert("RGB"))).mean() < 1


@pytest.mark.parametrize("make", [profiles.grey, profiles.inks, lambda: b"\xff" * 4000], ids=["grey", "inks", "broken"])
def test_a_profile_of_no_use_is_ignored_as_a_browser_ignores_it(shown, make):
    image = odd.encoded(odd.photo(), "PNG", icc_profile=make())
    picture = odd.opened(image)
    picture.load()

    assert np.abs(shown(image, "image/png") - np.asarray(to_srgb(picture))).max() == 0
