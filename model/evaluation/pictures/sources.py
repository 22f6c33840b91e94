"""One photo in every colour that Pillow has, and what a person must see of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageFilter

from model.evaluation.pictures.viewer import on_white
from model.export.bundles import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Shown = NDArray[np.uint8]

SIZE = (151, 101)  # odd, so that blocks, halved colour and rows of less than a byte all end within the picture
_HIDDEN = (255, 0, 200)  # the colour beneath full transparency, which nobody may see
_KEY = 7  # a level, or an entry of a palette, that stands for transparency


@dataclass(frozen=True, slots=True)
class Source:
    """A picture to encode, and what must be seen of it.

    Attributes:
        picture: of any of Pillow's modes; what its encoders take from ``info``, as a transparent colour, is there.
        shown: uint8, shape (height, width, 3), red, green, blue, on white.
        opaque: the same, where a format has no room for transparency.
    """

    picture: Image.Image
    shown: Shown
    opaque: Shown


@cache
def photo() -> Image.Image:
    """RGB, as soft as a camera's pictures are at full size; with black and white, by which floats are scaled."""
    picture = Image.open(GOLDEN).convert("RGB").filter(ImageFilter.GaussianBlur(1)).crop((0, 0, *SIZE))
    picture.paste((0, 0, 0), (0, 0, 8, 8))
    picture.paste((255, 255, 255), (8, 0, 16, 8))
    return picture


@cache
def source(name: str) -> Source:
    """By its name in ``SOURCES``."""
    return SOURCES[name]()


def as_drawn(picture: Image.Image) -> Source:
    """A picture without transparency, which Pillow's own conversion shows."""
    shown = np.asarray(picture.convert("RGB"))
    return Source(picture, shown, shown)


def _grey() -> Image.Image:
    return photo().convert("L")


def _deep(scaled: NDArray[np.generic]) -> Source:
    """Grey of more than 8 bits, from levels of 0 to 255 in another type."""
    shown = np.asarray(_grey().convert("RGB"))
    return Source(Image.fromarray(scaled), shown, shown)


