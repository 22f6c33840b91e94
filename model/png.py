"""A PNG's chunks, before anything is decoded (PNG specification, third edition, sections 5 and 11)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Self

from contract.image_header.header import BrokenHeader, unpack
from model.errors import DamagedImage, UnsupportedImage, undecodable
from model.opencv import LONGEST_SIDE

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# 20 MB in chunks of 2 kB; libpng writes chunks of 8 kB.
MAX_CHUNKS = 10_000
MAX_PROFILE_BYTES = 4 * 1024 * 1024  # inflated; the tables of presses take up to 2.7 MB

_HEADER = struct.Struct(">I4s")  # length of the data, and the chunk's type
_CHECKSUM_BYTES = 4
_DATA, _END, _PROFILE, _KEY, _EXIF, _GAMMA, _SRGB, _TEXT = (
    b"IDAT", b"IEND", b"iCCP", b"tRNS", b"eXIf", b"gAMA", b"sRGB", b"iTXt",
)  # fmt: skip
_PALETTE_CHUNK = b"PLTE"
_ONCE = {b"IHDR", _PALETTE_CHUNK, _END}
_PRIMARIES, _CODE_POINTS = b"cHRM", b"cICP"
# Browsers heed none of them that comes later.
_ONCE_BEFORE_DATA = {_KEY, _EXIF, _PROFILE, _GAMMA, _PRIMARIES, _SRGB, _CODE_POINTS}
_BYTES = {_GAMMA: 4, _PRIMARIES: 32, _SRGB: 1, _CODE_POINTS: 4}
_XMP = b"XML:com.adobe.xmp\0\0"  # not compressed, which is what XMP's specification asks for (part 3, 1.1.5)

_SIDES, _SIDES_START = ">II", 16
_DEPTH_AND_COLOUR = slice(24, 26)
_COLOUR_TYPE = 25  # its position in the file
_KEY_BYTES = {0: 2, 2: 6}  # of the colour that is transparent, by colour type: grey, and red, green, blue
_PALETTE = 3
_ORDINARY = {bytes((8, colour)) for colour in (0, 2, _PALETTE)}
_SRGBS_GAMMA = (45_455).to_bytes(4)
_SRGBS_PRIMARIES = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)  # 11.3.2.1


@dataclass(frozen=True, slots=True)
class Png:
    """A PNG without what changes no pixel.

    Decoders inflate texts, to a thousand times their size, and complain about what is wrong with them on standard
    error, a line each. Of what only adds to a picture libpng drops what is damaged; so does this.

    Attributes:
        pixels: the file with nothing but what its first picture is made of, its colour profile, of no more than
            ``MAX_PROFILE_BYTES``, and its EXIF data.
        size: its width and height.
        xmp: its XMP; empty if there is none.
        code_points: what its colours are, by the numbers of primaries, curve, matrix and range (ITU-T H.273); empty if
            it does not say.
        data_bytes: how much data makes its pixels.
        is_ordinary: whether OpenCV reads it as a person sees it: of 8 bits, opaque, upright, in sRGB.
    """

    pixels: bytes
    size: tuple[int, int]
    xmp: bytes
    code_points: bytes
    data_bytes: int
    is_ordinary: bool

    @classmethod
    def read(cls, image: bytes, *, strict: bool) -> Self:
        """Read the chunks of a file.

        Args:
            strict: whether chunks that are missing are an error; otherwise what is there is given.

        Raises:
            DamagedImage: a chunk reaches past the file's end. OpenCV sets memory aside for as much data as a chunk
                promises, up to 4 GB, before it looks whether it is there.
            UnsupportedImage: there are more than ``MAX_CHUNKS``.
        """
        view, position, xmp, data_bytes = memoryview(image), len(SIGNATURE), b"", 0
        kept, seen, met = [view[:position]], dict[bytes, memoryview](), set[bytes]()
        for _ in range(MAX_CHUNKS):
            start = position
            if start + _HEADER.size > len(image):
                break
            length: int
            kind: bytes
            length, kind = _HEADER.unpack_from(image, start)
            position += _HEADER.size + length + _CHECKSUM_BYTES
            if position > len(image):
                kept.append(view[start:])
                break
            chunk = view[start:position]
            data = chunk[_HEADER.size : -_CHECKSUM_BYTES]
            first = kind not in met
            met.add(kind)
            if kind == _DATA or (first and (kind in _ONCE or _adds(image, kind, chunk, seen))):
                kept.append(chunk)
                seen[kind] = data
                data_bytes += length if kind == _DATA else 0
            elif kind == _TEXT and data[: len(_XMP)] == _XMP:
                xmp = bytes(data)
            if kind == _END:
                break
        else:
            raise UnsupportedImage(f"PNGs of more than {MAX_CHUNKS} chunks are not supported")
        if strict and _END not in seen:
            raise DamagedImage("the picture is damaged: the PNG is cut short")
        try:
            width, height = unpack(_SIDES, image, _SIDES_START)
        except BrokenHeader as error:
            raise undecodable(error) from error
        numbers = seen.get(_GAMMA, _SRGBS_GAMMA), seen.get(_PRIMARIES, _SRGBS_PRIMARIES)
        in_srgb = not seen.keys() & {_PROFILE, _CODE_POINTS} and (
            _SRGB in seen or _GAMMA not in seen or numbers == (_SRGBS_GAMMA, _SRGBS_PRIMARIES)
        )
        opaque, upright = _KEY not in seen, _EXIF not in seen and not xmp
        readable = image[_DEPTH_AND_COLOUR] in _ORDINARY and max(width, height) <= LONGEST_SIDE
        ordinary = readable and opaque and upright and in_srgb
        return cls(b"".join(kept), (width, height), xmp, bytes(seen.get(_CODE_POINTS, b"")), data_bytes, ordinary)


def _adds(image: bytes, kind: bytes, chunk: memoryview, seen: dict[bytes, memoryview]) -> bool:
    """Whether a chunk that need not be there is sound and stands where it counts."""
    if kind not in _ONCE_BEFORE_DATA or _DATA in seen:
        return False
    checked, data = chunk[4:-_CHECKSUM_BYTES], bytes(chunk[_HEADER.size : -_CHECKSUM_BYTES])
    if zlib.crc32(checked) != int.from_bytes(chunk[-_CHECKSUM_BYTES:]):
        return False
    if kind == _KEY:
        colours = image[_COLOUR_TYPE]
        if colours == _PALETTE:
            return len(data) <= len(seen.get(_PALETTE_CHUNK, b"")) // 3
        return len(data) == _KEY_BYTES.get(colours)
    if kind in _BYTES:
        return len(data) == _BYTES[kind]
    return kind != _PROFILE or _inflates(data)


def _inflates(profile: bytes) -> bool:
    """Whether what follows a name, its end and the method of compression, 0, is whole and of a bearable size."""
    _, end, compressed = profile.partition(b"\0")
    if not end or compressed[:1] != b"\0":
        return False
    inflation = zlib.decompressobj()
    try:
        inflation.decompress(compressed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return inflation.eof
