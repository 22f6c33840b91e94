"""Pictures as the world sends them, made on the spot: unusual but sound ones, and broken ones.

The sound ones show the same photo, so whoever reads them must see the same thing in each.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent
CHELSEA, COFFEE, ROCKET = (FOLDER / name for name in ("chelsea.jpg", "coffee.jpg", "rocket.jpg"))

_ORIENTATION_TAG = 0x0112  # EXIF
_TURN_CLOCKWISE_TO_VIEW = 6


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


def png(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "PNG")


def bmp(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "BMP")


def tiff(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "TIFF", compression="tiff_lzw")


def webp(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "WEBP", quality=90)


def avif(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "AVIF", quality=80)


def gif(path: Path = CHELSEA) -> bytes:
    return encoded(photo(path), "GIF")


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
    """Stored lying on its side, with the tag that tells viewers to turn it upright."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _TURN_CLOCKWISE_TO_VIEW
    return encoded(photo(path).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


def jpeg_with_trailing_bytes(path: Path = CHELSEA) -> bytes:
    """As cameras write that append a preview or a film clip."""
    return path.read_bytes() + b"\0" * 64 + b"\xff\xda more" * 1000


def truncated_jpeg(path: Path = CHELSEA) -> bytes:
    """The first half of a file, as a broken upload leaves it."""
    whole = path.read_bytes()
    return whole[: len(whole) // 2]


def jpeg_with_endless_scans(scans: int = 1_000) -> bytes:
    """A progressive JPEG that asks for pass after pass over the picture: small to send, long to decode."""
    whole = progressive_jpeg()
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[last:end] * scans + whole[end:]


def text_as_jpeg() -> bytes:
    return b"This is a text file, whatever its name says.\n" * 20


def zero_by_zero_png() -> bytes:
    return _png(0, 0)


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A header that promises 900 megapixels, and no more than a few bytes behind it."""
    return _png(width, height)


def png_with_a_huge_chunk() -> bytes:
    """A chunk that promises 4 GB."""
    whole = png()
    header_ends = 33
    return whole[:header_ends] + struct.pack(">I", 0xFFFFFFF0) + whole[header_ends + 4 :]


def thread_png(length: int = 1_000_000) -> bytes:
    """One pixel high, and very long: kept in proportion, it grows beyond measure."""
    return encoded(Image.new("RGB", (length, 1), (10, 20, 30)), "PNG")


def huge_jpeg(width: int = 30_000, height: int = 30_000) -> bytes:
    """A whole JPEG whose frame header was changed to promise 900 megapixels."""
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
"""By name, the makers of what every reader must get right; the last two without colour."""


def _black(path: Path) -> Image.Image:
    return Image.new("RGB", photo(path).size)


def _png(width: int, height: int, *, depth: int = 8, data: bytes = b"") -> bytes:
    truecolour = 2
    header = struct.pack(">IIBBBBB", width, height, depth, truecolour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
