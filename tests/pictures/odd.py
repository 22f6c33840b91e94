"""Pictures as people send them, made on the spot: unusual but valid ones, and broken ones.

The valid ones show the same photo, so a reader must see the same thing in each.
"""

from __future__ import annotations

import re
import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent
CHELSEA, COFFEE, ROCKET = (FOLDER / name for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg"))

_ORIENTATION_TAG = 0x0112  # EXIF
_TURN_CLOCKWISE_TO_VIEW = 6
_AFTER_START_OF_IMAGE = 2
_AFTER_PNG_HEADER = 33
_FIXED_BITS_OF_A_PARAMETER_SET = 16 + 8 + 96  # of H.265: the unit's header, IDs, and the profile of one layer
_HOSTILE_BYTES = 19_500_000  # below the default limit on uploads


def photo(path: Path = CHELSEA) -> Image.Image:
    """One of the folder's photos, decoded, RGB."""
    return Image.open(path).convert("RGB")


def opened(image: bytes) -> Image.Image:
    return Image.open(BytesIO(image))


def encoded(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    """A picture as a file of a format that Pillow writes."""
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def heic_of(picture: Image.Image, **options: Any) -> bytes:
    """A picture as HEIC, which Pillow does not write."""
    file = BytesIO()
    pillow_heif.from_pillow(picture).save(file, **{"quality": 80, **options})
    return file.getvalue()


@cache
def _of_photo(path: Path, file_format: str, **options: Any) -> bytes:
    """A photo in another format, encoded once for all tests of a process."""
    made = photo(path)
    return heic_of(made, **options) if file_format == "HEIC" else encoded(made, file_format, **options)


def png(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "PNG")


def bmp(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "BMP")


def tiff(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "TIFF", compression="tiff_lzw")


def webp(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "WEBP", quality=90)


def avif(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "AVIF", quality=80)


def heic(path: Path = CHELSEA, **options: Any) -> bytes:
    """As phones write it, but in one piece; iPhones make tiles of 512 x 512."""
    return _of_photo(path, "HEIC", **options)


def tiled_heic(path: Path = CHELSEA) -> bytes:
    return heic(path, tile_size=128)


def turned_heic(path: Path = CHELSEA) -> bytes:
    """Stored sideways, as phones do: boxes say how to turn it upright, and EXIF data repeat it."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE_TO_VIEW
    return heic_of(photo(path).transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())


def gif(path: Path = CHELSEA) -> bytes:
    return _of_photo(path, "GIF")


def animated_gif(path: Path = CHELSEA) -> bytes:
    """The photo first, then a black frame."""
    return encoded(photo(path), "GIF", save_all=True, append_images=[_black(path)], duration=100)


def animated_webp(path: Path = CHELSEA) -> bytes:
    """The photo first, then a black frame."""
    return encoded(photo(path), "WEBP", save_all=True, append_images=[_black(path)], duration=100, quality=90)


def progressive_jpeg(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "JPEG", quality=90, progressive=True)


def cmyk_jpeg(path: Path = CHELSEA) -> bytes:
    """Four inks, as print shops save photos."""
    return encoded(photo(path).convert("CMYK"), "JPEG", quality=90)


def greyscale_jpeg(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path).convert("L"), "JPEG", quality=90)


def sixteen_bit_png(path: Path = CHELSEA) -> bytes:
    """Three channels of 16 bits, which Pillow can't write: assembled from its parts."""
    rgb = np.asarray(photo(path)).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)  # each row starts with its filter: none
    height, width = rgb.shape[:2]
    return _png(width, height, depth=16, data=zlib.compress(rows))


def sixteen_bit_grey_png(path: Path = CHELSEA) -> bytes:
    return encoded(Image.fromarray(np.asarray(photo(path).convert("L")).astype(np.uint16) * 257), "PNG")


def alpha_png(path: Path = CHELSEA) -> bytes:
    """The photo, opaque, with a transparent margin whose hidden colour is black."""
    picture = photo(path).convert("RGBA")
    return encoded(ImageOps.expand(picture, border=20, fill=(0, 0, 0, 0)), "PNG")


def palette_png(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path).convert("P", palette=Image.Palette.ADAPTIVE), "PNG")


