"""Pillow as a viewer with a white page: the other decoder, which shares no line with ours."""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageFile, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAMPLE_FORMAT, _SIGNED = 339, 2  # a tag of TIFFs, and that it says so
_TOPS = (255.0, 65_535.0)
_AFTER_SIGNATURE, _SCREEN = 6, struct.Struct("<HH")  # of a GIF: width and height


def start() -> None:
    """Make Pillow read HEIC, and pictures of any size: ours holds its own limit against them."""
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None


def view(image: bytes) -> NDArray[np.uint8]:
    """The first frame, upright, in sRGB, on white.

    Returns:
        uint8, shape (height, width, 3), red, green, blue.

    Raises:
        Exception: Pillow can't read it; of what class, depends on the format.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata, as a rule
        with Image.open(BytesIO(image)) as picture:
            if picture.format == "GIF":
                return _on_screen(picture, image)
            return on_white(_in_srgb(_eight_bits(_upright(picture), signed=_is_signed(picture))))


def on_white(picture: Image.Image) -> NDArray[np.uint8]:
    """Any mode of 8 bits → uint8, shape (height, width, 3), red, green, blue."""
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB"))
    layers = np.asarray(picture.convert("RGBA")).astype(np.float32)
    colours, alpha = layers[..., :3], layers[..., 3:] / 255
    return np.rint(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)


def _on_screen(picture: Image.Image, gif: bytes) -> NDArray[np.uint8]:
    """As browsers show the first frame: where it leaves the screen bare there is the page, and nothing is beyond.

    Pillow paints the screen with the background colour, and enlarges it for a frame that reaches over its edge.
    """
    assert isinstance(picture, ImageFile.ImageFile)
    left, top, right, bottom = picture.tile[0].extents or (0, 0, *picture.size)
    frame = on_white(picture)
    width, height = _SCREEN.unpack_from(gif, _AFTER_SIGNATURE)
    page = np.full_like(frame, 255)
    page[top:bottom, left:right] = frame[top:bottom, left:right]
    return page[: height or None, : width or None]


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    return ImageOps.exif_transpose(picture)


def _is_signed(picture: Image.Image) -> bool:
    """Whether whole numbers of 32 bits are; Pillow takes those of every TIFF to be."""
    return not isinstance(picture, TiffImageFile) or picture.tag_v2.get(_SAMPLE_FORMAT) == (_SIGNED,)


def _eight_bits(picture: Image.Image, *, signed: bool) -> Image.Image:
    """Pillow cuts deeper levels off at 255 where it converts them; here they are scaled.

    16 bits by what they hold; more, and floating-point numbers, by the smallest usual range that holds the picture.
    """
    if picture.mode not in {"I", "F"} and not picture.mode.startswith("I;16"):
        return picture
    levels = np.asarray(picture)
    if picture.mode == "I" and not signed:
        levels = levels.view(np.uint32)
    low, high = (
        (0.0, 65_535.0) if picture.mode.startswith("I;16") else _range(levels, 2.0**31 - 1 if signed else 2.0**32 - 1)
    )
    scaled = np.nan_to_num((levels.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255)
    deep = Image.fromarray(np.rint(scaled).astype(np.uint8))
    key = picture.info.get("transparency")
    if isinstance(key, int):
        deep.putalpha(Image.fromarray(np.where(np.asarray(picture) == key, 0, 255).astype(np.uint8)))
    return deep


def _range(levels: NDArray[Any], top: float) -> tuple[float, float]:
    finite = levels[np.isfinite(levels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0:
        for end in (1.0, *_TOPS, top) if levels.dtype.kind == "f" else (*_TOPS, top):
            if high <= end:
                return 0.0, end
    return low, high if high > low else low + 1


def _in_srgb(picture: Image.Image) -> Image.Image:
    """With its profile applied, if it has one that fits it."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    colours = picture if picture.mode in {"L", "RGB", "CMYK", "LAB"} else picture.convert("RGB")
    try:
        shown = ImageCms.profileToProfile(
            colours, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return picture
    assert shown is not None
    if alpha is not None:
        shown.putalpha(alpha)
    return shown
