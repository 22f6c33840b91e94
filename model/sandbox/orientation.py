"""Which way up a picture is: by its metadata, or by its boxes, of which those are only a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ExifTags

from contract.image_header import isobmff
from contract.image_header.header import BrokenHeader
from model.jpeg import EXIF
from model.orientation import AS_IT_LIES, way_up

if TYPE_CHECKING:
    from PIL import Image

# Quarter turns to the left, then perhaps a mirror: MIAF (ISO/IEC 23000-22, 7.3.6.7) has them in this order, and
# Chromium takes them in it whatever the file's is. -1 is no mirror; 0 exchanges top and bottom, 1 left and right.
_BY_BOXES = {
    (0, -1): 1, (1, -1): 8, (2, -1): 3, (3, -1): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def orientation(picture: Image.Image, image: bytes, media_type: str) -> int:
    """EXIF's number, 1 to 8; ``picture`` is what Pillow has of it, ``image`` the encoded bytes."""
    match media_type:
        case "image/heic":  # libheif has turned it while it decoded
            return AS_IT_LIES
        case "image/avif":
            return _by_boxes(image)
        case "image/tiff":
            number = picture.getexif().get(ExifTags.Base.Orientation, AS_IT_LIES)
            return number if isinstance(number, int) else AS_IT_LIES
        case _:
            # Pillow puts JPEG's prefix before a PNG's data too, and some writers before a WebP's.
            return way_up(picture.info.get("exif", b"").removeprefix(EXIF), picture.info.get("xmp", b""))


def _by_boxes(image: bytes) -> int:
    """EXIF data in an AVIF only repeat what the boxes say, or contradict them in vain."""
    try:
        turns = dict(reversed(isobmff.read_turns(image)))  # of each kind the first
    except BrokenHeader:
        return AS_IT_LIES
    return _BY_BOXES[turns.get(b"irot", 0), turns.get(b"imir", -1)]
