"""Boxes: the nested parts of a file of the ISO base media format (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from contract.image_header.header import BrokenHeader, UnsupportedHeader, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

# Looked at in one file, however they are nested. A photo of 200 megapixels in tiles of 512 x 512 takes 900.
MAX_BOXES = 3_000

VERSION_BYTES = 4  # with which the content of a "full" box starts: its version and flags

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16


class Box(NamedTuple):
    """Its kind, and where in the file its content starts and ends."""

    kind: bytes
    start: int
    end: int


class Boxes:
    """Walks the boxes of one file, of which it looks at ``MAX_BOXES``.

    All methods raise BrokenHeader if a box is larger than the one around it or not all there, and UnsupportedHeader if
    there are too many.
    """

    def __init__(self, image: bytes) -> None:
        self._image = image
        self._left = MAX_BOXES

    def of_file(self) -> Iterator[Box]:
        """Those on the outermost level. The last may end beyond the file.

        Notes that phones append behind it are no boxes, and are left out.
        """
        start, end = 0, len(self._image)
        while start + _LONG_HEADER_BYTES <= end:
            box, length = self._box(start, end)
            if box.start > start + length:
                return
            yield box
            start += length

    def within(self, start: int, end: int) -> Iterator[Box]:
        """Those of one level, which fill the bytes from ``start`` to ``end``."""
        while start < end:
            box, length = self._box(start, end)
            if not box.start <= box.end <= end:
                raise BrokenHeader("the picture is damaged: it is cut short")
            yield box
            start += length

    def find(self, *kinds: bytes, parent: Box | None = None) -> Box | None:
        """A box in a box (and so on, along ``kinds``) in ``parent`` or the file; the first of each kind."""
        for kind in kinds:
            level = self.of_file() if parent is None else self.within(parent.start, parent.end)
            parent = next((box for box in level if box.kind == kind), None)
            if parent is None:
                return None
            if kind == b"meta":
                parent = parent._replace(start=parent.start + VERSION_BYTES)
        return parent

    def _box(self, start: int, end: int) -> tuple[Box, int]:
        """The box at ``start``, and its whole length in bytes. The length is not checked."""
        if not self._left:
            raise UnsupportedHeader(f"a picture with more than {MAX_BOXES} boxes in it is not supported")
        self._left -= 1
        length, kind = unpack(">I4s", self._image, start)
        header = _HEADER_BYTES
        if length == 1:  # the length is in eight bytes of its own
            (length,) = unpack(">Q", self._image, start + _HEADER_BYTES)
            header = _LONG_HEADER_BYTES
        length = length or end - start  # 0: to the end
        return Box(kind, start + header, start + length), length
