"""From a request to checked uploads: size, signature and pixel count are checked before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.encoded_picture import check
from api.core.errors import EmptyFile, MissingFile, TooManyPictures
from api.http.how_to_send import missing_picture
from api.http.picture_body import FIELDS
from contract.image_header import is_animated_gif

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.datastructures import FileStorage

    from api.settings import Settings


@dataclass(slots=True)
class Upload:
    """An encoded picture that has passed the checks.

    Attributes:
        data: empty once it was taken.
        filename: the sender's, for display only.
        animated: whether it is a GIF of several frames, of which the first is classified.
    """

    data: bytes
    filename: str
    animated: bool

    @classmethod
    def from_request(cls, request: Request, settings: Settings) -> Self:
        """Check the request's one picture.

        Raises:
            MissingFile: it has none; the message says what it has.
            EmptyFile: the file has no bytes.
            TooManyPictures: there is more than one.
            TooLarge: the picture has more than ``max_pixels`` pixels.
            NotAnImage: the bytes have no signature of a supported format.
            Undecodable: the picture's header is broken.
            RequestEntityTooLarge: Werkzeug's; the body has more than ``max_upload_mb``.
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
        file.close()  # frees its copy now, not after the answer
        if not data:
            raise EmptyFile("the file is empty")
        check(data, settings.max_pixels)
        return cls(data, file.filename or "", is_animated_gif(data))

    def taken(self) -> bytes:
        """The picture's bytes, which are nowhere else any more: they need no memory while the request waits."""
        data, self.data = self.data, b""
        return data


def files_of(request: Request) -> list[FileStorage]:
    """The pictures of a request, at least one: field by field, and within a field in the order sent.

    A body that is a picture itself is read as a form that has it, and so is JSON (``api/http/form_parser.py``).

    Raises:
        MissingFile: there is no picture.
    """
    chosen = [file for field in FIELDS for file in request.files.getlist(field) if _is_chosen(file)]
    if not chosen:
        raise MissingFile(missing_picture())
    return chosen


def _is_chosen(file: FileStorage) -> bool:
    """Whether a file was chosen: otherwise browsers send a file without name and content."""
    if file.filename:
        return True
    first = file.stream.read(1)
    file.stream.seek(0)
    return bool(first)
