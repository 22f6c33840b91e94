"""TIFF and BigTIFF: the first picture, by Pillow, or by OpenCV for colours of 32 bits, for which Pillow has no mode.

Not read, because neither is right about it: JPEG of 12 bits or of the old style (compression 6), JPEG 2000, WebP and
LERC; LogLuv, ICCLab; samples of 10, 14 and 64 bits, of 12 that are not grey, floating-point ones of 16, signed ones of
8, complex ones; colours of under 8 bits, signed ones of 16; colours of 32 bits in planes, not upright, or with LZMA or
Zstandard; transparency of WhiteIsZero, of CMYK, of grey in planes or of over 8 bits, of colours of 32 bits; five
channels and more, unless those after transparency are said to mean nothing; BigTIFF in big-endian order.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL import TiffImagePlugin as Tiff

from model.errors import DamagedImage, UnsupportedImage
from model.jpeg import Jpeg
from model.opencv import cv2
from model.sandbox import jpeg
from model.sandbox.limits import check_size
from model.sandbox.pillow import refusals
from model.sandbox.standard_error import CapturedStderr

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNCOMPRESSED, _JPEG = 1, 7
_BY_OPENCV = {_UNCOMPRESSED, 5, 8, 32773, 32946}  # LZW, Deflate, PackBits, Deflate's older number
_CCITT, _DEFLATE = {2, 3, 4, 32771}, {8, 32946}
_BY_PILLOW = {*_BY_OPENCV, *_CCITT, 32809, _JPEG, 34925, 50000}  # ThunderScan, LZMA, Zstandard

_WHITE_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4

_BYTE, _WORD, _DEEP = 8, 16, 32
_TOPS = {
    _UNSIGNED: (2**_BYTE - 1, 2**_WORD - 1, 2**_DEEP - 1),
    _SIGNED: (2**_BYTE - 1, 2**_WORD - 1, 2 ** (_DEEP - 1) - 1),
    _FLOAT: (1, 2**_BYTE - 1, 2**_WORD - 1, 2**_DEEP - 1),
}
_START_OF_IMAGE, _END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
_INFLATED_BYTES = 1 << 20  # at a time, to be thrown away
_BAND_ROWS = 64  # that are scaled together, to take little memory


class _Stored(Tiff.TiffImageFile):
    """The picture as it lies in the file: who shows it, turns it."""

    def _setup(self) -> None:
        self.tag_v2._prefix = Tiff.II  # noqa: SLF001  libtiff gives samples in the machine's order, whatever the file's is
        super()._setup()
        self._size = self._tile_size

    def load_end(self) -> None:
        """Don't turn it."""


class _Directory:
    """What the file says of its first picture."""

    def __init__(self, image: bytes) -> None:
        self.tags = Tiff.ImageFileDirectory_v2(image[: 16 if image[2:3] == b"+" else 8])
        stream = BytesIO(image)
        stream.seek(self.tags.next)
        self.tags.load(stream)
        self.compression = self.one(Tiff.COMPRESSION, 1)
        self.photometric = self.one(Tiff.PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO)
        self.channels = self.one(Tiff.SAMPLESPERPIXEL, 1)
        self.planar = self.channels > 1 and self.one(Tiff.PLANAR_CONFIGURATION, 1) != 1
        self.tile = max(1, self.one(Tiff.TILEWIDTH, 1)), max(1, self.one(Tiff.TILELENGTH, 1))
        self.bits = self.one(Tiff.BITSPERSAMPLE, 1)
        kind = self.one(Tiff.SAMPLEFORMAT, _UNSIGNED)
        self.kind = _UNSIGNED if kind == _UNDEFINED else kind

    def all(self, tag: int, default: int | None = None) -> list[int]:
        """The tag's whole numbers, at least one."""
        found = self.tags.get(tag, default)
        numbers = list(found) if isinstance(found, tuple) else [found]
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise DamagedImage("the picture is damaged: its TIFF directory is incomplete")
        return numbers

    def one(self, tag: int, default: int | None = None) -> int:
        """The first of them."""
        return self.all(tag, default)[0]


