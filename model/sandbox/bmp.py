"""BMP of every header from OS/2's 12 bytes to Windows' 124: palettes, bit masks of any layout, run lengths.

Read here as a whole. Pillow knows few layouts of masks and not the header of 16 bytes, takes runs that go into a row's
padding for pixels, and looks for a run's padding by its place in the file; OpenCV is wrong about some masks and headers
too. Not read: pictures of 64 bits; JPEG, PNG, Huffman's code and run lengths of 24 bits in a BMP.

Sources: Microsoft's "Bitmap Storage" and [MS-WMF] 2.2.2; "OS/2 Bitmap File Format" for headers of 16 to 64 bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from model.errors import DamagedImage, UnsupportedImage
from model.sandbox.bmp_runs import unpacked
from model.sandbox.limits import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE_HEADER_BYTES = 14
_CORE, _INFO, _WITH_ALPHA_MASK, _VERSION_5 = 12, 40, 56, 124
_WINDOWS = {_INFO, 52, _WITH_ALPHA_MASK, 108, _VERSION_5}
_OS2 = {*range(16, 68, 4), 42, 46} - _WINDOWS  # may end behind any of its fields
_RGB, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_RUNS = {_RLE8: 8, _RLE4: 4}
_MASKS_AT = _FILE_HEADER_BYTES + _INFO  # in a longer header, or behind this one
_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: (0xFF0000, 0xFF00, 0xFF, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
"""By bits of a pixel, where the file states none."""

_EMBEDDED_PROFILE = int.from_bytes(b"MBED")
_BAND_PIXELS = 1 << 20  # that are looked at together: few enough to stay small, many enough for NumPy
_TABLE_BITS = 16


class _Header(NamedTuple):
    """What all headers say.

    Attributes:
        top_down: whether the first row is the upper one.
        colours: that the palette should have.
        masks: of red, green, blue and transparency, where a pixel has 16 bits or more.
        palette, data: their places in the file.
    """

    size: int
    width: int
    height: int
    top_down: bool
    bits: int
    compression: int
    colours: int
    masks: tuple[int, ...]
    palette: int
    data: int

    @property
    def row_bytes(self) -> int:
        return -(-self.width * self.bits // 32) * 4

    @property
    def colour_bytes(self) -> int:
        """Of a colour in the palette: blue, green, red, and nothing."""
        return 3 if self.size == _CORE else 4


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The picture, 8 bits a channel; ``info`` has the colour profile that is in the file.

    Bits that no mask names mean nothing. A mask for transparency counts, unless that is 0 everywhere.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
    """
    header = _header(image)
    check_size((header.width, header.height), max_pixels)
    strict = not ImageFile.LOAD_TRUNCATED_IMAGES
    if header.compression in _RUNS:
        size = (header.width, header.height)
        numbers = unpacked(image[header.data :], size, header.bits, strict=strict)
        picture = _with_palette(numbers, image, header, strict=strict)
    elif header.bits in _MASKS:
        picture = Image.fromarray(_masked(_rows(image, header, strict=strict), header))
    else:
        numbers = _numbers(_rows(image, header, strict=strict), header)
        picture = _with_palette(numbers, image, header, strict=strict)
    profile = _profile(image, header)
    if profile:
        picture.info["icc_profile"] = profile
    return picture


def _header(image: bytes) -> _Header:
    data, size = _unpack("<II", image, 10)
    if size == _CORE:
        width, height, _, bits = _unpack("<HHHH", image, 18)
        compression = colours = 0
    elif size in _OS2 | _WINDOWS:
        fields = image[18 : _FILE_HEADER_BYTES + size].ljust(_INFO, b"\0")  # those cut off are 0
        width, height, _, bits, compression, _, _, _, colours = struct.unpack_from("<iiHHIIiiI", fields)
    else:
        raise UnsupportedImage(f"BMPs with a header of {size} bytes are not supported")
    if width <= 0 or not height:
        raise DamagedImage("the picture is damaged: it has no size")
    _check_kind(size, bits, compression)
    palette = _FILE_HEADER_BYTES + size
    masks = _MASKS.get(bits, ())
    if compression in {_BITFIELDS, _ALPHA_BITFIELDS}:
        count = 4 if compression == _ALPHA_BITFIELDS or size >= _WITH_ALPHA_MASK else 3
        stated = _unpack(f"<{count}I", image, _MASKS_AT)
        palette = max(palette, _MASKS_AT + 4 * count)
        masks = (*stated, *bytes(4 - count)) if any(stated) else masks
        _check_masks(masks, bits)
    colours = min(colours or 256, 1 << bits) if bits not in _MASKS else 0
    colour_bytes = 3 if size == _CORE else 4
    if not data:
        data = palette + colour_bytes * colours
    if data < palette:
        raise DamagedImage("the picture is damaged: its pixels lie in its header")
    return _Header(
        size=size,
        width=width,
        height=abs(height),
        top_down=height < 0,
        bits=bits,
        compression=compression,
        colours=colours,
        masks=masks,
        palette=palette,
        data=data,
    )


def _unpack(layout: str, image: bytes, position: int) -> tuple[int, ...]:
    if position + struct.calcsize(layout) > len(image):
        raise DamagedImage("the picture is damaged: its header is cut short")
    return struct.unpack_from(layout, image, position)


