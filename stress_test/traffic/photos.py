"""Photos that are new to the service every time, and show what is known."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

FOLDER = Path(__file__).parents[2] / "tests" / "pictures"
SIDE = 256
_AFTER_START_OF_IMAGE = 2


def base_photos() -> dict[str, bytes]:
    """By name, small JPEGs that differ: the project's photos, as they are and mirrored."""
    photos: dict[str, bytes] = {}
    for path in sorted(FOLDER.glob("*.jpg")):
        with Image.open(path) as whole:
            photo = ImageOps.fit(whole.convert("RGB"), (SIDE, SIDE))
        photos[path.stem] = _jpeg(photo)
        photos[f"{path.stem}, mirrored"] = _jpeg(ImageOps.mirror(photo))
    return photos


def marked(photo: bytes, mark: str) -> bytes:
    """The same pixels under another hash: ``mark`` (ASCII) stands in a comment of the JPEG."""
    comment = mark.encode("ascii")
    segment = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    return photo[:_AFTER_START_OF_IMAGE] + segment + photo[_AFTER_START_OF_IMAGE:]


def _jpeg(photo: Image.Image) -> bytes:
    file = BytesIO()
    photo.save(file, "JPEG", quality=85)
    return file.getvalue()
