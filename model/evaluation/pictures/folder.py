"""A user's own pictures, of which nothing is known but their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.evaluation.pictures.file import LOSSLESS_LIMIT, LOSSY_LIMIT, File

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOSSY = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG", ".webp": "WEBP", ".avif": "AVIF",
    ".avifs": "AVIF", ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF",
}  # fmt: skip
_LOSSLESS = {
    ".png": "PNG", ".apng": "PNG", ".gif": "GIF", ".bmp": "BMP", ".dib": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_FORMATS = _LOSSY | _LOSSLESS


def files(folder: Path) -> Iterator[File]:
    """Every file below ``folder`` with the suffix of a picture; those of one format together."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in _FORMATS and path.is_file())
    for path in sorted(paths, key=lambda path: (_FORMATS[path.suffix.lower()], path)):
        yield _file(path, folder)


def _file(path: Path, folder: Path) -> File:
    suffix = path.suffix.lower()
    return File(
        format=_FORMATS[suffix],
        colour="any",
        name=str(path.relative_to(folder)),
        image=path.read_bytes(),
        shown=None,
        limit=LOSSY_LIMIT if suffix in _LOSSY else LOSSLESS_LIMIT,
    )