def _check_kind(size: int, bits: int, compression: int) -> None:
    if compression == _RGB:
        known = bits in {1, 2, 4, 8, *_MASKS}
    elif compression in _RUNS:
        known = bits == _RUNS[compression]
    else:
        known = compression in {_BITFIELDS, _ALPHA_BITFIELDS} and bits in _MASKS and size in _WINDOWS
    if not known:
        raise UnsupportedImage(f"BMPs with compression {compression} of {bits} bits a pixel are not supported")


def _check_masks(masks: tuple[int, ...], bits: int) -> None:
    for mask in masks:
        run = mask >> _shift(mask)
        if run & (run + 1) or mask >> bits:
            raise UnsupportedImage("BMPs with masks of bits that do not adjoin are not supported")


def _shift(mask: int) -> int:
    """Of the lowest bit that is set."""
    return (mask & -mask).bit_length() - 1 if mask else 0


def _rows(image: bytes, header: _Header, *, strict: bool) -> NDArray[np.uint8]:
    """Shape (height, bytes of a row), in the file's order; what is missing is 0."""
    size = header.height * header.row_bytes
    used = size - header.row_bytes + -(-header.width * header.bits // 8)  # the last row's padding may be missing
    data = memoryview(image)[header.data : header.data + size]
    if strict and len(data) < used:
        raise DamagedImage("the picture is damaged: it is cut short")
    if len(data) < size:
        data = memoryview(bytes(data).ljust(size, b"\0"))
    return np.frombuffer(data, np.uint8).reshape(header.height, header.row_bytes)


def _numbers(rows: NDArray[np.uint8], header: _Header) -> NDArray[np.uint8]:
    """Of the palette's colours, shape (height, width); a byte holds those of several pixels."""
    bits = header.bits
    if bits < 8:  # noqa: PLR2004  a byte
        shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        rows = (rows[..., None] >> shifts & np.uint8((1 << bits) - 1)).reshape(len(rows), -1)
    return rows[:, : header.width]


def _with_palette(numbers: NDArray[np.uint8], image: bytes, header: _Header, *, strict: bool) -> Image.Image:
    """Where colours are not in the palette, and need not be, they are black, as in browsers."""
    there = (header.data - header.palette) // header.colour_bytes
    if strict and there < header.colours and numbers.max() >= there:
        raise DamagedImage("the picture is damaged: its palette is cut short")
    picture = Image.fromarray(np.ascontiguousarray(numbers if header.top_down else numbers[::-1]))
    size = header.colour_bytes
    entries = image[header.palette : header.palette + size * min(header.colours, there)]
    colours = np.zeros((256, 3), np.uint8)
    known = np.frombuffer(entries, np.uint8)[: len(entries) // size * size].reshape(-1, size)
    colours[: len(known)] = known[:, 2::-1]
    picture.putpalette(colours.tobytes())
    return picture


def _masked(rows: NDArray[np.uint8], header: _Header) -> NDArray[np.uint8]:
    """Shape (height, width, 3), or 4 with transparency."""
    masks = header.masks if header.masks[3] else header.masks[:3]
    pixels = np.empty((header.height, header.width, len(masks)), np.uint8)
    upright = pixels if header.top_down else pixels[::-1]
    step = max(1, _BAND_PIXELS // header.width)
    for top in range(0, header.height, step):
        band = rows[top : top + step, : header.width * header.bits // 8].reshape(-1, header.width, header.bits // 8)
        for channel, mask in enumerate(masks):
            upright[top : top + step, :, channel] = _channel(band, mask)
    if len(masks) == len(header.masks) and not pixels[..., 3].any():
        return np.ascontiguousarray(pixels[..., :3])
    return pixels


def _channel(band: NDArray[np.uint8], mask: int) -> NDArray[np.uint8]:
    """Of pixels of some bytes each, shape (rows, width, bytes), the bits of the mask, as 0 to 255."""
    shift = _shift(mask)
    if mask >> shift == 0xFF and shift % 8 == 0:  # noqa: PLR2004  a whole byte
        return band[..., shift // 8]
    words = np.zeros(band.shape[:2], np.uint32)
    for number in range(band.shape[2]):
        words |= band[..., number].astype(np.uint32) << np.uint32(8 * number)
    bits = (mask >> shift).bit_length()
    excess = max(0, bits - _TABLE_BITS)
    top = (1 << min(bits, _TABLE_BITS)) - 1
    table = np.rint(np.arange(top + 1) * (255 / max(top, 1))).astype(np.uint8)
    return np.take(table, (words & np.uint32(mask)) >> np.uint32(shift + excess), mode="clip")


def _profile(image: bytes, header: _Header) -> bytes:
    """What the header of 124 bytes says is in the file; nothing if it isn't."""
    if header.size != _VERSION_5:
        return b""
    (kind,) = _unpack("<I", image, _FILE_HEADER_BYTES + 56)
    start, size = _unpack("<II", image, _FILE_HEADER_BYTES + 112)
    start += _FILE_HEADER_BYTES
    return image[start : start + size] if kind == _EMBEDDED_PROFILE and start + size <= len(image) else b""
