"""PNG: grey of up to 16 bits, and a colour that is transparent wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from model.sandbox.grey import eight_bits
from model.sandbox.pillow import load
from model.sandbox.strips import strips

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from model.png import Png

_BIT_DEPTH = 24  # its position in the file
_DEEP = 16


class _LowBytes(PngImagePlugin.PngImageFile):
    """Of each sample of 16 bits the byte that Pillow leaves out; it compares the key colour with the other one."""

    def _open(self) -> None:
        super()._open()
        self.tile = [tile._replace(args="RGB;16L") for tile in self.tile]


def frame(png: Png, max_pixels: int) -> Image.Image:
    """The picture, 8 bits a channel; its key colour, if it has one, has become alpha, of the palette in mode P.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    pixels = png.pixels
    picture: Image.Image = load(PngImagePlugin.PngImageFile, pixels, max_pixels)
    picture.info["xmp"] = png.xmp
    if png.code_points:  # they come before a profile
        primaries, curve, *_ = png.code_points
        picture.info["nclx_profile"] = {"color_primaries": primaries, "transfer_characteristics": curve}
        picture.info.pop("icc_profile", None)
    info, depth = picture.info, pixels[_BIT_DEPTH]
    if picture.mode == "1":
        picture = picture.convert("L")
    match picture.mode:
        case "P":
            picture.apply_transparency()
            return picture
        case "I;16":
            deep, picture = picture, eight_bits(picture)
            if "transparency" in info:
                picture.putalpha(_alpha([(deep, info["transparency"])]))
        case "L" if "transparency" in info:
            highest = (1 << depth) - 1
            shown = [255] * 256
            shown[(info["transparency"] & highest) * 255 // highest] = 0
            picture.putalpha(picture.point(shown))
        case "RGB" if "transparency" in info:
            key = np.array(info["transparency"])
            if depth == _DEEP:
                low = load(_LowBytes, pixels, max_pixels)
                picture.putalpha(_alpha([(picture, key >> 8), (low, key & 255)]))
            else:
                picture.putalpha(_alpha([(picture, key & 255)]))
    picture.info = {name: value for name, value in info.items() if name != "transparency"}
    return picture


def _alpha(parts: list[tuple[Image.Image, ArrayLike]]) -> Image.Image:
    """0 where every part, of one size, has the colour that is paired with it."""
    width, height = parts[0][0].size
    alpha = np.full((height, width), 255, np.uint8)
    for part in zip(*(strips(picture) for picture, _ in parts), strict=True):
        same = [np.atleast_3d(strip) == key for (_, strip), (_, key) in zip(part, parts, strict=True)]
        alpha[part[0][0]][np.logical_and.reduce(same).all(-1)] = 0
    return Image.fromarray(alpha)
