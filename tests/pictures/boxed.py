"""AVIF and HEIC put together box by box, to say what no encoder writes (ISO/IEC 23008-12)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.pictures import odd

if TYPE_CHECKING:
    from PIL import Image

IROT, IMIR = b"irot", b"imir"
_ESSENTIAL = 0x80  # a reader that does not know the property must not show the picture

# By EXIF's number, the boxes that say the same: quarter turns to the left, and 0 for top and bottom exchanged or 1 for
# left and right. The standard wants them in this order.
TURNS: dict[int, tuple[tuple[bytes, int], ...]] = {
    1: (),
    2: ((IMIR, 1),),
    3: ((IROT, 2),),
    4: ((IMIR, 0),),
    5: ((IROT, 1), (IMIR, 0)),
    6: ((IROT, 3),),
    7: ((IROT, 3), (IMIR, 0)),
    8: ((IROT, 1),),
}


def box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def full_box(kind: bytes, *content: bytes, version: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *content)


def avif(picture: Image.Image, **options: object) -> tuple[list[bytes], bytes]:
    """The properties of a picture that Pillow coded, and its coded bytes."""
    return _parts(odd.encoded(picture, "AVIF", **{"quality": 95, "subsampling": "4:4:4", **options}))


def heic(picture: Image.Image) -> tuple[list[bytes], bytes]:
    """Of a picture with sides that are multiples of 64: any other is cut out of a larger one by a further box."""
    return _parts(odd.heic_of(picture, quality=95, chroma=444))


def assembled(
    properties: list[bytes],
    coded: bytes,
    *,
    brand: bytes = b"avif",
    turns: tuple[tuple[bytes, int], ...] = (),
    exif: bytes = b"",
    xmp: bytes = b"",
    alpha: tuple[list[bytes], bytes] | None = None,
    premultiplied: bool = False,
) -> bytes:
    """One picture, turned by boxes as ``turns`` says, with metadata and an alpha plane."""
    all_properties = properties + [box(kind, bytes([number])) for kind, number in turns]
    turned = [_ESSENTIAL | number for number in range(len(properties) + 1, len(all_properties) + 1)]
    associated = [[*range(1, len(properties) + 1), *turned]]
    coding = b"av01" if brand == b"avif" else b"hvc1"
    items, contents, references = [(coding, b"")], [coded], []
    if exif:
        items.append((b"Exif", b""))
        contents.append(bytes(4) + exif)
        references.append(box(b"cdsc", struct.pack(">HHH", len(items), 1, 1)))
    if xmp:
        items.append((b"mime", b"application/rdf+xml\0"))
        contents.append(xmp)
        references.append(box(b"cdsc", struct.pack(">HHH", len(items), 1, 1)))
    if alpha is not None:
        items.append((coding, b""))
        contents.append(alpha[1])
        first = len(all_properties) + 1
        all_properties = [
            *all_properties,
            *alpha[0],
            full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"),
        ]
        associated.append([*range(first, len(all_properties) + 1), *turned])
        references.append(box(b"auxl", struct.pack(">HHH", len(items), 1, 1)))
        if premultiplied:
            references.append(box(b"prem", struct.pack(">HHH", 1, 1, len(items))))
    picture_items = [1] if alpha is None else [1, len(items)]
    association = struct.pack(">I", len(picture_items)) + b"".join(
        struct.pack(">HB", item, len(numbers)) + bytes(numbers)
        for item, numbers in zip(picture_items, associated, strict=True)
    )
    entries = [
        full_box(b"infe", struct.pack(">HH4s", number, 0, kind), b"\0", extra, version=2)
        for number, (kind, extra) in enumerate(items, 1)
    ]
    kind_of_file = box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")

    def meta(data_start: int) -> bytes:
        places, position = [], data_start
        for number, content in enumerate(contents, 1):
            places.append(struct.pack(">HHHII", number, 0, 1, position, len(content)))
            position += len(content)
        return full_box(
            b"meta",
            full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", struct.pack(">H", 1)),
            full_box(b"iloc", b"\x44\0", struct.pack(">H", len(places)), *places),
            full_box(b"iinf", struct.pack(">H", len(entries)), *entries),
            full_box(b"iref", *references) if references else b"",
            box(b"iprp", box(b"ipco", *all_properties), full_box(b"ipma", association)),
        )

    start = len(kind_of_file) + len(meta(0)) + 8
    return kind_of_file + meta(start) + box(b"mdat", *contents)


def _parts(whole: bytes) -> tuple[list[bytes], bytes]:
    container = whole.index(b"ipco") - 4
    (length,) = struct.unpack_from(">I", whole, container)
    properties, position = [], container + 8
    while position < container + length:
        (size,) = struct.unpack_from(">I", whole, position)
        properties.append(whole[position : position + size])
        position += size
    data = whole.index(b"mdat") - 4
    (length,) = struct.unpack_from(">I", whole, data)
    return properties, whole[data + 8 : data + length]
