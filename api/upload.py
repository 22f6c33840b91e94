"""From a request to a checked upload: size, signature and pixel count are looked at before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.errors import MissingFile, NotAnImage, TooLarge, Undecodable
from contract.picture import media_type, read_size
from contract.picture.header import BrokenHeader

if TYPE_CHECKING:
    from flask import Request

    from api.settings import Settings

__all__ = ["Upload", "check", "media_type"]


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


def check(data: bytes, max_pixels: int) -> None:
    """Look at an encoded picture's signature and header; nothing is decoded.

    Raises:
        TooLarge, NotAnImage, Undecodable: as the name says.
    """
    try:
        size = read_size(data)
    except BrokenHeader as error:
        raise Undecodable(str(error)) from error
    if size is None:
        raise NotAnImage("the file is not a picture in a supported format (JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF)")
    width, height = size
    if width < 1 or height < 1:
        raise Undecodable("the picture has no pixels")
    if width * height > max_pixels:
        raise TooLarge(f"the picture has {width}x{height} pixels; at most {max_pixels} are taken")
