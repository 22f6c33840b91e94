"""Encoded picture → pixels. Knows formats, orientation, transparency and limits; knows nothing of models.

Ordinary JPEGs, PNGs and WebPs, which nearly all uploads are, are read here. All others are read in the sandbox.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

from contract.image_header import read_header
from contract.image_header.header import BrokenHeader, Size
from model import opencv, webp
from model.errors import DamagedImage, UnsupportedImage, undecodable
from model.jpeg import CMYK_COMPONENTS, Jpeg, UnknownSampling
from model.orientation import AS_IT_LIES, turned, turned_size, way_up
from model.png import Png
from model.sandbox.limits import check_size
from model.sandbox.messages import DecodeRequest
from model.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from contract.image_header import Header
    from model.sandbox.messages import Found

ORDINARY_SCANS = 16  # encoders write about 10; each takes time for the whole picture, of which the sandbox has a limit

# Profiles found to change no colour are remembered; programs and cameras write a few dozen of them.
KNOWN_PROFILES = 256

# Of a PNG that is read here. libpng inflates whatever follows the last row, 3 s of the processor's time for each MB:
# the sandbox, which does the same with larger ones, ends that.
PNG_DATA_BYTES = 2 * 1024 * 1024


class Decoded(NamedTuple):
    """A picture.

    Attributes:
        pixels: uint8, shape (height, width, 3), channels blue, green, red.
        size: of the whole picture, turned as ``pixels`` are, which may have come smaller; then they show all of it
            within one of their own pixels.
    """

    pixels: MatLike
    size: Size


class Decoder:
    """Reads pictures of up to ``max_pixels`` (width x height). Not for several threads.

    It owns the sandbox, which the first unusual picture starts and ``close`` ends.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._sandbox = Sandbox(max_pixels)
        self._plain_profiles: set[tuple[int, bytes]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the sandbox, if it runs; another unusual picture would start it again."""
        self._sandbox.close()

    def decode(
        self, image: bytes, *, exif_orientation: bool, reduction: Callable[[Size], int], strict: bool = True
    ) -> Decoded:
        """Decode an encoded picture as a person sees it: the first frame of animations, transparency laid on white.

        Args:
            image: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC.
            exif_orientation: whether to turn the picture as its metadata say.
            reduction: given the picture's size, says by which factor (1, 2, 4 or 8) it may come smaller. A JPEG's codec
                does that in less time than it takes to decode it whole.
            strict: whether damage is refused; otherwise what is there is shown. It is for pictures that were refused
                so: one of a single colour counts as nothing.

        Raises:
            DamagedImage: bytes of the picture are missing or wrong and, without ``strict``, nothing is left of it.
            UnsupportedImage: the bytes are of no format, or of no variant of one, that is read.
            TooManyPixels: the picture, or one within it, passes the limit.
        """
        header = self._header(image)
        request = DecodeRequest(
            media_type=header.media_type,
            pixels=header.largest.pixels,
            shorter_side=min(header.size),
            reduction=reduction(header.size),
            exif_orientation=exif_orientation,
            strict=strict,
        )
        decoded = self._decoded(image, request)
        if not strict and (decoded.pixels == decoded.pixels[0, 0]).all():
            raise DamagedImage("the picture is damaged, and nothing of it is there")
        return decoded

    def _header(self, image: bytes) -> Header:
        """What the header says, held against the limit."""
        try:
            header = read_header(image)
        except BrokenHeader as error:
            raise undecodable(error) from error
        if header is None:
            raise UnsupportedImage("the file is not a picture in a supported format")
        check_size(header.largest, self._max_pixels)
        return header

    def _decoded(self, image: bytes, request: DecodeRequest) -> Decoded:
        match request.media_type:
            case "image/jpeg":
                return self._jpeg(image, request)
            case _ if not request.strict:
                return _found(self._sandbox.decode(image, request))
            case "image/png" if (png := Png.read(image, strict=True)).is_ordinary and png.data_bytes <= PNG_DATA_BYTES:
                return _whole(opencv.decode(png.pixels))
            case "image/webp" if (ordinary := webp.ordinary(image)) is not None:
                return _whole(opencv.decode(ordinary))
            case _:
                return _found(self._sandbox.decode(image, request))

    def _jpeg(self, image: bytes, request: DecodeRequest) -> Decoded:
        """Here, if its colours are known to be sRGB's; the sandbox knows of any profile whether it changes them."""
        picture = Jpeg.read(image)
        profile = (picture.frame.components, sha256(picture.profile).digest()) if picture.profile else None
        ordinary = picture.frame.components != CMYK_COMPONENTS and len(picture.scans) <= ORDINARY_SCANS
        if ordinary and (profile is None or profile in self._plain_profiles):
            with suppress(UnknownSampling):
                pixels = _pixels(picture, request)
                orientation = way_up(picture.exif, picture.xmp) if request.exif_orientation else AS_IT_LIES
                return Decoded(turned(pixels, orientation), turned_size(picture.frame.size, orientation))
        found = self._sandbox.decode(image, request)
        if profile is not None and not found.profile_applied:
            if len(self._plain_profiles) >= KNOWN_PROFILES:
                self._plain_profiles.clear()
            self._plain_profiles.add(profile)
        return _found(found)


def _found(found: Found) -> Decoded:
    return Decoded(found.pixels, found.size)


def _whole(pixels: MatLike) -> Decoded:
    height, width = pixels.shape[:2]
    return Decoded(pixels, Size(width, height))


def _pixels(picture: Jpeg, request: DecodeRequest) -> MatLike:
    try:
        return picture.decode("BGR", request.reduction, strict=request.strict)
    except DamagedImage:
        if request.strict:
            raise
        return opencv.decode(picture.image)  # it keeps the rows before those that libjpeg stops at for good
