"""The photos that are sent: labelled ones from outside the project, and large ones made of them."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.export import photos
from model.export.errors import ExportError
from model.opencv import cv2
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.export.photos import Photos

SMALL = (500, 375)  # the sample's median and most common size
LARGE = (4000, 3000)  # 12 megapixels, of the same shape
QUALITY = 90  # a camera's usual JPEG
PAIRS = 8


def find_photos() -> Photos:
    """The labelled photos of ``IMAGENET_SAMPLE``, or of ``../shared/imagenet-sample``.

    Raises:
        CannotMeasure: there are none, or not such as the scenarios need.
    """
    folder = Path(os.environ.get("IMAGENET_SAMPLE") or ROOT.parent / "shared" / "imagenet-sample")
    try:
        collection = photos.read(folder)
    except ExportError as error:
        raise CannotMeasure(
            "no photos: IMAGENET_SAMPLE must name a folder of JPEGs with a labels.csv (columns file, class_index)"
        ) from error
    if missing := [file.name for file in collection.files if not file.is_file()]:
        raise CannotMeasure(f"{folder} has not all that its labels.csv names: {missing[0]} is missing")
    next(_small(collection))
    return collection


def small_and_large(collection: Photos, folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Photos of 500 x 375 pixels unchanged, and the same enlarged to 12 megapixels, written into ``folder``.

    Raises:
        CannotMeasure: the collection has none of that size.
    """
    small: list[Path] = []
    large: list[Path] = []
    for file, pixels in islice(_small(collection), PAIRS):
        blown_up = cv2.resize(pixels, LARGE, interpolation=cv2.INTER_CUBIC)
        target = folder / f"{file.stem}.jpg"
        cv2.imwrite(str(target), blown_up, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        small.append(file)
        large.append(target)
    return tuple(small), tuple(large)


def _small(collection: Photos) -> Iterator[tuple[Path, Any]]:
    """Photos of 500 x 375 pixels with these.

    Raises:
        CannotMeasure: the collection has none of that size.
    """
    none = True
    for file in collection.files:
        pixels = cv2.imread(str(file))
        if pixels is not None and pixels.shape[1::-1] == SMALL:
            none = False
            yield file, pixels
    if none:
        raise CannotMeasure(f"none of the photos has {SMALL[0]} x {SMALL[1]} pixels")
