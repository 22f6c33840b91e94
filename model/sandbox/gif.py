"""GIF: the first picture of the file, as it lies on the screen that all of them share (GIF89a specification)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from PIL import GifImagePlugin, Image

from contract.image_header.gif import SCREEN_BYTES, first_frame, table_bytes
from contract.image_header.header import BrokenHeader, unpack
from model.errors import undecodable
from model.sandbox.limits import check_size
from model.sandbox.pillow import load

if TYPE_CHECKING:
    from contract.image_header.gif import FirstFrame

_SCREEN = "<6sHHBBB"  # signature, width, height, what the table is, background, shape of pixels
_PICTURE = "<cHHHHB"  # separator, left, top, width, height, what the table is
_CONTROL = re.compile(rb"!\xf9\x04.{4}\0", re.DOTALL)  # which colour is transparent, among others, in one block


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The first picture; the rest of the screen is transparent, and what reaches over its edge is cut off.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    try:
        first = first_frame(image)
        _, width, height, *_ = unpack(_SCREEN, image, 0)
        _, left, top, first_width, first_height, _ = unpack(_PICTURE, image, first.position)
    except BrokenHeader as error:
        raise undecodable(error) from error
    if not (width and height):  # browsers take the picture's then
        width, height = left + first_width, top + first_height
    check_size((width, height), max_pixels)
    check_size((first_width, first_height), max_pixels)
    picture: Image.Image = load(GifImagePlugin.GifImageFile, _alone(image, first), max_pixels)
    if (left, top, first_width, first_height) == (0, 0, width, height):
        return picture
    if left or top or first_width < width or first_height < height:
        picture = picture.convert("RGBA")
    return picture.crop((-left, -top, width - left, height - top))


def _alone(image: bytes, first: FirstFrame) -> bytes:
    """A GIF whose screen is the first picture's: of a smaller or larger one Pillow would fill it up, or enlarge it."""
    signature, _, _, table, _, shape = unpack(_SCREEN, image, 0)
    separator, _, _, width, height, what = unpack(_PICTURE, image, first.position)
    control = None if first.control is None else _CONTROL.match(image, first.control)
    return b"".join(
        (
            struct.pack(_SCREEN, signature, width, height, table, 0, shape),
            image[SCREEN_BYTES : SCREEN_BYTES + table_bytes(table)],
            control[0] if control else b"",
            struct.pack(_PICTURE, separator, 0, 0, width, height, what),
            memoryview(image)[first.position + struct.calcsize(_PICTURE) :],
        )
    )
