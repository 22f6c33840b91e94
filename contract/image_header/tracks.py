"""The frames of an AVIF or HEIC sequence: its "tracks" (ISO/IEC 14496-12, sections 8.3, 8.5, 8.7 and 12.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header.header import Size, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.image_header.av1 import Streams
    from contract.image_header.boxes import Box, Boxes

_TRACK_SIZE = {0: 76, 1: 88}  # where a track's header has its width and height, by version, in 1/65,536 of a pixel
_ENTRIES = 8  # behind a table's version and flags, and the number of its entries
_ENTRY_SIZE, _ENTRY_BOXES = 24, 78  # what describes frames of pictures has their size, and further boxes
_AV1 = b"av01"
_CODECS = {_AV1, b"hvc1", b"hev1"}


def sizes(image: bytes, boxes: Boxes, streams: Streams) -> Iterator[Size]:
    """Every size that a track's header, the description of its frames, and its first frame of AV1 data state."""
    film = boxes.find(b"moov")
    if film is None:
        return
    for track in boxes.within(film.start, film.end):
        if track.kind != b"trak":
            continue
        header = boxes.find(b"tkhd", parent=track)
        if header is not None:
            (version,) = unpack(">B", image, header.start)
            width, height = unpack(">II", image, header.start + _TRACK_SIZE[min(version, 1)])
            yield Size(width >> 16, height >> 16)
        table = boxes.find(b"mdia", b"minf", b"stbl", parent=track)
        if table is not None:
            yield from _frame_sizes(image, boxes, streams, table)


def _frame_sizes(image: bytes, boxes: Boxes, streams: Streams, table: Box) -> Iterator[Size]:
    descriptions, chunks = (boxes.find(kind, parent=table) for kind in (b"stsd", b"stco"))
    for entry in boxes.within(descriptions.start + _ENTRIES, descriptions.end) if descriptions else ():
        if entry.kind not in _CODECS:
            continue
        yield Size(*unpack(">HH", image, entry.start + _ENTRY_SIZE))
        if entry.kind == _AV1:
            configuration = boxes.find(b"av1C", parent=entry._replace(start=entry.start + _ENTRY_BOXES))
            if configuration is not None:
                yield from streams.size_in_configuration(configuration)
            if chunks is not None:
                (first,) = unpack(">I", image, chunks.start + _ENTRIES)
                yield from streams.size_at(first)
