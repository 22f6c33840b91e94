"""What the worker sees of a picture is what a real browser shows of it, on a white page."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from contract.image_header import media_type
from model.tests.reading import read
from tests.pictures import boxed, gifs, odd, oriented
from tests.pictures.oriented import BYTE, LONG
from tests.pictures.raw_png import GREY, key, raw_png

pytestmark = pytest.mark.long

PREFIX = b"Exif\0\0"
CORNERS = [[gifs.RED] * 8 + [gifs.GREEN] * 8] * 8 + [[gifs.BLUE] * 8 + [gifs.YELLOW] * 8] * 8


def enlarged_webp():
    """Its first frame leaves something of its canvas."""
    black = Image.new("RGB", oriented.corners().size)
    image = odd.encoded(oriented.corners(), "WEBP", save_all=True, append_images=[black], duration=9_000, lossless=True)
    return image[:24] + (150).to_bytes(3, "little") + (90).to_bytes(3, "little") + image[30:]


SHOWN = {
    **{f"JPEG, EXIF {n}": oriented.jpeg(exif_data=oriented.exif(n)) for n in range(1, 10)},
    **{f"PNG, EXIF {n}": oriented.png(exif_data=oriented.exif(n, order="<")) for n in range(1, 10)},
    **{f"AVIF, boxes {n}": oriented.avif(turns=turns) for n, turns in boxed.TURNS.items()},
    **{f"AVIF, boxes {n}, other order": oriented.avif(turns=turns[::-1]) for n, turns in boxed.TURNS.items()},
    "JPEG, BYTE": oriented.jpeg(exif_data=oriented.exif(6, kind=BYTE)),
    "JPEG, two": oriented.jpeg_with(PREFIX + oriented.exif(6), PREFIX + oriented.exif(3)),
    "PNG, EXIF behind the pixels": oriented.png(exif_data=oriented.exif(6), after_pixels=True),
    "PNG, EXIF with a prefix": oriented.png(exif_data=PREFIX + oriented.exif(6)),
    "AVIF, EXIF": oriented.avif(exif_data=oriented.exif(6)),
    "AVIF, EXIF against boxes": oriented.avif(exif_data=oriented.exif(6), turns=boxed.TURNS[3]),
    "AVIF, XMP": oriented.avif(xmp_data=oriented.xmp(6)),
    "GIF, smaller frame": gifs.gif(40, 30, gifs.frame(CORNERS, 9, 5), gifs.TRAILER, background=gifs.BLUE),
    "GIF, no screen": gifs.gif(0, 0, gifs.frame(CORNERS), gifs.TRAILER),
    "GIF, transparent": gifs.gif(16, 16, gifs.control(gifs.GREEN), gifs.frame(CORNERS), gifs.TRAILER),
    "WebP, smaller frame": enlarged_webp(),
    "PNG, 16 bits with a key": raw_png([[0x1234, 0x1235, 0, 0xFFFF] * 8] * 8, GREY, 16, key(0x1234)),
}

TURNED_BY_OTHERS = {
    "JPEG, LONG": oriented.jpeg(exif_data=oriented.exif(6, kind=LONG)),
    "JPEG, XMP": oriented.jpeg(xmp_data=oriented.xmp(6)),
    "PNG, XMP": oriented.png(xmp_data=oriented.xmp(6)),
    "WebP, EXIF": oriented.webp(exif_data=oriented.exif(6)),
    "WebP, XMP": oriented.webp(xmp_data=oriented.xmp(6)),
}


@pytest.fixture(scope="module")
def blank(browser):
    """A white page, not the service's."""
    with browser.new_page(viewport={"width": 200, "height": 200}) as page:
        yield page


@pytest.mark.parametrize("image", SHOWN.values(), ids=SHOWN)
def test_the_worker_sees_what_a_browser_shows(blank, image):
    """Browsers decide which way up a picture is; if one changes its mind, this says so."""
    ours = read(image)[..., ::-1]
    shot = in_the_browser(blank, image)

    assert shot.shape == ours.shape
    assert np.abs(shot - ours).mean() < 3


@pytest.mark.parametrize("image", TURNED_BY_OTHERS.values(), ids=TURNED_BY_OTHERS)
def test_what_browsers_do_not_know_turns_a_picture_all_the_same(blank, image):
    """Photo programs do, and nothing in the file says otherwise: the label is that of the scene as it was."""
    shot = in_the_browser(blank, image)

    assert shot.shape == (oriented.HEIGHT, oriented.WIDTH, 3)
    assert np.abs(shot - np.rot90(read(image)[..., ::-1])).mean() < 3


def in_the_browser(blank, image):
    """What a person sees, integers of shape (height, width, 3)."""
    data = base64.b64encode(image).decode()
    blank.set_content(f'<body style="margin:0"><img src="data:{media_type(image)};base64,{data}">')
    blank.locator("img").evaluate("image => image.decode()")
    shot = Image.open(BytesIO(blank.locator("img").screenshot()))
    return np.asarray(shot.convert("RGB")).astype(int)
