"""JPEG by libjpeg-turbo, strictly: damage in a picture's scans is refused; others show grey from there on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

import simplejpeg

from contract.image_header import jpeg
from contract.image_header.header import BrokenHeader
from model.errors import DamagedImage, UnsupportedImage, undecodable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Encoders write about 10 for a progressive photo. Each scan passes over the whole picture, so a few bytes
# repeated could otherwise keep a worker busy for minutes.
MAX_SCANS = 100
CMYK_COMPONENTS = 4

# Markers (ITU-T T.81, table B.1), and what application segments begin with (JFIF 1.02; Adobe technical note 5116).
_START, _SCAN = b"\xff\xd8", b"\xff\xda"
_START_OF_SCAN, _COMMENT = 0xDA, 0xFE
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_WITHOUT_PIXELS = {0x01, *range(0xD0, 0xD8), *range(_APP1, _APP14), _APP15, _COMMENT}
_SEQUENTIAL = {0xC0, 0xC1}
_HUFFMANS = {*_SEQUENTIAL, 0xC2}  # of what is coded otherwise libjpeg does not notice damage
_JFIF, EXIF, _XMP, _PROFILE = b"JFIF\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_ADOBE, _TRANSFORM, _YCBCR, _YCCK = b"Adobe", 11, 1, 2

_BITS = 8
_COMPONENTS = {1, 3, CMYK_COMPONENTS}  # grey, colour
_WHOLE_BLOCKS = bytes((0, 63, 0))  # all coefficients at once, with all their bits (T.81, B.2.3)


class UnknownSampling(Exception):
    """Its colours are stored more coarsely than its light, or its inks differ, in a way that only others read."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG whose segments have been read.

    Attributes:
        image: the file.
        frame: its frame header: 8 bits; 1, 3 or 4 components.
        before: the marker and content of each segment before the first scan.
        scans: where the content of each scan's header begins.
    """

    image: bytes
    frame: jpeg.Frame
    before: list[tuple[int, bytes]]
    scans: list[int]

    @classmethod
    def read(cls, image: bytes) -> Self:
        """Read the segments of a file's first picture.

        Raises:
            DamagedImage: it has no frame or no scan.
            UnsupportedImage: it is of a kind that is not read, has more segments than are, or makes more than
                ``MAX_SCANS`` passes.
        """
        try:
            frame = jpeg.read_frame(image)
            before, first_scan = _before_scans(image)
            scans = [first_scan]
            if frame.marker not in _SEQUENTIAL or image[first_scan + 2 : first_scan + 3] != bytes([frame.components]):
                scans = [position for marker, position in jpeg.segments(image) if marker == _START_OF_SCAN]
        except BrokenHeader as error:
            raise undecodable(error) from error
        if frame.precision != _BITS:
            raise UnsupportedImage(f"JPEGs of {frame.precision} bits are not supported")
        if frame.components not in _COMPONENTS:
            raise UnsupportedImage(f"JPEGs of {frame.components} components are not supported")
        if frame.marker not in _HUFFMANS:
            raise UnsupportedImage("JPEGs with arithmetic coding, or without loss, are not supported")
        if len(scans) > MAX_SCANS:
            raise UnsupportedImage(f"JPEGs of more than {MAX_SCANS} passes over the picture are not supported")
        return cls(image, frame, before, scans)

    def decode(self, form: Literal["BGR", "RGB", "GRAY", "CMYK"], reduction: int, *, strict: bool) -> NDArray[np.uint8]:
        """Pixels, uint8, shape (height, width, channels), smaller by ``reduction`` (1, 2, 4, 8), sides rounded up.

        CMYK is as everybody writes it into JPEGs since Adobe's programs did: 255 is no ink.

        Raises:
            DamagedImage: libjpeg can't read it or, with ``strict``, warns of anything in its scans.
            UnknownSampling: simplejpeg does not take it, and says nothing of its state.
        """
        width, height = -(-self.frame.size.width // reduction), -(-self.frame.size.height // reduction)
        decode = partial(simplejpeg.decode_jpeg, colorspace=form, min_width=width, min_height=height, strict=strict)
        pixels: NDArray[np.uint8]
        try:
            pixels = decode(self.image)
        except ValueError:
            try:
                plain = self.without_oddities()
                if plain == self.image:
                    raise
                pixels = decode(plain)
            except ValueError as error:
                if "subsampling" in str(error):
                    raise UnknownSampling from error
                raise DamagedImage("the picture is damaged or cut short") from error
        return pixels

    @property
    def exif(self) -> bytes:
        """The first EXIF data, from their byte order on; empty if there are none."""
        return self._metadata(EXIF)

    @property
    def xmp(self) -> bytes:
        """The first XMP packet; empty if there is none."""
        return self._metadata(_XMP)

    @property
    def profile(self) -> bytes:
        """The ICC profile, whose parts are numbered (ICC.1:2022, B.4); empty if there is none, or a part is missing."""
        parts = sorted(
            content[len(_PROFILE) :]
            for marker, content in self.before
            if marker == _APP2 and content.startswith(_PROFILE)
        )
        if any(part[:2] != bytes((number, len(parts) & 0xFF)) for number, part in enumerate(parts, start=1)):
            return b""
        return b"".join(part[2:] for part in parts)

    def _metadata(self, mark: bytes) -> bytes:
        found = (content for marker, content in self.before if marker == _APP1 and content.startswith(mark))
        return next(found, b"")[len(mark) :]

    def without_oddities(self) -> bytes:
        """The same pixels, and nothing before the first scan that libjpeg could find odd, harmless as that would be.

        It stops at the first oddity, and so would not say what is wrong with the scans.
        """
        kept = [
            _segment(marker, content, self.frame.components)
            for marker, content in self.before
            if marker not in _WITHOUT_PIXELS
        ]
        start = self.scans[0] - len(_SCAN)
        scans = bytearray(self.image[start:])
        if self.frame.marker in _SEQUENTIAL:  # some encoders leave these zero, which can mean only one thing
            for position in self.scans:
                end = position - start + int.from_bytes(self.image[position : position + 2])
                if end <= len(scans):
                    scans[end - len(_WHOLE_BLOCKS) : end] = _WHOLE_BLOCKS
        return b"".join([_START, *kept, scans])


def _before_scans(image: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The marker and content of each segment before the first scan, and the position of that scan's header."""
    before: list[tuple[int, bytes]] = []
    for marker, position in jpeg.segments(image):
        if marker == _START_OF_SCAN:
            return before, position
        before.append((marker, image[position + 2 : position + int.from_bytes(image[position : position + 2])]))
    raise BrokenHeader("the picture is damaged: the JPEG has no data")


def _segment(marker: int, content: bytes, components: int) -> bytes:
    """With the version and the transform that libjpeg takes unknown ones for."""
    if marker == _APP0 and content.startswith(_JFIF):
        content = _JFIF + b"\1" + content[len(_JFIF) + 1 :]
    known = _YCCK if components == CMYK_COMPONENTS else _YCBCR
    if marker == _APP14 and content.startswith(_ADOBE) and content[_TRANSFORM:][:1] not in {b"", b"\0", bytes([known])}:
        content = content[:_TRANSFORM] + bytes([known]) + content[_TRANSFORM + 1 :]
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content
