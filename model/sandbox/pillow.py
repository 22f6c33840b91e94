"""Pillow's readers, asked for one picture; what they raise becomes a sentence for the sender."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from model.errors import DamagedImage, PictureError, TooManyPixels, UnsupportedImage
from model.sandbox.limits import check_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import ImageFile


def load(reader: type[ImageFile.ImageFile], image: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """The first picture of the file.

    Args:
        reader: a plugin's class. ``Image.open`` would try it too, but keep to itself why it could not read the file.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
        MemoryError: it takes more memory than there is.
    """
    with refusals():
        picture = reader(BytesIO(image))
        check_size(picture.size, max_pixels)
        picture.load()
    check_size(picture.size, max_pixels)  # some learn it while they decode
    return picture


@contextmanager
def refusals() -> Iterator[None]:
    """Whatever a reader raises, as one of our errors, by its words: readers of strangers' bytes raise all there is.

    Raises:
        DamagedImage, UnsupportedImage, TooManyPixels: as ``model.sandbox.picture.read``.
        MemoryError: as it is.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of damaged metadata, a line each
            yield
    except (PictureError, MemoryError):
        raise
    except Exception as error:
        words = str(error).lower()
        if "memory" in words:  # libavif, libheif
            raise MemoryError from error
        if "limit" in words:  # libheif's own: of pictures in a picture, of pixels
            raise TooManyPixels("the picture is too large, or has too many parts") from error
        if isinstance(error, NotImplementedError) or "support" in words:
            raise UnsupportedImage("pictures of this kind are not supported") from error
        if "truncated" in words or isinstance(error, EOFError):
            raise DamagedImage("the picture is damaged: it is cut short") from error
        raise DamagedImage("the picture is damaged") from error
