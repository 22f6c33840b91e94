"""Every file that Pillow and pillow_heif write of every source: a table of formats and of their encoders' options."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from model.evaluation.pictures.file import LOSSLESS_LIMIT, LOSSY_LIMIT, File
from model.evaluation.pictures.sources import SOURCES, Source, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_UPRIGHT, _EVERY_WAY_UP = (1,), tuple(range(1, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Files that one encoder makes: all pictures, with all combinations of options, in all orientations.

    Attributes:
        format: Pillow's name of it.
        sources: names of the pictures.
        options: values by the encoder's name for them; None leaves one out.
        lossy: whether the encoder drops something.
        orientations: EXIF's numbers, if the format carries them.
        frames: how many more frames follow the picture, all black.
        alpha: whether transparency is kept.
    """

    format: str
    sources: tuple[str, ...]
    options: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    lossy: bool = False
    orientations: tuple[int, ...] = _UPRIGHT
    frames: int = 0
    alpha: bool = True


_TIFF_COLOURS = (
    "grey", "grey, 16 bits", "grey, 16 bits, big-endian", "grey, 32 bits", "grey, float", "grey + alpha, cut out",
    "grey + alpha, soft", "palette", "RGB", "RGBX", "RGBA, opaque", "RGBA, cut out", "RGBA, soft", "CMYK",
    "YCbCr", "LAB",
)  # fmt: skip
_PNG_COLOURS = (
    "1 bit, key", "grey, key", "grey, 16 bits", "grey, 16 bits, key", "grey + alpha, cut out", "grey + alpha, soft",
    "palette", "palette, 2 colours", "palette, 4 colours", "palette, 16 colours", "palette, key",
    "palette, 4 colours, key", "palette, alpha", "RGB", "RGB, key", "RGBA, opaque", "RGBA, cut out", "RGBA, soft",
)  # fmt: skip
_LAYERED = ("grey", "grey + alpha, cut out", "grey + alpha, soft", "RGB", "RGBA, cut out", "RGBA, soft")

