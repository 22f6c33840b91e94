"""From a request to a checked upload: size, signature and pixel count are looked at before anything is stored."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from PIL import Image, UnidentifiedImageError

from api.errors import MissingFile, NotAnImage, TooLarge, Undecodable

if TYPE_CHECKING:
    from flask import Request

    from api.settings import Settings

# What the workers' OpenCV decodes, each known by its first bytes; the rest is refused before it costs a worker a turn.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}

Image.MAX_IMAGE_PIXELS = None  # the limit is ours, MAX_PIXELS, checked on the header below
Image.preinit()


@dataclass(frozen=True, slots=True)
class Upload:
    """An encoded picture that has passed the checks; ``filename`` is the sender's word, for display only."""

    data: bytes
    filename: str

    @classmethod
    def from_request(cls, request: Request, settings: Settings, field: str = "file") -> Self:
        """Check the picture in the form field ``field``.

        Raises:
            MissingFile: no such field, no file chosen, or an empty file.
            TooLarge: the picture has more than ``max_pixels`` pixels.
            NotAnImage: no signature of a supported format.
            Undecodable: the picture's header is broken.
            RequestEntityTooLarge: werkzeug's, when the body has more than ``max_upload_mb``.
        """
        storage = request.files.get(field)
        if storage is None:
            raise MissingFile(f"the request has no file in the field '{field}'")
        data = storage.read()
        storage.close()  # its copy goes now, not after the answer
        if not data:
            raise MissingFile("the file is empty")
        check(data, settings.max_pixels)
        return cls(data, storage.filename or "")


def media_type(data: bytes) -> str | None:
    """The media type that the first bytes tell, or None where they are of no supported format."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in {b"ftypavif", b"ftypavis"}:
        return "image/avif"
    return next((kind for signature, kind in SIGNATURES.items() if data.startswith(signature)), None)


def check(data: bytes, max_pixels: int) -> None:
    """Look at an encoded picture's signature and header; nothing is decoded.

    Raises:
        TooLarge, NotAnImage, Undecodable: as the name says.
    """
    if media_type(data) is None:
        raise NotAnImage("the file is not a picture in a supported format (JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF)")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        OverflowError,
        Image.DecompressionBombError,
    ) as error:
        raise Undecodable("the picture's header is broken or cut short") from error
    if width < 1 or height < 1:
        raise Undecodable("the picture has no pixels")
    if width * height > max_pixels:
        raise TooLarge(f"the picture has {width}x{height} pixels; at most {max_pixels} are taken")
