"""Encoded picture → pixels as a person sees them, of any supported format; runs inside the sandbox's process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import ImageFile

from contract.image_header.header import Size
from model import opencv
from model.opencv import cv2
from model.orientation import AS_IT_LIES, turned, turned_size
from model.png import Png
from model.sandbox import avif, bmp, gif, heic, jpeg, pillow, png, tiff, webp
from model.sandbox.colour import changes_colours, to_srgb
from model.sandbox.limits import check_size
from model.sandbox.messages import Found
from model.sandbox.orientation import orientation
from model.sandbox.transparency import on_white

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike
    from PIL import Image

    from model.sandbox.messages import DecodeRequest

_FRAMES: dict[str, Callable[[bytes, int], Image.Image]] = {
    "image/webp": webp.frame,
    "image/gif": gif.frame,
    "image/bmp": bmp.frame,
    "image/tiff": tiff.frame,
    "image/avif": avif.frame,
    "image/heic": heic.frame,
}
"""By media type, what gives the first frame of a file: loaded, 8 bits a channel, of a mode that ``to_srgb`` takes;
``info`` has its profile, EXIF data and XMP. JPEG and PNG have further ways."""

_NEARLY = 0.95  # coded pictures have a few rows and columns more than are shown


def read(image: bytes, request: DecodeRequest, max_pixels: int) -> Found:
    """The first frame, as a viewer with a white page shows it.

    With ``request.strict`` unset, what is there of a damaged picture is shown, if the format's decoder gives anything.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: the picture's fault; the message is for its sender.
        MemoryError: it takes more memory than there is.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = not request.strict
    reduction = request.reduction
    with pillow.refusals():
        match request.media_type:
            case "image/jpeg":
                picture, reduction, size = jpeg.frame(image, max_pixels, request)
            case "image/png":
                file = Png.read(image, strict=request.strict)
                check_size(file.size, max_pixels)
                if file.is_ordinary and request.strict:
                    pixels = _smaller(opencv.decode(file.pixels), reduction)
                    return Found(pixels, profile_applied=False, size=Size(*file.size))
                picture = png.frame(file, max_pixels)
                size = Size(*picture.size)
            case _:
                picture = _FRAMES[request.media_type](image, max_pixels)
                size = Size(*picture.size)
    if min(picture.size) < _NEARLY * request.shorter_side:  # the header's size is that of something larger in the file
        reduction = 1
    way_up = orientation(picture, image, request.media_type) if request.exif_orientation else AS_IT_LIES
    with pillow.refusals():
        profile_applied = changes_colours(picture.info.get("icc_profile", b""), picture.mode)
        pixels = on_white(to_srgb(picture))
    del picture  # before the turn, which may take as much memory
    return Found(turned(_smaller(pixels, reduction), way_up), profile_applied, turned_size(size, way_up))


def _smaller(pixels: MatLike, reduction: int) -> MatLike:
    """Averaged over squares of about ``reduction`` pixels, so that all of the picture is in it."""
    if reduction == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = max(1, width // reduction), max(1, height // reduction)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
