"""What a picture's header says, read alike on both sides: neither takes a picture that the other refuses by its header.

Nothing here decodes. Every reader looks at a bounded number of parts, because the HTTP side reads headers between
requests: a picture that takes seconds there stops all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from contract.image_header import fixed, gif, isobmff, jpeg, tiff
from contract.image_header.header import BrokenHeader, Size

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_SIGNATURE: dict[bytes, tuple[str, Callable[[bytes], Size]]] = {
    b"\xff\xd8\xff": ("image/jpeg", jpeg.read_size),
    b"\x89PNG\r\n\x1a\n": ("image/png", fixed.read_png_size),
    b"GIF87a": ("image/gif", gif.read_size),
    b"GIF89a": ("image/gif", gif.read_size),
    b"BM": ("image/bmp", fixed.read_bmp_size),
    b"II*\0": ("image/tiff", tiff.read_size),
    b"MM\0*": ("image/tiff", tiff.read_size),
    b"II+\0": ("image/tiff", tiff.read_size),
    b"MM\0+": ("image/tiff", tiff.read_size),
}


def media_type(data: bytes) -> str | None:
    """The media type according to the first bytes, or None if they are of no supported format."""
    known = _recognise(data)
    return known[0] if known else None


class Header(NamedTuple):
    """What a picture says of itself.

    Attributes:
        media_type: one of those of ``media_type``.
        size: the picture's, of at least one pixel; of a GIF, an AVIF and a HEIC that of the largest thing in the file.
        largest: of the largest thing that reading the picture decodes: mostly the picture, sometimes a tile of it.
            Limits of pixels and memory go by it.
    """

    media_type: str
    size: Size
    largest: Size


def read_header(data: bytes) -> Header | None:
    """What the header says, or None if the bytes are of no supported format.

    Raises:
        BrokenHeader: the header is cut short, contradicts itself, or states no pixels.
        UnsupportedHeader: it has more parts than are read, or is of a kind that is not.
    """
    known = _recognise(data)
    if known is None:
        return None
    kind, read_size = known
    size = read_size(data)
    if size.width < 1 or size.height < 1:
        raise BrokenHeader("the picture is damaged: it has no pixels")
    return Header(kind, size, tiff.largest_size(data) if kind == "image/tiff" else size)


def is_animated_gif(data: bytes) -> bool:
    """Whether the bytes are a GIF of several frames, of which a worker sees the first; no if its header is damaged."""
    try:
        return media_type(data) == "image/gif" and gif.is_animated(data)
    except BrokenHeader:
        return False


def _recognise(data: bytes) -> tuple[str, Callable[[bytes], Size]] | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", fixed.read_webp_size
    if (boxed := isobmff.media_type(data)) is not None:
        return boxed, isobmff.read_size
    return next((known for signature, known in _BY_SIGNATURE.items() if data.startswith(signature)), None)
