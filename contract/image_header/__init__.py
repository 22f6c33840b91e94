"""What a picture's header says, read alike on both sides: neither takes a picture that the other refuses by its header.

Nothing here decodes. Every reader looks at a bounded number of parts, because the HTTP side reads headers between
requests: a picture that takes seconds there stops all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header import fixed, isobmff, jpeg, tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.image_header.header import Size


_BY_SIGNATURE: dict[bytes, tuple[str, Callable[[bytes], Size]]] = {
    b"\xff\xd8\xff": ("image/jpeg", jpeg.read_size),
    b"\x89PNG\r\n\x1a\n": ("image/png", fixed.read_png_size),
    b"GIF87a": ("image/gif", fixed.read_gif_size),
    b"GIF89a": ("image/gif", fixed.read_gif_size),
    b"BM": ("image/bmp", fixed.read_bmp_size),
    b"II*\0": ("image/tiff", tiff.read_size),
    b"MM\0*": ("image/tiff", tiff.read_size),
}


def media_type(data: bytes) -> str | None:
    """The media type according to the first bytes, or None if they are of no supported format."""
    known = _recognise(data)
    return known[0] if known else None


def read_size(data: bytes) -> Size | None:
    """The size that the header states, or None if the first bytes are of no supported format.

    Raises:
        BrokenHeader: the header is cut short, contradicts itself, or has more parts than are read.
    """
    known = _recognise(data)
    return known[1](data) if known else None


def _recognise(data: bytes) -> tuple[str, Callable[[bytes], Size]] | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", fixed.read_webp_size
    if (boxed := isobmff.media_type(data)) is not None:
        return boxed, isobmff.read_size
    return next((known for signature, known in _BY_SIGNATURE.items() if data.startswith(signature)), None)
