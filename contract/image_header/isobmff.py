"""What the boxes of an AVIF or a HEIC say (ISO/IEC 14496-12 for boxes, 23008-12 for pictures in them)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header import items, tracks
from contract.image_header.av1 import Streams
from contract.image_header.boxes import Boxes
from contract.image_header.header import BrokenHeader, Size, unpack

if TYPE_CHECKING:
    from contract.image_header.boxes import Box

MAX_BRANDS = 16  # that are read; phones write up to 8

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}  # pictures and sequences, of 8 bits and of more
_ANY_CODEC = {b"mif1", b"mif2", b"msf1", b"miaf"}
_SEQUENCES = {b"avis", b"hevc", b"hevx", b"msf1"}

_FIRST_COMPATIBLE = 16  # after the type box's header, the major brand and its version


def media_type(image: bytes) -> str | None:
    """The media type according to the file's brands: image/avif, image/heic, or None for neither.

    If the major brand only says "some pictures", the compatible brands decide.
    """
    if image[4:8] != b"ftyp":
        return None
    major, *compatible = _brands(image)
    for brand in [major, *compatible] if major in _ANY_CODEC else [major]:
        if brand in _AVIF:
            return "image/avif"
        if brand in _HEIC:
            return "image/heic"
    return None


def read_size(image: bytes) -> Size:
    """The largest size in the file: of its pictures, their tiles, planes and thumbnails, and its sequences' frames.

    Decoders need memory for what is coded, whatever the boxes around it say. So the sizes that AV1 data state count
    too; those of HEVC data do not.

    Raises:
        BrokenHeader: no size where the standards put it, or more boxes or pictures than are read.
    """
    boxes, streams = Boxes(image), Streams(image)
    sizes = [*items.sizes(image, boxes, streams)]
    if not _SEQUENCES.isdisjoint(_brands(image)):  # otherwise a film is none of the picture's: phones append some
        sizes += tracks.sizes(image, boxes, streams)
    if not sizes:
        raise BrokenHeader("the picture is damaged: its boxes state no size")
    return max(sizes, key=lambda size: size.pixels)


def read_turns(image: bytes) -> list[tuple[bytes, int]]:
    """The turns to apply to the main picture, in this order: ``irot``, quarter turns to the left, 0 to 3, and ``imir``.

    The number of an ``imir`` is 0 if top and bottom change places, 1 if left and right do. There are none for a
    sequence without a main picture.

    Raises:
        BrokenHeader: the boxes are cut short, or too many.
    """
    boxes = Boxes(image)
    meta = boxes.find(b"meta")
    if meta is None:
        return []
    main_picture = boxes.find(b"pitm", parent=meta)
    properties = boxes.find(b"iprp", b"ipco", parent=meta)
    associations = boxes.find(b"iprp", b"ipma", parent=meta)
    if main_picture is None or properties is None or associations is None:
        return []
    turns = [
        (box.kind, *unpack(">B", image, box.start)) if box.kind in {b"irot", b"imir"} else None
        for box in boxes.within(properties.start, properties.end)
    ]
    numbers = items.properties(image, items.main(image, main_picture), associations)
    mine = [turns[number - 1] for number in numbers if 1 <= number <= len(turns)]
    return [(kind, value & (3 if kind == b"irot" else 1)) for kind, value in filter(None, mine)]


def check_complete(image: bytes) -> None:
    """Compare the length that the file states for its pictures' data with its own.

    What follows the boxes is ignored: phones append film clips, and notes that are not boxes.

    Raises:
        BrokenHeader: the file is shorter, or has too many boxes.
    """
    if any(_is_cut_short(box, len(image)) for box in Boxes(image).of_file()):
        raise BrokenHeader("the picture is damaged: it is cut short")


def _brands(image: bytes) -> list[bytes]:
    """The major brand, and the compatible ones."""
    end = min(int.from_bytes(image[:4]), _FIRST_COMPATIBLE + 4 * MAX_BRANDS)
    return [image[8:12], *(image[start : start + 4] for start in range(_FIRST_COMPATIBLE, end, 4))]


def _is_cut_short(box: Box, file_bytes: int) -> bool:
    return box.kind == b"mdat" and box.end > file_bytes