def frame(image: bytes, max_pixels: int) -> Image.Image:
    """The first picture, 8 bits a channel, as it is stored; of extra channels only transparency is kept.

    Samples of up to 16 bits are scaled by the range of their type, whole numbers of 32 bits and floating-point ones by
    the smallest of 0 to 1 (floating-point only), 0 to 255, 0 to 65,535 and 0 to 2^32 - 1 (2^31 - 1 if signed) that
    holds all of the picture's, or else from the least to the greatest of them. What is not a number is 0.

    Returns:
        Of a mode that converts to RGB; ``info`` has its colour profile, ``getexif`` its orientation.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
        MemoryError: it takes more memory than there is.
    """
    with refusals():
        if image.startswith(b"MM\0+"):
            raise UnsupportedImage("BigTIFFs in big-endian order are not supported")
        said = _Directory(image)
        check_size((said.one(Tiff.IMAGEWIDTH), said.one(Tiff.IMAGELENGTH)), max_pixels)
        check_size(said.tile, max_pixels)
        if said.compression not in _BY_PILLOW or (said.compression == _JPEG and said.bits != _BYTE):
            raise UnsupportedImage("TIFFs of this compression are not supported")
        plain = said.compression == _UNCOMPRESSED and said.photometric != _YCBCR  # which may be subsampled
        if not ImageFile.LOAD_TRUNCATED_IMAGES:
            if said.compression == _JPEG or plain:
                _check_parts(image, said)
            elif said.compression in _CCITT:
                _check_fax(image)
            elif said.compression in _DEFLATE:
                _check_deflate(image, said)
        try:
            stored = _Stored(BytesIO(image))
        except SyntaxError:
            picture = _by_opencv(image, said)
        else:
            picture = _by_pillow(stored, said)
        if Tiff.ICCPROFILE in said.tags:
            picture.info["icc_profile"] = said.tags[Tiff.ICCPROFILE]
        picture.getexif()[ExifTags.Base.Orientation] = said.tags.get(ExifTags.Base.Orientation, 1)
    return picture