def exif_rotated_jpeg(path: Path = CHELSEA) -> bytes:
    """Stored sideways, with the tag that says how to turn it upright."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE_TO_VIEW
    return encoded(photo(path).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def jpeg_with_trailing_bytes(path: Path = CHELSEA) -> bytes:
    """As written by cameras that append a preview or a film clip."""
    return path.read_bytes() + b"\0" * 64 + b"\xff\xda more" * 1000


def truncated_jpeg(path: Path = CHELSEA) -> bytes:
    """The first half of a file, as a broken upload leaves it."""
    whole = path.read_bytes()
    return whole[: len(whole) // 2]


def truncated_png(path: Path = CHELSEA) -> bytes:
    """The first half of a file, with the picture's upper half."""
    whole = png(path)
    return whole[: len(whole) // 2]


def jpeg_with_endless_scans(scans: int = 1_000) -> bytes:
    """A progressive JPEG that asks for pass after pass over the picture: small to send, long to decode."""
    whole = progressive_jpeg()
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[last:end] * scans + whole[end:]


def jpeg_with_endless_metadata() -> bytes:
    """A segment of EXIF data of no length, a million times."""
    return _repeated_in(CHELSEA.read_bytes(), _AFTER_START_OF_IMAGE, b"\xff\xe1\0\x08Exif\0\0")


def jpeg_with_endless_comments() -> bytes:
    return _repeated_in(CHELSEA.read_bytes(), _AFTER_START_OF_IMAGE, b"\xff\xfe\0\x02")


def jpeg_with_endless_comments_after_its_scan() -> bytes:
    return _repeated_in(CHELSEA.read_bytes(), -len(b"\xff\xd9"), b"\xff\xfe\0\x02")


def jpeg_with_endless_fill_bytes() -> bytes:
    return _repeated_in(CHELSEA.read_bytes(), _AFTER_START_OF_IMAGE, b"\xff")


def jpeg_with_endless_restarts() -> bytes:
    """Before its frame header, where none belongs."""
    return _repeated_in(CHELSEA.read_bytes(), _AFTER_START_OF_IMAGE, b"\xff\xd0")


def png_with_endless_profiles() -> bytes:
    """20,000 colour profiles of 1 MB each, compressed to 1 kB."""
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(1_000_000)))
    return _repeated_in(png(), _AFTER_PNG_HEADER, profile)


def png_with_endless_data_chunks() -> bytes:
    """With no data in them."""
    return _repeated_in(png(), _AFTER_PNG_HEADER, chunk(b"IDAT", b""))


def png_with_inflating_texts() -> bytes:
    """2,000 texts of 8 MB each, compressed to 8 kB. Otherwise a valid picture."""
    text = chunk(b"zTXt", b"t\0\0" + zlib.compress(bytes(7_900_000)))
    return _repeated_in(png(), _AFTER_PNG_HEADER, text)


def tiff_with_overlapping_values() -> bytes:
    """Two thousand entries, each of which claims the same 19 MB of the file as its own."""
    size = [(256, 4, 1, 2), (257, 4, 1, 2), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 4)]
    return _tiff(size + [(tag, 7, 19_000_000, 1_000) for tag in range(40_000, 42_000)]) + bytes(_HOSTILE_BYTES)


def tiff_with_endless_entries() -> bytes:
    return _tiff([(256, 4, 1, 2), (257, 4, 1, 2)] * 30_000)


def avif_with_endless_boxes() -> bytes:
    """Before the one that states the picture's size."""
    whole = avif()
    (type_box_ends,) = struct.unpack_from(">I", whole)
    return _repeated_in(whole, type_box_ends, b"\0\0\0\x08free")


def heic_with_endless_boxes() -> bytes:
    """Before the one that states the picture's size."""
    whole = heic()
    (type_box_ends,) = struct.unpack_from(">I", whole)
    return _repeated_in(whole, type_box_ends, b"\0\0\0\x08free")


def huge_heic(width: int = 30_000, height: int = 30_000) -> bytes:
    """A complete HEIC whose boxes were changed to claim 900 megapixels."""
    whole = bytearray(heic())
    size = whole.index(b"ispe") + 8
    whole[size : size + 8] = struct.pack(">II", width, height)
    return bytes(whole)


