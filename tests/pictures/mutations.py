"""Small sound pictures of every format, and what becomes of them on bad disks, lines and in bad software."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Mutation = Callable[[bytes, random.Random], bytes]

_SIZE = (120, 90)
_SIGNATURE_BYTES = 12  # left alone: a file that is of no format any more is no test of its decoder
_TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # clockwise to view


def _photo() -> Image.Image:
    return odd.photo().resize(_SIZE)


def _layered() -> Image.Image:
    picture = _photo().convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, _SIZE[0]).astype(np.uint8), (_SIZE[1], 1))))
    return picture


def _palette() -> Image.Image:
    return _photo().quantize(200)


def _jpeg(mode: str = "RGB", **options: object) -> bytes:
    return odd.encoded(_photo().convert(mode), "JPEG", quality=85, **options)


def _tiff(mode: str, compression: str) -> bytes:
    return odd.encoded(_photo().convert(mode), "TIFF", compression=compression, strip_size=4_000)


ORIGINALS: dict[str, Callable[[], bytes]] = {
    "jpeg, baseline": _jpeg,
    "jpeg, progressive": lambda: _jpeg(progressive=True),
    "jpeg, grey": lambda: _jpeg("L"),
    "jpeg, progressive, grey": lambda: _jpeg("L", progressive=True),
    "jpeg, CMYK": lambda: _jpeg("CMYK"),
    "jpeg, with restarts": lambda: _jpeg(restart_marker_blocks=7),
    "jpeg, progressive, with restarts": lambda: _jpeg(restart_marker_rows=1, progressive=True),
    "jpeg, turned": lambda: _jpeg(exif=_TURNED, optimize=True),
    "png": lambda: odd.encoded(_photo(), "PNG"),
    "png, alpha": lambda: odd.encoded(_layered(), "PNG", exif=_TURNED),
    "png, palette": lambda: odd.encoded(_palette(), "PNG", transparency=3),
    "png, 16 bits": lambda: odd.encoded(Image.fromarray(np.asarray(_photo().convert("L")).astype("u2") * 257), "PNG"),
    "webp": lambda: odd.encoded(_photo(), "WEBP"),
    "webp, with EXIF data": lambda: odd.encoded(_photo(), "WEBP", exif=_TURNED),
    "webp, lossless": lambda: odd.encoded(_photo(), "WEBP", lossless=True),
    "webp, alpha": lambda: odd.encoded(_layered(), "WEBP"),
    "webp, animated": lambda: odd.encoded(_photo(), "WEBP", save_all=True, append_images=[_layered()], duration=90),
    "gif": lambda: odd.encoded(_palette(), "GIF"),
    "gif, animated": lambda: odd.encoded(
        _palette(), "GIF", save_all=True, append_images=[Image.new("P", _SIZE)], transparency=3, duration=90
    ),
    "bmp": lambda: odd.encoded(_photo(), "BMP"),
    "bmp, palette": lambda: odd.encoded(_palette(), "BMP"),
    "tiff": lambda: odd.encoded(_photo(), "TIFF"),
    "tiff, LZW": lambda: _tiff("RGB", "tiff_lzw"),
    "tiff, deflate": lambda: _tiff("RGBA", "tiff_adobe_deflate"),
    "tiff, PackBits": lambda: _tiff("CMYK", "packbits"),
    "tiff, Zstandard": lambda: _tiff("L", "zstd"),
    "tiff, LZMA": lambda: _tiff("L", "lzma"),
    "tiff, group 4": lambda: _tiff("1", "group4"),
    "tiff, JPEG": lambda: odd.encoded(_photo(), "TIFF", compression="jpeg"),
    "avif": lambda: odd.encoded(_photo(), "AVIF", speed=10),
    "avif, alpha": lambda: odd.encoded(_layered(), "AVIF", speed=10),
    "heic": lambda: odd.heic_of(_photo()),
    "heic, alpha, tiled": lambda: odd.heic_of(_layered(), tile_size=64),
}
"""By name, whose first word is the format, the makers of sound pictures."""


def mutated(image: bytes, seed: str, *, markers: bool) -> Iterator[bytes]:
    """``image`` damaged in one way after the other, always the same for the same ``seed``; it does not end.

    Args:
        markers: whether a JPEG's are put into it too.
    """
    dice = random.Random(seed)  # noqa: S311 - damage, no secret
    mutations = [*_MUTATIONS, *(_MARKERS if markers else ())]
    for mutate in itertools.cycle(mutations):
        yield mutate(image, dice)


def _place(image: bytes, dice: random.Random) -> int:
    return dice.randrange(_SIGNATURE_BYTES, len(image))


def _changed_bytes(image: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(image)
    for _ in range(dice.choice([1, 3, 30])):
        damaged[_place(image, dice)] = dice.randrange(256)
    return bytes(damaged)


def _changed_bit(image: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(image)
    damaged[_place(image, dice)] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def _changed_header(image: bytes, dice: random.Random) -> bytes:
    """Where most of what a decoder believes is written."""
    damaged = bytearray(image)
    damaged[dice.randrange(_SIGNATURE_BYTES, min(len(image), 600))] = dice.choice([0, 1, 127, 128, 255])
    return bytes(damaged)


def _zero_filled(image: bytes, dice: random.Random) -> bytes:
    """A block that never reached the disk."""
    start = _place(image, dice)
    length = min(dice.choice([16, 200, 2_000]), len(image) - start)
    return image[:start] + bytes(length) + image[start + length :]


def _cut_short(image: bytes, dice: random.Random) -> bytes:
    return image[: _place(image, dice)]


def _inserted(image: bytes, dice: random.Random) -> bytes:
    start = _place(image, dice)
    return image[:start] + dice.randbytes(dice.choice([1, 4, 100])) + image[start:]


def _removed(image: bytes, dice: random.Random) -> bytes:
    start = _place(image, dice)
    return image[:start] + image[start + dice.choice([1, 4, 100, 1_000]) :]


def _repeated(image: bytes, dice: random.Random) -> bytes:
    """A packet that came twice."""
    start = _place(image, dice)
    return image[: start + 200] + image[start:]


def _marker(image: bytes, dice: random.Random) -> bytes:
    start = _place(image, dice)
    return image[:start] + bytes([0xFF, dice.randrange(0xC0, 0xFF)]) + image[start:]


def _early_end(image: bytes, dice: random.Random) -> bytes:
    """Cut short, and closed by software that knows how a JPEG ends."""
    return _cut_short(image, dice) + b"\xff\xd9"


def _bytes_before_the_scan(image: bytes, dice: random.Random) -> bytes:
    """Harmless by themselves: decoders skip them with a warning, and tell of nothing that follows."""
    frame = image.index(b"\xff\xdb")
    return image[:frame] + dice.randbytes(3).replace(b"\xff", b"\0") + _changed_bytes(image, dice)[frame:]


_MUTATIONS: tuple[Mutation, ...] = (
    _changed_bytes, _changed_bit, _changed_header, _zero_filled, _cut_short, _inserted, _removed, _repeated,
)  # fmt: skip
_MARKERS: tuple[Mutation, ...] = (_marker, _early_end, _bytes_before_the_scan)
