"""Colours as sRGB, which the models were trained on, from those of a picture's profile: as browsers show them.

Browsers ignore a profile that is broken or of another kind of picture, take its perceptual table where it has several,
and do not compensate for the black of paper (docs/decisions/0025).
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from model.png import MAX_PROFILE_BYTES
from model.sandbox.matrix_profile import SRGB, Chromaticities, of_code_points, of_primaries

MOST_LEVELS = 8
"""Of 255: a profile that changes no channel by more is left alone. The sRGB profiles of many makers differ by up to 1
from each other, a plain power of 2.2 by 6, every other profile that was tried by 16 or more (docs/decisions/0025)."""

_KEPT_CONVERSIONS = 8  # of up to 4 MB of profile and 2 MB of table each
_COLOUR_SPACE = slice(16, 20)  # in a profile's header (ICC.1:2022, 7.2)
_HEADER_BYTES = 128
_TAG_BYTES = 12
_MOST_TAGS = 100  # that lcms reads

_CONVERTED_AS = {
    ("L", b"GRAY"): "L",
    ("L", b"RGB "): "RGB",
    ("RGB", b"RGB "): "RGB",
    ("RGBA", b"RGB "): "RGBA",
    ("CMYK", b"CMYK"): "CMYK",
}
"""By the mode of a picture and its profile's colour space: the mode in which lcms is given the colours."""


def to_srgb(picture: Image.Image) -> Image.Image:
    """The picture with its profile applied, where that changes what a person sees.

    Args:
        picture: loaded; of any mode. Its pixels may be changed in place.

    Returns:
        The picture, or one of the same size without its ``info``; transparency is kept. Grey stays grey; CMYK with a
        profile becomes RGB.
    """
    profile = picture.info.get("icc_profile") or _of_numbers(picture)
    if picture.mode in {"L", "RGB"} and "transparency" in picture.info and changes_colours(profile, picture.mode):
        picture = picture.convert(picture.mode + "A")  # the one transparent colour would no longer be found
    match picture.mode:
        case "RGB" | "RGBA" | "CMYK":
            return _converted(picture, _conversion(profile, picture.mode))
        case "L" | "LA":
            return _with_greys(picture, _conversion(profile, "L"))
        case "P" | "PA":
            return _with_palette(picture, profile)
        case _:
            return picture


def changes_colours(profile: bytes, mode: str) -> bool:
    """Whether a picture with this profile looks different when it is applied.

    Args:
        mode: "L" for grey, "RGB" or "CMYK".
    """
    return _conversion(profile, mode) is not None


def _of_numbers(picture: Image.Image) -> bytes:
    """The profile that a picture states by numbers, or none.

    Code points ("nclx") of a HEIC, or of a PNG's cICP; else a PNG's gAMA and cHRM chunks (third edition, 11.3.2). As
    browsers do: cHRM alone says nothing, and sRGB overrides both.
    """
    info = picture.info
    try:
        if coded := info.get("nclx_profile"):
            return of_code_points(coded["color_primaries"], coded["transfer_characteristics"])
        if info.get("gamma") and "srgb" not in info:
            return of_primaries(Chromaticities(*info.get("chromaticity", SRGB)), [1 / info["gamma"]])
    except ValueError:
        pass
    return b""


@lru_cache(_KEPT_CONVERSIONS)
def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """To sRGB; None if ``profile`` can't be applied to pictures of ``mode``, or a person would not see it."""
    given = _CONVERTED_AS.get((mode, profile[_COLOUR_SPACE]))
    if given is None or len(profile) > MAX_PROFILE_BYTES:
        return None
    shown = "RGBA" if given == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(_with_browsers_tables(profile)))
        conversion = ImageCms.buildTransform(source, _srgb(), given, shown, ImageCms.Intent.PERCEPTUAL)
    except (OSError, struct.error, ImageCms.PyCMSError):
        return None
    # No viewer shows inks as their mere complements, so there is nothing to compare with.
    return conversion if mode == "CMYK" or _changes_much(conversion, mode) else None


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    """Says that it is of version 2: for one of version 4 lcms compensates for black, whether asked to or not."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[8] = 2
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _with_browsers_tables(profile: bytes) -> bytes:
    """Without the tables of floats ("D2B0" and so on), which lcms prefers, and of which a few bytes can cost minutes.

    Raises:
        struct.error: the profile ends before its directory.
    """
    (tags,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    start = _HEADER_BYTES + 4
    end = start + _TAG_BYTES * min(tags, _MOST_TAGS)
    return profile[:start] + profile[start:end].replace(b"D2B", b"\0\0\0") + profile[end:]


def _changes_much(conversion: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """On a grid of 9 steps in each channel."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = steps[np.newaxis] if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    sample = Image.fromarray(grid).convert(conversion.input_mode)
    before = np.asarray(sample.convert("RGB"), np.int16)
    after = np.asarray(_converted(sample, conversion).convert("RGB"), np.int16)
    return bool(np.abs(after - before).max() > MOST_LEVELS)


def _converted(picture: Image.Image, conversion: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """In place if it can be: a large picture need not be there twice."""
    if conversion is None:
        return picture
    if conversion.output_mode == picture.mode:
        conversion.apply_in_place(picture)
        return picture
    return conversion.apply(picture)


def _with_greys(picture: Image.Image, conversion: ImageCms.ImageCmsTransform | None) -> Image.Image:
    if conversion is None:
        return picture
    all_greys = Image.frombytes("L", (256, 1), bytes(range(256))).convert(conversion.input_mode)
    greys = [*_converted(all_greys, conversion).convert("L").tobytes()]
    return picture.point(greys if picture.mode == "L" else [*greys, *range(256)])


def _with_palette(picture: Image.Image, profile: bytes) -> Image.Image:
    assert picture.palette is not None  # noqa: S101  # its mode is P
    mode = "RGBA" if picture.palette.mode == "RGBA" else "RGB"
    conversion = _conversion(profile, mode)
    if conversion is not None:
        palette = bytes(picture.getpalette(mode) or ())
        colours = Image.frombytes(mode, (len(palette) // len(mode), 1), palette)
        picture.putpalette(_converted(colours, conversion).tobytes(), mode)
    return picture
