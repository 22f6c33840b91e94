"""GIF: the first picture of the file, as it lies on the screen that all of them share (GIF89a specification)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from PIL import GifImagePlugin, Image

from model.errors import DamagedImage
from model.sandbox.pillow import check_size, load

_SCREEN = struct.Struct("<6sHHBBB")  # signature, width, height, what the table is, background, shape of pixels
_PICTURE = struct.Struct("<cHHHHB")  # separator, left, top, width, height, what the table is
_HAS_TABLE = 0x80
_EXTENSION, _SEPARATOR, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _CONTROL_BYTES = 0xF9, 8


class _First(NamedTuple):
    control: bytes
    position: int


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The first picture; the rest of the screen is transparent, and what reaches over its edge is cut off.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    try:
        _, width, height, *_ = _SCREEN.unpack_from(image)
        first = _first(image)
        _, left, top, first_width, first_height, _ = _PICTURE.unpack_from(image, first.position)
    except (struct.error, IndexError) as error:
        raise DamagedImage("the picture is damaged: it is cut short") from error
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


def _first(image: bytes) -> _First:
    """Where the first picture stands, and the extension before it that says which colour is transparent."""
    position, control = _SCREEN.size + _table_bytes(image[_SCREEN.size - 3]), b""
    while (kind := image[position]) != _SEPARATOR:
        start = position
        position += 1
        if kind == _TRAILER:
            raise DamagedImage("the picture is damaged: the GIF has no picture in it")
        if kind == _EXTENSION:
            position += 1
            while length := image[position]:
                position += 1 + length
            position += 1
            if image[start + 1] == _GRAPHIC_CONTROL:
                control = image[start:position]
    return _First(control, position)


def _alone(image: bytes, first: _First) -> bytes:
    """A GIF whose screen is the first picture's: of a smaller or larger one Pillow would fill it up, or enlarge it."""
    signature, _, _, table, _, shape = _SCREEN.unpack_from(image)
    separator, _, _, width, height, what = _PICTURE.unpack_from(image, first.position)
    return b"".join(
        (
            _SCREEN.pack(signature, width, height, table, 0, shape),
            image[_SCREEN.size : _SCREEN.size + _table_bytes(table)],
            first.control if len(first.control) == _CONTROL_BYTES else b"",
            _PICTURE.pack(separator, 0, 0, width, height, what),
            memoryview(image)[first.position + _PICTURE.size :],
        )
    )


def _table_bytes(what: int) -> int:
    return 3 << (what & 7) + 1 if what & _HAS_TABLE else 0
