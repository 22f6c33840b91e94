"""JPEGs in inks, of rare samplings, and with a colour profile, which may hold anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from model import opencv
from model.errors import DamagedImage
from model.jpeg import CMYK_COMPONENTS, EXIF, Jpeg, UnknownSampling
from model.sandbox.limits import check_size
from model.sandbox.pillow import load
from model.sandbox.standard_error import CapturedStderr

if TYPE_CHECKING:
    from contract.image_header.header import Size
    from model.sandbox.messages import DecodeRequest


def frame(image: bytes, max_pixels: int, request: DecodeRequest) -> tuple[Image.Image, int, Size]:
    """The picture in mode L, RGB or CMYK, how much smaller it is still wanted, and its whole size.

    Mostly the codec has made it smaller.

    Raises:
        DamagedImage, UnsupportedImage: as ``model.jpeg.Jpeg``.
        TooManyPixels: it has more than ``max_pixels``.
    """
    jpeg = Jpeg.read(image)
    check_size(jpeg.frame.size, max_pixels)
    try:
        picture, reduction = _by_simplejpeg(jpeg, request), 1
    except UnknownSampling:
        picture, reduction = _by_pillow(jpeg, max_pixels, strict=request.strict), request.reduction
    picture.info = {"icc_profile": jpeg.profile, "exif": EXIF + jpeg.exif, "xmp": jpeg.xmp}
    return picture, reduction, jpeg.frame.size


def _by_simplejpeg(jpeg: Jpeg, request: DecodeRequest) -> Image.Image:
    match jpeg.frame.components:
        case 1:
            return Image.fromarray(jpeg.decode("GRAY", request.reduction, strict=request.strict)[..., 0])
        case n if n == CMYK_COMPONENTS:
            return Image.fromarray(np.invert(jpeg.decode("CMYK", request.reduction, strict=request.strict)), "CMYK")
        case _:
            return Image.fromarray(jpeg.decode("RGB", request.reduction, strict=request.strict))


def _by_pillow(jpeg: Jpeg, max_pixels: int, *, strict: bool) -> Image.Image:
    image = jpeg.without_oddities()
    if strict:
        _check_by_opencv(image)
    return load(JpegImageFile, image, max_pixels)


def check(jpeg: Jpeg) -> None:
    """Decode a JPEG that another decoder shows, and that keeps to itself what libjpeg finds odd.

    Raises:
        DamagedImage: as ``model.jpeg.Jpeg.decode``, strictly.
    """
    try:
        jpeg.decode("CMYK" if jpeg.frame.components == CMYK_COMPONENTS else "GRAY", 1, strict=True)
    except UnknownSampling:
        _check_by_opencv(jpeg.without_oddities())


def _check_by_opencv(image: bytes) -> None:
    """It lets libjpeg write to standard error what is odd."""
    with CapturedStderr() as captured:
        opencv.decode(image)
    if captured.text:
        raise DamagedImage("the picture is damaged or cut short")
