"""What an AVIF's boxes say (ISO/IEC 14496-12 for boxes, 23008-12 for pictures in them)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.picture.header import BrokenHeader, Size, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 1_000  # on one level; Pillow's files have 3, and 5 within the one that tells the size

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_VERSION_BYTES = 4  # a full box's version and flags


def read_size(image: bytes) -> Size:
    """The largest size among the file's pictures: tiles and thumbnails are smaller than the picture they belong to.

    Raises:
        BrokenHeader: no size where the standard puts it, or more boxes than are looked at.
    """
    span = (0, len(image))
    for kind, skipped in ((b"meta", _VERSION_BYTES), (b"iprp", 0), (b"ipco", 0)):
        found = next((inside for name, inside in _boxes(image, *span) if name == kind), None)
        if found is None:
            raise BrokenHeader("the AVIF states no size")
        span = (found[0] + skipped, found[1])
    sizes = [
        Size(*unpack(">II", image, start + _VERSION_BYTES))
        for name, (start, _) in _boxes(image, *span)
        if name == b"ispe"
    ]
    if not sizes:
        raise BrokenHeader("the AVIF states no size")
    return max(sizes, key=lambda size: size.width * size.height)


def _boxes(image: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The boxes of one level: each one's kind, and where its content starts and ends."""
    for _ in range(MAX_BOXES):
        if start >= end:
            return
        length, kind = unpack(">I4s", image, start)
        header = _HEADER_BYTES
        if length == 1:  # the length is in eight bytes of its own
            (length,), header = unpack(">Q", image, start + header), _LONG_HEADER_BYTES
        elif length == 0:  # to the end
            length = end - start
        if not header <= length <= end - start:
            raise BrokenHeader("the AVIF is cut short")
        yield kind, (start + header, start + length)
        start += length
    raise BrokenHeader(f"the AVIF has more than {MAX_BOXES} boxes in a row")
