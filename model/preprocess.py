"""Encoded picture → one network input, as the model's manifest says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contract.image_header.header import Size
from model.opencv import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray

    from model.decode import Decoder
    from model.manifest import InputSpec, PreprocessSpec

_INTERPOLATION = {
    "area": cv2.INTER_AREA,
    "linear": cv2.INTER_LINEAR,
    "nearest_exact": cv2.INTER_NEAREST_EXACT,
}
_LARGEST_JPEG_REDUCTION = 8

# The middle is never more than about one shorter side long. Beyond this ratio of the sides the ends are cut off
# before the picture is enlarged: one of 1 x 1,000,000 pixels would otherwise grow to 200 GB.
_LONGEST_RATIO = 4


def preprocess(
    image: bytes, decoder: Decoder, spec: PreprocessSpec, target: InputSpec, *, strict: bool = True
) -> NDArray[np.float32 | np.uint8]:
    """Decode an encoded picture into one network input.

    Args:
        strict: whether damage is refused; otherwise what is there of the picture is used.

    Returns:
        ``target.dtype``, shape (target.height, target.width, 3) for layout NHWC, (3, height, width) for NCHW;
        uint8 is 0 to 255, float32 has ``spec``'s scale, mean and std applied.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``Decoder.decode`` does.
    """

    def reduction(size: Size) -> int:
        return min(_reduction(size, spec, target), _LARGEST_JPEG_REDUCTION)

    pixels = decoder.decode(image, exif_orientation=spec.exif_orientation, reduction=reduction, strict=strict)
    pixels = _crop(pixels, spec, target) if spec.resize == "crop" else _resize(pixels, spec, target, _size(target))
    if spec.colour == "rgb":
        pixels = pixels[..., ::-1]
    return _values(pixels, spec, target)


def _size(target: InputSpec) -> Size:
    return Size(target.width, target.height)


def _reduction(size: Size, spec: PreprocessSpec, target: InputSpec) -> int:
    """The largest power of two by which a picture can shrink and still be no smaller than what is needed of it."""
    if spec.interpolation == "nearest_exact":  # picks single pixels, so it must see those of the file
        return 1
    if spec.shorter_side is not None:
        factor = min(size) // spec.shorter_side
    else:
        # Either way round: an EXIF turn may exchange the sides.
        factor = min(size) // max(target.width, target.height)
    return 1 << max(factor.bit_length() - 1, 0)


def _crop(pixels: MatLike, spec: PreprocessSpec, target: InputSpec) -> MatLike:
    assert spec.shorter_side is not None  # noqa: S101  # the manifest is checked
    height, width = pixels.shape[:2]
    pixels = _middle(pixels, Size(min(width, _LONGEST_RATIO * height), min(height, _LONGEST_RATIO * width)))
    height, width = pixels.shape[:2]
    scale = spec.shorter_side / min(height, width)
    return _middle(_resize(pixels, spec, target, Size(round(width * scale), round(height * scale))), _size(target))


def _middle(pixels: MatLike, size: Size) -> MatLike:
    top, left = (pixels.shape[0] - size.height) // 2, (pixels.shape[1] - size.width) // 2
    return pixels[top : top + size.height, left : left + size.width]


def _resize(pixels: MatLike, spec: PreprocessSpec, target: InputSpec, size: Size) -> MatLike:
    height, width = pixels.shape[:2]
    if spec.interpolation == "linear":
        # Linear interpolation looks at four source pixels only; what it would skip is averaged before.
        factor = _reduction(Size(width, height), spec, target)
        if factor > 1:
            pixels = cv2.resize(pixels, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, interpolation=_INTERPOLATION[spec.interpolation])


def _values(pixels: MatLike, spec: PreprocessSpec, target: InputSpec) -> NDArray[np.float32 | np.uint8]:
    values = np.asarray(pixels)
    if spec.scale is not None:
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        values = (pixels * np.float32(spec.scale) - mean) / std
    if target.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values, target.dtype)