FAMILIES = (
    Family(
        format="JPEG",
        sources=("1 bit", "grey", "RGB", "RGBX", "CMYK", "YCbCr"),
        options={
            "quality": (75, 95),
            "progressive": (False, True),
            "optimize": (False, True),
            "subsampling": ("4:4:4", "4:2:2", "4:2:0"),
            "restart_marker_blocks": (None, 5),
        },
        lossy=True,
        orientations=_EVERY_WAY_UP,
    ),
    Family(format="JPEG", sources=("RGB",), options={"keep_rgb": (True,), "progressive": (False, True)}, lossy=True),
    Family(
        format="JPEG",
        sources=("grey", "RGB", "CMYK"),
        options={"restart_marker_rows": (1, 3), "progressive": (False, True), "quality": (90,)},
        lossy=True,
    ),
    Family(format="MPO", sources=("RGB",), options={"quality": (90,)}, lossy=True, frames=1),
    Family(
        format="PNG",
        sources=("1 bit", *_PNG_COLOURS),
        options={"optimize": (False, True), "compress_level": (0, 6)},
        orientations=_EVERY_WAY_UP,
    ),
    Family(format="PNG", sources=("1 bit", "grey", "palette", "RGB", "RGBA, cut out", "RGBA, soft"), frames=1),
    *(
        Family(format="PNG", sources=(name,), options={"bits": (bits,)}, orientations=_EVERY_WAY_UP)
        for name, bits in (("1 bit", 1), ("grey, 2 bits", 2), ("grey, 4 bits", 4), ("grey", 8))
    ),
    Family(
        format="WEBP",
        sources=_LAYERED,
        options={"lossless": (True,), "exact": (False, True), "method": (0, 4), "quality": (10, 90)},
        orientations=(1, 6),
    ),
    Family(
        format="WEBP",
        sources=_LAYERED,
        options={"quality": (75, 95), "alpha_quality": (90, 100), "method": (0, 6)},
        lossy=True,
        orientations=(1, 6),
    ),
    Family(format="WEBP", sources=_LAYERED, options={"lossless": (True,), "exact": (False, True)}, frames=1),
    Family(format="WEBP", sources=_LAYERED, options={"quality": (90,), "allow_mixed": (False, True)},
           lossy=True, frames=1),
    Family(
        format="GIF",
        sources=("1 bit", "grey", "palette", "palette, 4 colours", "palette, key", "palette, 4 colours, key"),
        options={"interlace": (0, 1), "optimize": (False, True), "background": (None, 0, 1)},
    ),
    Family(
        format="GIF",
        sources=("1 bit", "grey", "palette", "palette, key", "palette, 4 colours, key"),
        options={"interlace": (0, 1), "disposal": (0, 1, 2, 3), "background": (None, 0, 1)},
        frames=1,
    ),
    Family(format="BMP", sources=("1 bit", "grey", "palette", "palette, 16 colours", "RGB", "RGBA, opaque",
                                  "RGBA, cut out"), alpha=False),
    Family(
        format="TIFF",
        sources=("1 bit", *_TIFF_COLOURS, "palette + alpha, soft"),
        options={"big_tiff": (False, True)},
        orientations=_EVERY_WAY_UP,
    ),
    Family(
        format="TIFF",
        sources=("1 bit", *_TIFF_COLOURS),
        options={"compression": ("tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd"),
                 "strip_size": (None, 1_000, 1_000_000)},
    ),
    Family(format="TIFF", sources=("1 bit",), options={"compression": ("group3", "group4", "tiff_ccitt")}),
    Family(format="TIFF", sources=("1 bit", "grey"), options={"compression": ("raw", "tiff_lzw"),
                                                             "tiffinfo": ({262: 0},)}),
    Family(
        format="TIFF",
        sources=("grey", "RGB", "CMYK", "YCbCr"),
        options={"compression": ("jpeg",), "quality": (75, 95), "strip_size": (None, 1_000)},
        lossy=True,
    ),
    Family(format="TIFF", sources=("RGB", "palette"), frames=1),
    Family(
        format="AVIF",
        sources=(*_LAYERED, "palette, key"),
        options={"subsampling": ("4:2:0", "4:2:2", "4:4:4"), "range": ("full", "limited"), "quality": (80, 100),
                 "speed": (10,)},
        lossy=True,
        orientations=(1, 6),
    ),
    Family(format="AVIF", sources=("1 bit", "grey"), options={"subsampling": ("4:0:0",), "speed": (10,),
                                                              "range": ("full", "limited")}, lossy=True),
    Family(format="AVIF", sources=("RGB", "RGBA, soft"), options={"speed": (10,), "quality": (90,)}, lossy=True,
           orientations=_EVERY_WAY_UP),
    Family(format="AVIF", sources=("RGBA, cut out", "RGBA, soft"), options={"alpha_premultiplied": (True,),
                                                                          "speed": (10,)}, lossy=True),
    Family(format="AVIF", sources=("RGB",), options={"tile_rows": (0, 1), "tile_cols": (1,), "speed": (10,)},
           lossy=True),
    Family(format="AVIF", sources=("grey", "RGB", "RGBA, cut out"), options={"speed": (10,)}, lossy=True, frames=1),
    Family(
        format="HEIF",
        sources=_LAYERED,
        options={"subsampling": ("4:2:0", "4:2:2", "4:4:4"), "quality": (70, 90), "tile_size": (None, 64)},
        lossy=True,
    ),
    Family(format="HEIF", sources=("grey", "RGB", "RGBA, soft"), options={"quality": (90,)}, lossy=True,
           orientations=_EVERY_WAY_UP),
    Family(format="HEIF", sources=("1 bit", "palette", "palette, key", "grey, 16 bits"),
           options={"quality": (90,)}, lossy=True),
    Family(format="HEIF", sources=("RGB",), options={"full_range_flag": (0, 1), "matrix_coefficients": (1, 6, 9),
                                                     "quality": (90,)}, lossy=True),
    Family(format="HEIF", sources=("RGB",), options={"quality": (90,)}, lossy=True, frames=1),
)  # fmt: skip


def variants() -> Iterator[File]:
    """All files of the table, those of one format and colour together."""
    families = sorted(itertools.product(FAMILIES, SOURCES), key=lambda pair: (pair[0].format, pair[1]))
    for family, colour in families:
        if colour in family.sources:
            yield from _of(family, colour)


def _of(family: Family, colour: str) -> Iterator[File]:
    drawn = source(colour)
    for values in itertools.product(family.orientations, *family.options.values()):
        orientation, *chosen = values
        options = {name: value for name, value in zip(family.options, chosen, strict=True) if value is not None}
        yield File(
            format=family.format,
            colour=colour,
            name=_name(family, options, orientation),
            image=_encoded(family, drawn, options, orientation),
            shown=_turned(drawn.shown if family.alpha else drawn.opaque, orientation),
            limit=LOSSY_LIMIT if family.lossy else LOSSLESS_LIMIT,
        )


def _encoded(family: Family, drawn: Source, options: dict[str, Any], orientation: int) -> bytes:
    file = BytesIO()
    if orientation != 1:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options = {**options, "exif": exif if family.format == "TIFF" else exif.tobytes()}
    if family.frames:
        black = [Image.new(drawn.picture.mode, drawn.picture.size)] * family.frames
        options = {**options, "save_all": True, "append_images": black}
        if family.format in {"GIF", "PNG", "WEBP", "AVIF"}:
            options["duration"] = 100
    drawn.picture.copy().save(file, family.format, **options)
    return file.getvalue()


def _turned(shown: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(shown)
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _name(family: Family, options: dict[str, Any], orientation: int) -> str:
    said = [f"{name}={value}" for name, value in options.items()]
    if orientation != 1:
        said.append(f"orientation={orientation}")
    if family.frames:
        said.append(f"{family.frames + 1} frames")
    return ", ".join(said) or "as it is"
