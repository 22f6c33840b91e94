"""From a request to checked uploads: size, signature and pixel count are looked at before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.errors import EmptyFile, MissingFile, NotAnImage, TooLarge, TooManyPictures, Undecodable
from contract.image_header import read_size
from contract.image_header.header import BrokenHeader

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.datastructures import FileStorage

    from api.settings import Settings

FIELDS = ("file", "image", "files")  # what clients call them; every route that takes pictures takes all three


@dataclass(frozen=True, slots=True)
class Upload:
    """An encoded picture that has passed the checks; ``filename`` is the sender's word, for display only."""

    data: bytes
    filename: str

    @classmethod
    def from_request(cls, request: Request, settings: Settings) -> Self:
        """Check the request's one picture.

        Raises:
            MissingFile: none of ``FIELDS``, or no file chosen.
            EmptyFile: the file has no bytes.
            TooManyPictures: there are several.
            TooLarge: the picture has more than ``max_pixels`` pixels.
            NotAnImage: no signature of a supported format.
            Undecodable: the picture's header is broken.
            RequestEntityTooLarge: werkzeug's, when the body has more than ``max_upload_mb``.
        """
        first, *more = files_of(request)
        if more:
            raise TooManyPictures(f"one picture is taken here, and the request has {1 + len(more)}")
        return cls.from_file(first, settings)

    @classmethod
    def from_file(cls, file: FileStorage, settings: Settings) -> Self:
        """Check one file of a form; its bytes are taken out of the form.

        Raises:
            EmptyFile, TooLarge, NotAnImage, Undecodable: as ``from_request`` does.
        """
        data = file.read()
        file.close()  # its copy goes now, not after the answer
        if not data:
            raise EmptyFile("the file is empty")
        check(data, settings.max_pixels)
        return cls(data, file.filename or "")


def files_of(request: Request) -> list[FileStorage]:
    """The pictures of a form, at least one: field by field, and within a field in the order sent.

    Raises:
        MissingFile: there is none.
    """
    chosen = [file for field in FIELDS for file in request.files.getlist(field) if _is_chosen(file)]
    if not chosen:
        raise MissingFile("the request has no file in the field 'file' (or 'image', or 'files')")
    return chosen


def _is_chosen(file: FileStorage) -> bool:
    """Whether it is a file at all: a field in which nothing was chosen comes as one without name and content."""
    if file.filename:
        return True
    first = file.stream.read(1)
    file.stream.seek(0)
    return bool(first)


def check(data: bytes, max_pixels: int) -> None:
    """Look at an encoded picture's signature and header; nothing is decoded.

    Raises:
        TooLarge, NotAnImage, Undecodable: as the name says.
    """
    try:
        size = read_size(data)
    except BrokenHeader as error:
        raise Undecodable(str(error)) from error
    if size is None:
        raise NotAnImage(
            "the file is not a picture in a supported format (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC)"
        )
    width, height = size
    if width < 1 or height < 1:
        raise Undecodable("the picture has no pixels")
    if width * height > max_pixels:
        raise TooLarge(f"the picture has {width}x{height} pixels; at most {max_pixels} are taken")
