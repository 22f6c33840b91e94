"""What the boxes of an AVIF or a HEIC say (ISO/IEC 14496-12 for boxes, 23008-12 for pictures in them)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header.header import BrokenHeader, Size, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 1_000  # on one level; Pillow's files have 3, and 5 inside the box that holds the size
MAX_BRANDS = 16  # that are read; phones write up to 8

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}  # pictures and sequences, of 8 bits and of more
_ANY_CODEC = {b"mif1", b"mif2", b"msf1", b"miaf"}

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_FIRST_COMPATIBLE = 16  # after the type box's header, the major brand and its version
_VERSION_BYTES = 4  # a full box's version and flags


def media_type(image: bytes) -> str | None:
    """The media type according to the file's brands: image/avif, image/heic, or None for neither.

    If the major brand only says "some pictures", the compatible brands decide.
    """
    if image[4:8] != b"ftyp":
        return None
    major, end = image[8:12], min(int.from_bytes(image[:4]), _FIRST_COMPATIBLE + 4 * MAX_BRANDS)
    compatible = [image[start : start + 4] for start in range(_FIRST_COMPATIBLE, end, 4)]
    for brand in [major, *compatible] if major in _ANY_CODEC else [major]:
        if brand in _AVIF:
            return "image/avif"
        if brand in _HEIC:
            return "image/heic"
    return None


def read_size(image: bytes) -> Size:
    """The largest size among the file's pictures: tiles and thumbnails are smaller than the picture they belong to.

    Raises:
        BrokenHeader: no size where the standard puts it, or more boxes than are read.
    """
    properties = _inside(image, (0, len(image)), b"meta", b"iprp", b"ipco")
    sizes = [
        Size(*unpack(">II", image, start + _VERSION_BYTES))
        for name, (start, _) in _boxes(image, *properties)
        if name == b"ispe"
    ]
    if not sizes:
        raise BrokenHeader("the picture's boxes state no size")
    return max(sizes, key=lambda size: size.width * size.height)


def read_turns(image: bytes) -> list[tuple[bytes, int]]:
    """The turns to apply to the main picture, in this order: ``irot``, quarter turns to the left, 0 to 3, and ``imir``.

    The number of an ``imir`` is 0 if top and bottom change places, 1 if left and right do.

    Raises:
        BrokenHeader: the boxes do not say which is the main picture or what belongs to it, or are too many.
    """
    meta = _inside(image, (0, len(image)), b"meta")
    main_picture = _inside(image, meta, b"pitm")[0]
    (version,) = unpack(">B", image, main_picture)
    (main,) = unpack(">I" if version else ">H", image, main_picture + _VERSION_BYTES)
    properties = [
        (name, *unpack(">B", image, start)) if name in {b"irot", b"imir"} else None
        for name, (start, _) in _boxes(image, *_inside(image, meta, b"iprp", b"ipco"))
    ]
    turns = []
    for number in _properties_of(image, main, _inside(image, meta, b"iprp", b"ipma")[0]):
        turn = properties[number - 1] if 1 <= number <= len(properties) else None
        if turn is not None:
            turns.append((turn[0], turn[1] & (3 if turn[0] == b"irot" else 1)))
    return turns


def check_complete(image: bytes) -> None:
    """Compare the length that the file states for its pictures' data with its own.

    What follows the boxes is ignored: phones append film clips, and notes that are not boxes.

    Raises:
        BrokenHeader: the file is shorter.
    """
    start = 0
    for _ in range(MAX_BOXES):
        if start + _LONG_HEADER_BYTES > len(image):
            return
        kind, header, length = _box(image, start, len(image))
        if kind == b"mdat" and start + length > len(image):
            raise BrokenHeader("the picture is cut short")
        start += max(header, length)


def _properties_of(image: bytes, item: int, position: int) -> list[int]:
    """The numbers of the properties that belong to ``item``, counted from 1 (ISO/IEC 23008-12, 9.3.2)."""
    version_and_flags, items = unpack(">II", image, position)
    item_layout, item_bytes = (">I", 4) if version_and_flags >> 24 else (">H", 2)
    layout, mask, width = ("H", 0x7FFF, 2) if version_and_flags & 1 else ("B", 0x7F, 1)
    position += 8
    for _ in range(min(items, MAX_BOXES)):
        (found,) = unpack(item_layout, image, position)
        (count,) = unpack(">B", image, position + item_bytes)
        position += item_bytes + 1
        if found == item:
            return [number & mask for number in unpack(f">{count}{layout}", image, position)]
        position += count * width
    return []


def _inside(image: bytes, span: tuple[int, int], *kinds: bytes) -> tuple[int, int]:
    """Start and end of the content of a box within a box (and so on, along ``kinds``) within ``span``.

    Raises:
        BrokenHeader: there is no such box.
    """
    for kind in kinds:
        found = next((inside for name, inside in _boxes(image, *span) if name == kind), None)
        if found is None:
            raise BrokenHeader("the picture's boxes do not say what it is")
        span = (found[0] + (_VERSION_BYTES if kind == b"meta" else 0), found[1])
    return span


def _boxes(image: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The boxes of one level: the kind of each, and start and end of its content."""
    for _ in range(MAX_BOXES):
        if start >= end:
            return
        kind, header, length = _box(image, start, end)
        if not header <= length <= end - start:
            raise BrokenHeader("the picture is cut short")
        yield kind, (start + header, start + length)
        start += length
    raise BrokenHeader(f"the picture has more than {MAX_BOXES} boxes in a row")


def _box(image: bytes, start: int, end: int) -> tuple[bytes, int, int]:
    """A box's kind, its header's length and its whole length in bytes. The latter is not checked."""
    length, kind = unpack(">I4s", image, start)
    if length == 1:  # the length is in eight bytes of its own
        (length,) = unpack(">Q", image, start + _HEADER_BYTES)
        return kind, _LONG_HEADER_BYTES, length
    return kind, _HEADER_BYTES, length or end - start  # 0: to the end