def heic_with_a_huge_picture_in_it(side: int = 30_000) -> bytes:
    """The boxes say 452 x 300; the size in the coded picture's header (H.265, 7.3.2.2) was changed to more."""
    whole = heic()
    start = whole.index(b"\x42\x01\x01")  # the sequence parameter set, behind its length
    (length,) = struct.unpack_from(">H", whole, start - 2)
    bits = "".join(f"{byte:08b}" for byte in whole[start : start + length].replace(b"\0\0\3", b"\0\0"))
    sides_start = position = _exp_golomb_end(bits, _exp_golomb_end(bits, _FIXED_BITS_OF_A_PARAMETER_SET))
    for _ in range(2):
        position = _exp_golomb_end(bits, position)
    changed = bits[:sides_start] + 2 * _exp_golomb(side) + bits[position:].rstrip("0")
    changed += "0" * (-len(changed) % 8)
    escaped = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", int(changed, 2).to_bytes(len(changed) // 8))
    return _with_longer_box(whole, start - 2, 2 + length, struct.pack(">H", len(escaped)) + escaped)


def text_as_jpeg() -> bytes:
    return b"This is a text file, whatever its name says.\n" * 20


def zero_by_zero_png() -> bytes:
    return _png(0, 0)


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A header that claims 900 megapixels, followed by only a few bytes."""
    return _png(width, height)


def png_with_a_huge_chunk() -> bytes:
    """A chunk that claims 4 GB."""
    whole = png()
    return whole[:_AFTER_PNG_HEADER] + struct.pack(">I", 0xFFFFFFF0) + whole[_AFTER_PNG_HEADER + 4 :]


def thread_png(length: int = 1_000_000) -> bytes:
    """One pixel high, and very long: kept in proportion, it grows beyond measure."""
    return encoded(Image.new("RGB", (length, 1), (10, 20, 30)), "PNG")


def huge_jpeg(width: int = 30_000, height: int = 30_000) -> bytes:
    """A complete JPEG whose frame header was changed to claim 900 megapixels."""
    whole = bytearray(encoded(photo(), "JPEG"))
    frame = whole.index(b"\xff\xc0")
    whole[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


SOUND = {
    make.__name__: make
    for make in (
        png, bmp, tiff, webp, gif, animated_gif, animated_webp, progressive_jpeg, cmyk_jpeg, sixteen_bit_png,
        alpha_png, palette_png, exif_rotated_jpeg, jpeg_with_trailing_bytes, greyscale_jpeg, sixteen_bit_grey_png,
    )
}  # fmt: skip
"""By name, the makers of pictures that every reader must read correctly; the last two without colour."""


ENDLESS = {
    make.__name__: make
    for make in (
        jpeg_with_endless_metadata, jpeg_with_endless_comments, jpeg_with_endless_fill_bytes,
        jpeg_with_endless_restarts, png_with_endless_profiles,
        png_with_endless_data_chunks, tiff_with_overlapping_values, tiff_with_endless_entries, avif_with_endless_boxes,
        heic_with_endless_boxes,
    )
}  # fmt: skip
"""By name, the makers of uploads that would keep a reader without limits busy; every reader refuses them."""


def _exp_golomb(value: int) -> str:
    """A number of any size in bits (H.265, 9.2)."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _exp_golomb_end(bits: str, position: int) -> int:
    return 2 * bits.index("1", position) - position + 1


def _with_longer_box(heic: bytes, start: int, length: int, content: bytes) -> bytes:
    """With other content in ``hvcC``; the boxes around it and the offset of the data are corrected."""
    longer = len(content) - length
    changed = bytearray(heic)
    for kind in (b"meta", b"iprp", b"ipco", b"hvcC"):
        size = heic.index(kind) - 4
        struct.pack_into(">I", changed, size, struct.unpack_from(">I", heic, size)[0] + longer)
    data = heic.index(b"mdat") + 4
    struct.pack_into(">I", changed, heic.index(struct.pack(">I", data), heic.index(b"iloc")), data + longer)
    return bytes(changed[:start] + content + changed[start + length :])


def _black(path: Path) -> Image.Image:
    return Image.new("RGB", photo(path).size)


def _png(width: int, height: int, *, depth: int = 8, data: bytes = b"") -> bytes:
    truecolour = 2
    header = struct.pack(">IIBBBBB", width, height, depth, truecolour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in chunks)


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _tiff(entries: list[tuple[int, int, int, int]]) -> bytes:
    """A directory of tag, type, count and value; grey pixels follow."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(16)


def _repeated_in(image: bytes, position: int, part: bytes) -> bytes:
    """As many times as fit into an upload."""
    return image[:position] + part * (_HOSTILE_BYTES // len(part)) + image[position:]
