"""Encoded picture → pixels. Knows formats, orientation, transparency and limits; knows nothing of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from contract.image_header import isobmff, jpeg, media_type, read_size
from contract.image_header.header import BrokenHeader
from model import png
from model.errors import TooManyPixels, UndecodableImage
from model.heic import HeicDecoder
from model.opencv import cv2
from model.orientation import turned_by_boxes, turned_by_exif

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from contract.image_header.header import Size

# Encoders write about 10 for a progressive photo. Each scan passes over the whole picture, so a few bytes
# repeated could otherwise keep a worker busy for minutes.
MAX_JPEG_SCANS = 100

_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


class Decoder:
    """Reads pictures of up to ``max_pixels`` (width x height). Not for several threads.

    It owns the process that reads HEICs, which its first HEIC starts and ``close`` ends.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._heic = HeicDecoder(max_pixels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads HEICs, if it runs; another HEIC would start it again."""
        self._heic.close()

    def decode(self, image: bytes, *, exif_orientation: bool, reduction: Callable[[Size], int]) -> MatLike:
        """Decode an encoded picture: the first frame of animations, transparency laid on white.

        Args:
            image: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC or another format that OpenCV reads.
            exif_orientation: whether to turn the picture as its EXIF data says. An AVIF's boxes count as such;
                a HEIC is turned as its boxes say in any case.
            reduction: given a JPEG's or a HEIC's size, says by which factor (1, 2, 4 or 8) it may come smaller. A
                JPEG's codec does that in less time than it takes to decode it whole.

        Returns:
            uint8, shape (height, width, 3), channels blue, green, red.

        Raises:
            UndecodableImage: the bytes are no picture that OpenCV or libheif can read, or are cut short.
            TooManyPixels: the header states more pixels than the limit.
        """
        size = self._checked_size(image)
        match media_type(image):
            case "image/jpeg":
                assert size is not None, "its format is known"
                flags = _colour_flags(exif_orientation=exif_orientation) | _REDUCED[reduction(size)]
                return self._read(image, flags)[0]
            case "image/heic":
                assert size is not None, "its format is known"
                _check_complete(image)
                return self._heic.decode(image, reduction(size))
            case "image/avif":
                pixels, _ = self._read(image, cv2.IMREAD_COLOR)
                return turned_by_boxes(pixels, image) if exif_orientation else pixels
            case "image/png":
                return self._decode_transparent(png.only_pixels(image), exif_orientation=exif_orientation)
            case "image/gif" | "image/webp":
                return self._decode_transparent(image, exif_orientation=exif_orientation)
            case _:  # a TIFF's fourth channel may be CMYK's black
                return self._read(image, _colour_flags(exif_orientation=exif_orientation))[0]

    def _checked_size(self, image: bytes) -> Size | None:
        """What the header says, held against the limits; None where it is of a format that only OpenCV knows."""
        try:
            size = read_size(image)
            scans = jpeg.count_scans(image) if media_type(image) == "image/jpeg" else 0
        except BrokenHeader as error:
            raise UndecodableImage(str(error)) from error
        # OpenCV would hold only a JPEG's reduced size against its limit, but a progressive one needs memory for all of
        # it.
        if size is not None and size.width * size.height > self._max_pixels:
            raise self._too_many_pixels()
        if scans > MAX_JPEG_SCANS:
            raise UndecodableImage(f"the JPEG makes {scans} passes over the picture; {MAX_JPEG_SCANS} are read")
        return size

    def _too_many_pixels(self) -> TooManyPixels:
        return TooManyPixels(f"the picture has more than {self._max_pixels} pixels")

    def _read(self, image: bytes, flags: int) -> tuple[MatLike, bytes]:
        """Pixels as ``flags`` ask for them, and the EXIF data, if any."""
        if not image:
            raise UndecodableImage("the file is empty")
        try:
            pixels, kinds, blobs = cv2.imdecodeWithMetadata(np.frombuffer(image, np.uint8), flags=flags)
        except cv2.error as error:
            if "CV_IO_MAX_IMAGE" in str(error):  # the names of OpenCV's own limits, as its assertion states them
                raise self._too_many_pixels() from error
            if error.code == cv2.Error.STS_NO_MEM:
                raise
            raise UndecodableImage("the file is damaged or no picture of a known format") from error
        if pixels is None:
            raise UndecodableImage("the file is damaged, cut short or no picture of a known format")
        exif = [blob.tobytes() for kind, blob in zip(kinds, blobs, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
        return pixels, exif[0] if exif else b""

    def _decode_transparent(self, image: bytes, *, exif_orientation: bool) -> MatLike:
        """Read with the alpha channel, which OpenCV gives only together with the file's own depth and orientation."""
        pixels, exif = self._read(image, cv2.IMREAD_UNCHANGED)
        if pixels.dtype == np.uint16:
            pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
        upright = on_white(pixels)
        return turned_by_exif(upright, exif) if exif_orientation else upright


def on_white(pixels: MatLike) -> MatLike:
    """Grey (height, width), BGR or BGRA (height, width, 3 or 4) → BGR, as a viewer with a white page shows it."""
    if pixels.ndim == 2:  # noqa: PLR2004 - no channel axis
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.shape[2] == 3:  # noqa: PLR2004 - blue, green, red
        return pixels
    colour, alpha = cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), cv2.extractChannel(pixels, 3)
    if alpha.min() == 255:  # noqa: PLR2004 - opaque
        return colour
    # colour * alpha + white * (1 - alpha), in place and with one multiplication: it may be fifty million pixels.
    cv2.bitwise_not(colour, dst=colour)
    cv2.multiply(colour, cv2.merge([alpha, alpha, alpha]), dst=colour, scale=1 / 255)
    return cv2.bitwise_not(colour, dst=colour)


def _colour_flags(*, exif_orientation: bool) -> int:
    return cv2.IMREAD_COLOR if exif_orientation else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def _check_complete(image: bytes) -> None:
    """Tiles for which there is no data are left grey by libheif."""
    try:
        isobmff.check_complete(image)
    except BrokenHeader as error:
        raise UndecodableImage(str(error)) from error