def _check_parts(image: bytes, said: _Directory) -> None:
    """Where one ends too early, libjpeg goes on in grey, libtiff with what follows, and OpenCV with anything."""
    across, down = said.one(Tiff.IMAGEWIDTH), said.one(Tiff.IMAGELENGTH)
    width, height = across, said.one(Tiff.ROWSPERSTRIP, down)
    if Tiff.TILEOFFSETS in said.tags:
        width, height = said.tile
        across, down = -(-across // width) * width, -(-down // height) * height
    parts = _parts(image, said)
    if said.compression == _JPEG:
        tables = bytes(said.tags.get(Tiff.JPEGTABLES, b""))[: -len(_END_OF_IMAGE)]
        for start, end in parts:
            whole = tables + image[start + len(_START_OF_IMAGE) : end] if tables else image[start:end]
            jpeg.check(Jpeg.read(whole))
    else:
        planes = said.channels if said.planar else 1
        row_bytes = -(-width * said.channels // planes * said.bits // _BYTE)
        there = sum(min(end - start, row_bytes * height) for start, end in parts)
        if there < row_bytes * (across // width) * down * planes:
            raise DamagedImage("the picture is damaged: a strip or tile of it ends too early")


def _parts(image: bytes, said: _Directory) -> list[tuple[int, int]]:
    """Where each strip or tile starts and ends in the file."""
    tiled = Tiff.TILEOFFSETS in said.tags
    starts = said.all(Tiff.TILEOFFSETS if tiled else Tiff.STRIPOFFSETS)
    sizes = said.all(Tiff.TILEBYTECOUNTS if tiled else Tiff.STRIPBYTECOUNTS)
    return [(start, min(start + size, len(image))) for start, size in zip(starts, sizes, strict=False)]


def _check_deflate(image: bytes, said: _Directory) -> None:
    """Libtiff stops at the last row, before the checksum; what is wrong may make rows all the same."""
    for start, end in _parts(image, said):
        inflation, data = zlib.decompressobj(), image[start:end]
        try:
            while data and not inflation.eof:
                inflation.decompress(data, _INFLATED_BYTES)
                data = inflation.unconsumed_tail
        except zlib.error as error:
            raise DamagedImage("the picture is damaged: a strip of it makes no sense") from error
        if not inflation.eof:
            raise DamagedImage("the picture is damaged: a strip or tile of it ends too early")


def _check_fax(image: bytes) -> None:
    """Libtiff fills up with white, of which Pillow keeps its warnings to itself, and OpenCV logs them."""
    with CapturedStderr() as captured:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
        try:
            cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
        finally:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if b"Fax" in captured.text:
        raise DamagedImage("the picture is damaged: a strip of it makes no sense, or ends too early")


def _by_pillow(picture: Image.Image, said: _Directory) -> Image.Image:
    lost_plane = picture.mode in {"LA", "La", "PA"} or (picture.mode == "RGBA" and said.channels > len("RGBA"))
    if (said.planar and lost_plane) or (picture.mode == "L" and said.kind == _SIGNED):
        raise UnsupportedImage("TIFFs of such colours and depth are not supported")
    try:
        picture.load()
    except OSError:
        if not ImageFile.LOAD_TRUNCATED_IMAGES:
            raise
        picture.load()  # libtiff, which gave up, is not asked again
    if said.photometric == _PALETTE and max(colours := said.all(Tiff.COLORMAP)) < 2**_BYTE:  # as some programs write it
        picture.putpalette(np.array(colours, np.uint8).reshape(3, -1).T.tobytes())
    if picture.mode == "La":
        return picture.convert("LA")
    if picture.mode not in {"I;16", "I", "F"}:
        return picture
    values = np.asarray(picture)
    if said.kind == _UNSIGNED and said.bits == _DEEP:
        values = values.view(np.uint32)
    return Image.fromarray(_eight_bits(values, said))


def _by_opencv(image: bytes, said: _Directory) -> Image.Image:
    if (
        said.compression not in _BY_OPENCV
        or said.planar
        or said.one(ExifTags.Base.Orientation, 1) != 1  # it would turn the picture, whatever it is told
        or (said.photometric, said.channels) != (_RGB, len("RGB"))
        or {*said.all(Tiff.BITSPERSAMPLE, 1)} != {_DEEP}
        or {*said.all(Tiff.SAMPLEFORMAT, _UNSIGNED)} not in ({_UNSIGNED}, {_SIGNED}, {_FLOAT})
    ):
        raise UnsupportedImage("TIFFs of such colours and depth are not supported")
    if said.compression == _UNCOMPRESSED:
        _check_parts(image, said)
    values = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise DamagedImage("the picture is damaged: its data do not make the picture")
    return Image.fromarray(_eight_bits(values[..., ::-1], said))


def _eight_bits(values: NDArray[Any], said: _Directory) -> NDArray[np.uint8]:
    low, high = _range(values, said)
    pixels = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        known = np.clip(np.nan_to_num(values[band].astype(np.float64)), low, high)
        pixels[band] = np.rint((known - low) * (255 / (high - low)))
    return np.subtract(255, pixels, out=pixels) if said.photometric == _WHITE_IS_ZERO else pixels


def _range(values: NDArray[Any], said: _Directory) -> tuple[float, float]:
    """Which becomes 0 to 255."""
    if said.bits <= _WORD:
        low = -(2 ** (said.bits - 1)) if said.kind == _SIGNED else 0
        return low, low + 2**said.bits - 1
    finite = values[np.isfinite(values)] if said.kind == _FLOAT else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    for top in _TOPS[said.kind]:
        if low >= 0 and high <= top:
            return 0, top
    return low, max(high, np.nextafter(low, np.inf))
