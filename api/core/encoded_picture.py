"""What is looked at of every picture before it is stored, whoever brings it: signature and pixel count."""

from __future__ import annotations

from api.core.errors import NotAnImage, TooLarge, Undecodable
from contract.image_header import read_header
from contract.image_header.header import BrokenHeader


def check(data: bytes, max_pixels: int) -> None:
    """Check an encoded picture's signature and header; nothing is decoded.

    Raises:
        TooLarge: it, or a part of it that a decoder needs whole, has more than ``max_pixels`` pixels.
        NotAnImage: it has no signature of a supported format.
        Undecodable: its header is damaged, or of a kind that is not supported; the message says which.
    """
    try:
        header = read_header(data)
    except BrokenHeader as error:
        raise Undecodable(str(error)) from error
    if header is None:
        raise NotAnImage(
            "the file is not a picture in a supported format (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC)"
        )
    size = header.largest
    if size.pixels > max_pixels:
        raise TooLarge(f"the picture is too large: {size.width}x{size.height} pixels; at most {max_pixels} are taken")
