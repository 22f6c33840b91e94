"""HEIC: libheif turns it as its boxes say, while it decodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageFile
from pillow_heif import HeifImageFile

from contract.image_header import isobmff
from contract.image_header.header import BrokenHeader
from model.errors import undecodable
from model.sandbox.grey import eight_bits
from model.sandbox.pillow import load

if TYPE_CHECKING:
    from PIL import Image


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The main picture, 8 bits a channel, upright.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    if not ImageFile.LOAD_TRUNCATED_IMAGES:
        try:
            isobmff.check_complete(image)  # libheif fills up with grey
        except BrokenHeader as error:
            raise undecodable(error) from error
    picture: Image.Image = load(HeifImageFile, image, max_pixels)
    if picture.mode == "I;16":
        info, picture = picture.info, eight_bits(picture)
        picture.info = info
    return picture
