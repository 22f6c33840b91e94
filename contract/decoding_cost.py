"""What decoding a picture will cost, estimated from its header: pixels, format and passes. Nothing is decoded.

An estimate is right to within a factor that depends on the machine and on what the format leaves open. Workers learn
that factor for each kind of picture (model/serving/registration.py), and publish it in the registry.
"""

from __future__ import annotations

from typing import NamedTuple

from contract.image_header import jpeg, read_header
from contract.image_header.header import BrokenHeader

# Nanoseconds per pixel, and per pixel and scan of a progressive JPEG, as measured in docs/decisions/0037 by
# ``python -m model.evaluation.decoding_estimates``; HEIC and BMP of runs as in docs/decisions/0027.
NS_PER_PIXEL = {
    "image/png": 60.0,
    "image/gif": 25.0,
    "image/bmp": 20.0,
    "image/tiff": 25.0,
    "image/webp": 30.0,
    "image/avif": 90.0,
    "image/heic": 100.0,
}
JPEG_NS = 6.0
SCAN_NS = 0.6  # of a colour picture; empty or not, a scan is a pass over all blocks
INTERLACED_PNG_NS = 60.0
BMP_OF_RUNS_NS = 600.0
FEW_PIXELS = 1_000_000  # of these no number of scans that is read is costly, so they are not counted
USUAL_SCANS = 10
FACTORS = 0.5, 4.0  # bounds of what is learned: nobody may teach the service that what is costly is cheap

_PROGRESSIVE = {0xC2, 0xCA}  # B.1.1.3 of ITU-T T.81
_START_OF_SCAN = b"\xff\xda"
_PNG_INTERLACE = slice(28, 29)  # IHDR's last byte
_BMP_COMPRESSION = slice(30, 34)
_RUNS = (b"\x01\0\0\0", b"\x02\0\0\0")


class DecodingCost(NamedTuple):
    """``kind`` is what the factor is learned for; ``ms`` the estimate without it, in milliseconds."""

    kind: str
    ms: float


def decoding_cost(image: bytes) -> DecodingCost:
    """The cost of an encoded picture whose header was checked; of one without a readable header nothing."""
    try:
        header = read_header(image)
    except BrokenHeader:
        header = None
    if header is None:
        return DecodingCost("unknown", 0.0)
    pixels = max(header.size.pixels, header.largest.pixels)
    kind, ns_per_pixel = _kind(image, header.media_type, pixels)
    return DecodingCost(kind, pixels * ns_per_pixel / 1e6)


def _kind(image: bytes, media_type: str, pixels: int) -> tuple[str, float]:
    """What the factor is learned for, and nanoseconds per pixel."""
    if media_type == "image/jpeg":
        if jpeg.read_frame(image).marker not in _PROGRESSIVE:
            return media_type, JPEG_NS
        scans = image.count(_START_OF_SCAN) if pixels > FEW_PIXELS else USUAL_SCANS  # with a thumbnail's, a few
        return "progressive", JPEG_NS + scans * SCAN_NS
    if media_type == "image/png" and image[_PNG_INTERLACE] == b"\1":
        return "interlaced", INTERLACED_PNG_NS
    if media_type == "image/bmp" and image[_BMP_COMPRESSION] in _RUNS:
        return "runs", BMP_OF_RUNS_NS
    return media_type, NS_PER_PIXEL[media_type]


def bounded(factor: float) -> float:
    """A learned factor within ``FACTORS``; what is no number counts as 1."""
    least, most = FACTORS
    return min(most, max(least, factor)) if factor == factor else 1.0  # noqa: PLR0124  # the only float that differs
