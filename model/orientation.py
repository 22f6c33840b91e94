"""Which way up a picture is, by its EXIF data or by an AVIF's boxes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from contract.image_header import isobmff
from contract.image_header.header import BrokenHeader
from model.errors import UndecodableImage
from model.opencv import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike

_QUARTER_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4


def turned_by_boxes(pixels: MatLike, image: bytes) -> MatLike:
    """As the AVIF's boxes say, which OpenCV does not read. Its EXIF data repeat it, and only the boxes count.

    Raises:
        UndecodableImage: the boxes can't be read.
    """
    try:
        turns = isobmff.read_turns(image)
    except BrokenHeader as error:
        raise UndecodableImage(str(error)) from error
    for kind, number in turns:
        if kind == b"imir":
            pixels = cv2.flip(pixels, number)
        elif number:
            pixels = cv2.rotate(pixels, _QUARTER_TURNS[number])
    return pixels


def turned_by_exif(pixels: MatLike, exif: bytes) -> MatLike:
    """Undo what EXIF says the camera did: 5 to 8 are 1 to 4 with rows and columns exchanged first."""
    orientation = _orientation(exif)
    if orientation > 4:  # noqa: PLR2004
        pixels = cv2.transpose(pixels)
    # Where row 0 and column 0 of the stored picture lie (EXIF 2.32, 4.6.4): a flip puts them top left.
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return pixels if flip is None else cv2.flip(pixels, flip)


def _orientation(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8; 1 (upright) where it is missing or damaged."""
    exif = exif.removeprefix(b"Exif\0\0")  # some writers of WebP keep the marker that only JPEG asks for
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, directory + 2 + 12 * entry)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1  # noqa: PLR2004 - EXIF's range
    except struct.error:
        pass
    return 1
