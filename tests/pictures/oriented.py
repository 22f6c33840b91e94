"""Pictures whose metadata say which way is up, in every way that a format has for it."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from tests.pictures import boxed, odd

WIDTH, HEIGHT = 128, 64

BYTE, SHORT, LONG, SLONG = 1, 3, 4, 9
_LAYOUTS = {BYTE: "B3x", SHORT: "H2x", LONG: "I", SLONG: "i"}
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def corners() -> Image.Image:
    """Another colour in each quarter, so that all eight ways to lay it can be told apart; wider than high."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = 255, 0, 0
    pixels[: HEIGHT // 2, WIDTH // 2 :] = 0, 255, 0
    pixels[HEIGHT // 2 :, : WIDTH // 2] = 0, 0, 255
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = 255, 255, 0
    return Image.fromarray(pixels)


def exif(orientation: int, *, order: str = ">", kind: int = SHORT, count: int = 1) -> bytes:
    """A TIFF header and a directory whose only entry is the orientation."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    value = struct.pack(order + _LAYOUTS[kind], orientation)
    return start + struct.pack(order + "HHHI", 1, 0x0112, kind, count) + value + bytes(4)


def xmp(orientation: int, *, as_element: bool = False) -> bytes:
    """A packet that states the orientation as an attribute or as an element."""
    attribute = "" if as_element else f' tiff:Orientation="{orientation}"'
    element = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if as_element else ""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attribute}>{element}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def jpeg_with(*segments: bytes, picture: Image.Image | None = None) -> bytes:
    """A JPEG with these APP1 segments, in this order, before all else."""
    whole = odd.encoded(picture or corners(), "JPEG", quality=95, subsampling=0)
    app1 = b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content for content in segments)
    return whole[:2] + app1 + whole[2:]


def jpeg(*, exif_data: bytes = b"", xmp_data: bytes = b"") -> bytes:
    segments = [b"Exif\0\0" + exif_data] if exif_data else []
    return jpeg_with(*segments, *([_JPEG_XMP + xmp_data] if xmp_data else []))


def png(*, exif_data: bytes = b"", xmp_data: bytes = b"", after_pixels: bool = False) -> bytes:
    whole = odd.encoded(corners(), "PNG")
    chunks = odd.chunk(b"eXIf", exif_data) if exif_data else b""
    if xmp_data:
        chunks += odd.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_data)
    position = -12 if after_pixels else 33
    return whole[:position] + chunks + whole[position:]


def webp(*, exif_data: bytes = b"", xmp_data: bytes = b"") -> bytes:
    """Lossless; with the chunk that says what else is there."""
    picture = odd.encoded(corners(), "WEBP", lossless=True)[12:]
    flags = 8 * bool(exif_data) | 4 * bool(xmp_data)
    sides = struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]
    chunks = _riff(b"VP8X", struct.pack("<I", flags) + sides) + picture
    if exif_data:
        chunks += _riff(b"EXIF", exif_data)
    if xmp_data:
        chunks += _riff(b"XMP ", xmp_data)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def avif(*, exif_data: bytes = b"", xmp_data: bytes = b"", turns: tuple[tuple[bytes, int], ...] = ()) -> bytes:
    return boxed.assembled(*boxed.avif(corners()), turns=turns, exif=exif_data, xmp=xmp_data)


def heic(*, exif_data: bytes = b"", xmp_data: bytes = b"", turns: tuple[tuple[bytes, int], ...] = ()) -> bytes:
    return boxed.assembled(*boxed.heic(corners()), brand=b"heic", turns=turns, exif=exif_data, xmp=xmp_data)


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