def _few_levels(bits: int) -> Source:
    """Grey as ``bits`` hold it, at 8 bits; Pillow's PNG encoder drops the lower ones."""
    highest = (1 << bits) - 1
    levels = np.asarray(_grey()).astype(int) * highest // 255
    return as_drawn(Image.fromarray((levels * 255 // highest).astype(np.uint8)))


def _lab() -> Source:
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(photo(), transform)
    assert lab is not None
    shown = np.asarray(photo())
    return Source(lab, shown, shown)


def _palette(colours: int) -> Image.Image:
    return photo().quantize(colours, dither=Image.Dither.NONE)


def _mask(*, soft: bool) -> Image.Image:
    """Nothing at the margin, the picture in the middle; ``soft``: through all levels from left to right."""
    width, height = SIZE
    levels = np.linspace(0, 255, width) if soft else np.full(width, 255)
    alpha = np.tile(levels.astype(np.uint8), (height, 1))
    alpha[:12] = alpha[-12:] = 0
    alpha[:, :12] = alpha[:, -12:] = 0
    return Image.fromarray(alpha)


def _with_alpha(mode: str, *, soft: bool) -> Source:
    mask = _mask(soft=soft)
    colours = Image.composite(photo(), Image.new("RGB", SIZE, _HIDDEN), mask.point(lambda level: 255 * (level > 0)))
    picture = colours.convert(mode.removesuffix("A"))
    picture.putalpha(mask)
    assert picture.mode == mode
    return Source(picture, on_white(picture), np.asarray(picture.convert("RGBA").convert("RGB")))


def _with_key(picture: Image.Image, key: int | tuple[int, int, int]) -> Source:
    """A cut-out whose margin is of a colour that no other pixel has."""
    inside = np.asarray(_mask(soft=False)) > 0
    values = np.array(picture)
    taken = (values == key) if values.ndim == 2 else (values == key).all(-1)  # noqa: PLR2004 - grey has rows and columns
    values[taken] += 1
    opaque = np.asarray(_like(picture, values).convert("RGB"))
    values[~inside] = key
    keyed = _like(picture, values)
    shown = np.where(inside[..., None], opaque, 255).astype(np.uint8)
    without = np.asarray(keyed.convert("RGB"))
    keyed.info["transparency"] = key
    return Source(keyed, shown, without)


def _like(picture: Image.Image, values: NDArray[np.uint8]) -> Image.Image:
    like = Image.fromarray(values)
    if picture.mode == "P":
        like = Image.frombytes("P", like.size, values.tobytes())
        like.putpalette(picture.getpalette() or [])
    return like


def _deep_with_key() -> Source:
    """16-bit grey whose levels are those of 8 bits; the key is one of them."""
    eight = _with_key(_grey(), _KEY)
    picture = Image.fromarray(np.asarray(eight.picture).astype(np.uint16) * 257)
    picture.info["transparency"] = _KEY * 257
    return Source(picture, eight.shown, eight.opaque)


def _one_bit_with_key() -> Source:
    """Black is the page: nothing is seen but white."""
    picture = photo().convert("1")
    picture.info["transparency"] = 0
    opaque = np.asarray(picture.convert("RGB"))
    return Source(picture, np.full_like(opaque, 255), opaque)


def _palette_with_key(colours: int) -> Source:
    return _with_key(_palette(colours), min(_KEY, colours - 2))


def _palette_with_alpha() -> Source:
    """Each entry of the palette has its own alpha."""
    picture = _palette(64)
    alpha = bytes(range(0, 256, 4))
    opaque = np.asarray(picture.convert("RGB"))
    picture.info["transparency"] = alpha
    layer = np.array(list(alpha))[np.asarray(picture)][..., None]
    shown = np.rint((opaque * layer + 255 * (255 - layer)) / 255).astype(np.uint8)
    return Source(picture, shown, opaque)


def _palette_and_alpha() -> Source:
    picture = _palette(256)
    picture.putalpha(_mask(soft=True))
    assert picture.mode == "PA"
    return Source(picture, on_white(picture), np.asarray(picture.convert("RGBA").convert("RGB")))


SOURCES: dict[str, Callable[[], Source]] = {
    "1 bit": lambda: as_drawn(photo().convert("1")),
    "1 bit, key": _one_bit_with_key,
    "grey": lambda: as_drawn(_grey()),
    "grey, 2 bits": lambda: _few_levels(2),
    "grey, 4 bits": lambda: _few_levels(4),
    "grey, key": lambda: _with_key(_grey(), _KEY),
    "grey, 16 bits": lambda: _deep(np.asarray(_grey()).astype(np.uint16) * 257),
    "grey, 16 bits, big-endian": lambda: _deep(np.asarray(_grey()).astype(">u2") * 257),
    "grey, 16 bits, key": _deep_with_key,
    "grey, 32 bits": lambda: _deep(np.asarray(_grey()).astype(np.int32) * 0x808080),
    "grey, float": lambda: _deep(np.asarray(_grey()).astype(np.float32) / 255),
    "grey + alpha, cut out": lambda: _with_alpha("LA", soft=False),
    "grey + alpha, soft": lambda: _with_alpha("LA", soft=True),
    "palette": lambda: as_drawn(_palette(256)),
    "palette, 2 colours": lambda: as_drawn(_palette(2)),
    "palette, 4 colours": lambda: as_drawn(_palette(4)),
    "palette, 16 colours": lambda: as_drawn(_palette(16)),
    "palette, key": lambda: _palette_with_key(250),
    "palette, 4 colours, key": lambda: _palette_with_key(4),
    "palette, alpha": _palette_with_alpha,
    "palette + alpha, soft": _palette_and_alpha,
    "RGB": lambda: as_drawn(photo()),
    "RGB, key": lambda: _with_key(photo(), (1, 2, 3)),
    "RGBX": lambda: as_drawn(photo().convert("RGBX")),
    "RGBA, opaque": lambda: as_drawn(photo().convert("RGBA")),
    "RGBA, cut out": lambda: _with_alpha("RGBA", soft=False),
    "RGBA, soft": lambda: _with_alpha("RGBA", soft=True),
    "CMYK": lambda: as_drawn(photo().convert("CMYK")),
    "YCbCr": lambda: as_drawn(photo().convert("YCbCr")),
    "LAB": _lab,
}
"""By name, what makes them."""
