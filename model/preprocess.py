"""Encoded picture → one network input, as the model's manifest says, and which part of the picture it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class Window(NamedTuple):
    """The part of a picture that a network's input shows.

    Attributes:
        left, top, width, height: in pixels of the whole picture, from its upper left corner. It is larger than the
            picture where the input has bars beside it.
        size: of the whole picture, turned as it was decoded.
    """

    left: float
    top: float
    width: float
    height: float
    size: Size


class Prepared(NamedTuple):
    """A network's input, and what it shows.

    Attributes:
        values: of the manifest's dtype, shape (height, width, 3) for layout NHWC, (3, height, width) for NCHW; uint8 is
            0 to 255, float32 has the manifest's scale, mean and std applied.
    """

    values: NDArray[np.float32 | np.uint8]
    window: Window


def preprocess(
    image: bytes, decoder: Decoder, spec: PreprocessSpec, target: InputSpec, *, strict: bool = True
) -> Prepared:
    """Decode an encoded picture into one network input.

    Args:
        strict: whether damage is refused; otherwise what is there of the picture is used.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``Decoder.decode`` does.
    """

    def reduction(size: Size) -> int:
        return min(_reduction(size, spec, target), _LARGEST_JPEG_REDUCTION)

    decoded = decoder.decode(image, exif_orientation=spec.exif_orientation, reduction=reduction, strict=strict)
    width, height = decoded.size
    view = _View(decoded.pixels, Window(0, 0, width, height, decoded.size))
    match spec.resize:
        case "crop":
            view = _cropped(view, spec, target)
        case "letterbox":
            view = _letterboxed(view, spec, target)
        case "squash":
            view = view.resized(_size(target), spec, target)
    pixels = view.pixels[..., ::-1] if spec.colour == "rgb" else view.pixels
    return Prepared(_values(pixels, spec, target), view.window)


class _View(NamedTuple):
    """Pixels on their way to the input, and which part of the picture they show."""

    pixels: MatLike
    window: Window

    @property
    def size(self) -> Size:
        height, width = self.pixels.shape[:2]
        return Size(width, height)

    def resized(self, size: Size, spec: PreprocessSpec, target: InputSpec) -> _View:
        return self._replace(pixels=_resized(self.pixels, size, spec, target))

    def middle(self, size: Size) -> _View:
        """Its middle, no larger than it is."""
        left, top = (self.size.width - size.width) // 2, (self.size.height - size.height) // 2
        return _View(self.pixels[top : top + size.height, left : left + size.width], self._part(left, top, size))

    def framed(self, size: Size, left: int, top: int, grey: int) -> _View:
        """In a larger frame, whose rest is grey."""
        right, bottom = size.width - left - self.size.width, size.height - top - self.size.height
        borders = (top, bottom, left, right)
        pixels = cv2.copyMakeBorder(self.pixels, *borders, cv2.BORDER_CONSTANT, value=(grey, grey, grey))
        return _View(pixels, self._part(-left, -top, size))

    def _part(self, left: int, top: int, size: Size) -> Window:
        """The window of a part of these pixels, or of a frame around them."""
        x, y = self.window.width / self.size.width, self.window.height / self.size.height
        return self.window._replace(
            left=self.window.left + left * x,
            top=self.window.top + top * y,
            width=size.width * x,
            height=size.height * y,
        )


def _size(target: InputSpec) -> Size:
    return Size(target.width, target.height)


def _reduction(size: Size, spec: PreprocessSpec, target: InputSpec) -> int:
    """The largest power of two by which a picture can shrink and still be no smaller than what is needed of it."""
    if spec.interpolation == "nearest_exact":  # picks single pixels, so it must see those of the file
        return 1
    # Either way round: an EXIF turn may exchange the sides.
    if spec.shorter_side is not None:
        factor = min(size) // spec.shorter_side
    elif spec.resize == "letterbox":
        factor = min(
            max(size.width // width, size.height // height)
            for width, height in ((target.width, target.height), (target.height, target.width))
        )
    else:
        factor = min(size) // max(target.width, target.height)
    return 1 << max(factor.bit_length() - 1, 0)


def _cropped(view: _View, spec: PreprocessSpec, target: InputSpec) -> _View:
    assert spec.shorter_side is not None  # noqa: S101  # the manifest is checked
    width, height = view.size
    view = view.middle(Size(min(width, _LONGEST_RATIO * height), min(height, _LONGEST_RATIO * width)))
    width, height = view.size
    scale = spec.shorter_side / min(height, width)
    return view.resized(Size(round(width * scale), round(height * scale)), spec, target).middle(_size(target))


def _letterboxed(view: _View, spec: PreprocessSpec, target: InputSpec) -> _View:
    assert spec.padding is not None  # noqa: S101  # the manifest is checked
    width, height = view.size
    scale = min(target.width / width, target.height / height)
    size = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (target.width - size.width) // 2, (target.height - size.height) // 2
    if spec.place == "top_left":
        left = top = 0
    return view.resized(size, spec, target).framed(_size(target), left, top, spec.padding)


def _resized(pixels: MatLike, size: Size, spec: PreprocessSpec, target: InputSpec) -> MatLike:
    height, width = pixels.shape[:2]
    if spec.interpolation == "linear":
        # Linear interpolation looks at four source pixels only; what it would skip is averaged before.
        factor = _reduction(Size(width, height), spec, target)
        if factor > 1:
            smaller = max(1, width // factor), max(1, height // factor)
            pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, interpolation=_INTERPOLATION[spec.interpolation])


def _values(pixels: MatLike, spec: PreprocessSpec, target: InputSpec) -> NDArray[np.float32 | np.uint8]:
    values = np.asarray(pixels)
    if spec.scale is not None:
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        values = (pixels * np.float32(spec.scale) - mean) / std
    if target.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values, target.dtype)
