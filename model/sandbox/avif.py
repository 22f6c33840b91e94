"""AVIF: Pillow shows it, and OpenCV is asked whether it is damaged."""

from __future__ import annotations

import re
from io import BytesIO
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import numpy as np
from PIL import AvifImagePlugin, ImageFile

from contract.image_header import isobmff
from contract.image_header.header import BrokenHeader
from model.errors import DamagedImage, undecodable
from model.opencv import cv2
from model.sandbox.limits import check_size
from model.sandbox.pillow import load, refusals

if TYPE_CHECKING:
    from PIL import Image

# What follows the number of an item is its kind (ISO/IEC 14496-12, 8.11.6.2). Pillow refuses a picture for its EXIF
# data, and OpenCV if they lie behind the first 500 bytes; no pixel depends on them.
_METADATA = re.compile(rb"(infe(?:\x02.{3}.{2}|\x03.{3}.{4}).{2})(?:Exif|mime)", re.DOTALL)
_ALPHA = re.compile(rb"(\0\0\0\x0e)auxl(..)", re.DOTALL)  # alpha, its number, is an auxiliary picture to another one
_PRIMARY = re.compile(rb"(\0\0\0\x0epitm\0\0\0\0)..", re.DOTALL)  # which item is the picture

_SIGNATURE_BYTES = 4096


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The picture, or the first of a sequence, 8 bits a channel; it is not turned.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    pixels = _METADATA.sub(rb"\1skip", image)
    with refusals():
        check_size(AvifImagePlugin.AvifImageFile(BytesIO(pixels)).size, max_pixels)
    if not ImageFile.LOAD_TRUNCATED_IMAGES:
        _check(pixels)
    return load(AvifImagePlugin.AvifImageFile, pixels, max_pixels)


def _check(image: bytes) -> None:
    """dav1d, Pillow's decoder, shows whatever damaged data happen to mean. libaom, OpenCV's, notices.

    Raises:
        DamagedImage: libaom can't decode the colours or the alpha plane. They are tried apart, which takes half of the
            memory.
        UnsupportedImage: it has more boxes than are read.
    """
    try:
        isobmff.check_complete(image)
    except BrokenHeader as error:
        raise undecodable(error) from error
    alpha = _ALPHA.search(image)
    opaque = _ALPHA.sub(rb"\1skip\2", image)
    planes = [(opaque, cv2.IMREAD_COLOR)]
    if alpha is not None:
        planes.append((_PRIMARY.sub(lambda primary: primary[1] + alpha[2], opaque), cv2.IMREAD_GRAYSCALE))
    for plane, channels in planes:
        if cv2.imdecode(np.frombuffer(plane, np.uint8), channels) is None and _is_known_to_opencv(plane):
            raise DamagedImage("the picture is damaged")


def _is_known_to_opencv(image: bytes) -> bool:
    """Whether it takes the boxes for a picture's; if so, it has refused what they hold. It says that only of files."""
    with NamedTemporaryFile(suffix=".avif") as start:
        start.write(image[:_SIGNATURE_BYTES])
        start.flush()
        return cv2.haveImageReader(start.name)
