"""The pictures, tiles, planes and thumbnails of an AVIF or a HEIC: its "items" (ISO/IEC 23008-12, 14496-12 8.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header.boxes import VERSION_BYTES
from contract.image_header.header import BrokenHeader, Size, UnsupportedHeader, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.image_header.av1 import Streams
    from contract.image_header.boxes import Box, Boxes

MAX_ITEMS = 1_000  # a photo of 200 megapixels in tiles of 512 x 512 has 770

# Where the content of an item that is put together of others states its size: behind version, flags, rows and columns,
# or behind version, flags and a colour (23008-12, 6.6.2.3.2 and 6.6.2.2.2).
_SIZE_BEHIND = {b"grid": 4, b"iovl": 10}

_VERSION_OF_LONG_NUMBERS = 3  # of an entry of ``iinf`` (14496-12, 8.11.6)
_IN_FILE, _IN_META = 0, 1  # where an item's content can lie; a third kind, within another item, is not followed


def sizes(image: bytes, boxes: Boxes, streams: Streams) -> Iterator[Size]:
    """Every size that the items' properties and contents state."""
    meta = boxes.find(b"meta")
    if meta is None:
        return
    properties = boxes.find(b"iprp", b"ipco", parent=meta)
    for box in boxes.within(properties.start, properties.end) if properties else ():
        if box.kind == b"ispe":
            yield Size(*unpack(">II", image, box.start + VERSION_BYTES))
        elif box.kind == b"av1C":
            yield from streams.size_in_configuration(box)
    kinds = dict(_kinds(image, boxes, meta))
    for item, position in _positions(image, boxes, meta) if kinds else ():
        kind = kinds.get(item)
        if kind in _SIZE_BEHIND:
            (flags,) = unpack(">B", image, position + 1)
            yield Size(*unpack(">II" if flags & 1 else ">HH", image, position + _SIZE_BEHIND[kind]))
        elif kind == b"av01":
            yield from streams.size_at(position)


def main(image: bytes, pitm: Box) -> int:
    """The number of the main picture."""
    (version,) = unpack(">B", image, pitm.start)
    (item,) = unpack(">I" if version else ">H", image, pitm.start + VERSION_BYTES)
    return int(item)


def properties(image: bytes, item: int, ipma: Box) -> list[int]:
    """The numbers of the properties that belong to ``item``, counted from 1 (23008-12, 9.3.2)."""
    version_and_flags, items = unpack(">II", image, ipma.start)
    item_layout, item_bytes = (">I", 4) if version_and_flags >> 24 else (">H", 2)
    layout, mask, width = ("H", 0x7FFF, 2) if version_and_flags & 1 else ("B", 0x7F, 1)
    position = ipma.start + 8
    for _ in range(min(items, MAX_ITEMS)):
        (found,) = unpack(item_layout, image, position)
        (count,) = unpack(">B", image, position + item_bytes)
        position += item_bytes + 1
        if found == item:
            return [number & mask for number in unpack(f">{count}{layout}", image, position)]
        position += count * width
    return []


def _kinds(image: bytes, boxes: Boxes, meta: Box) -> Iterator[tuple[int, bytes]]:
    """Each item's number, and what it is."""
    infos = boxes.find(b"iinf", parent=meta)
    if infos is None:
        return
    (version,) = unpack(">B", image, infos.start)
    for info in boxes.within(infos.start + VERSION_BYTES + (4 if version else 2), infos.end):
        (version,) = unpack(">B", image, info.start)
        layout = ">IH4s" if version == _VERSION_OF_LONG_NUMBERS else ">HH4s"
        item, _, kind = unpack(layout, image, info.start + VERSION_BYTES)
        yield item, kind


def _positions(image: bytes, boxes: Boxes, meta: Box) -> Iterator[tuple[int, int]]:
    """Each item's number, and where its content starts (14496-12, 8.11.3)."""
    box, inner = (boxes.find(kind, parent=meta) for kind in (b"iloc", b"idat"))
    if box is None:
        return
    version, _, sizes, more_sizes = unpack(">B3sBB", image, box.start)
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more_sizes >> 4
    index_bytes = more_sizes & 15 if version else 0
    number_bytes = 4 if version > 1 else 2
    position = box.start + VERSION_BYTES + 2
    count = _number(image, position, number_bytes)
    if count > MAX_ITEMS:
        raise UnsupportedHeader(f"a file of {count} pictures and tiles is not supported; {MAX_ITEMS} are read")
    position += number_bytes
    for _ in range(count):
        item = _number(image, position, number_bytes)
        position += number_bytes
        where = _number(image, position, 2) & 15 if version else _IN_FILE
        position += 4 if version else 2
        base = _number(image, position, base_bytes)
        extents = _number(image, position + base_bytes, 2)
        position += base_bytes + 2
        start = base + (_number(image, position + index_bytes, offset_bytes) if extents else 0)
        position += extents * (index_bytes + offset_bytes + length_bytes)
        if where == _IN_FILE:
            yield item, start
        elif where == _IN_META and inner is not None:
            yield item, inner.start + start


def _number(image: bytes, position: int, width: int) -> int:
    if position + width > len(image):
        raise BrokenHeader("the picture is damaged: its header is cut short")
    return int.from_bytes(image[position : position + width])
