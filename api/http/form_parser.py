"""Our request class: it records its start, and parses ``multipart/form-data`` with the ``multipart`` package.

Flask sees its usual form and files, also where the body of a route that takes pictures is a picture itself, or JSON.

Werkzeug's own parser searches for the boundary with a regular expression that visits every byte of a photo, which
cost a fifth of the API's time (docs/decisions/0005-what-a-request-costs.md).
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from flask import Request
from multipart import MultipartSegment, PushMultipartParser
from werkzeug.datastructures import FileStorage, Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from api.core.errors import BrokenForm
from api.http.file_names import field_name, file_name
from api.http.how_to_send import MANGLED, line_that_works
from api.http.json_pictures import read_json
from api.http.picture_body import FIELDS, PICTURE_ROUTES, begins_as_picture, is_mangled
from api.http.received_body import READ_BYTES
from api.http.receiving import receiving, whole
from api.http.request_log import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIEnvironment

    from werkzeug.datastructures import MultiDict

    ParsedForm = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]

LONGEST_HEADER_BYTES = 16 * 1024  # one contains the file name, and some senders put a whole path there
MULTIPART, URL_ENCODED = "multipart/form-data", "application/x-www-form-urlencoded"


class FormParser(FormDataParser):
    """Keeps Werkzeug's limits on the number of parts and on the bytes of text; the request's limit is the stream's.

    Args:
        environ: of the request.
        takes_pictures: whether bodies that are a picture, or JSON, are read as if they were forms.
    """

    def __init__(self, environ: WSGIEnvironment, *, takes_pictures: bool, **limits: Any) -> None:
        super().__init__(**limits)
        self._environ = environ
        self._takes_pictures = takes_pictures

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> ParsedForm:
        """As Werkzeug's, but a broken form is an error of its own, not an empty form.

        Raises:
            BrokenForm: the body is not what it is said to be, ends too early, comes too slowly, or its parts have too
                many or too long headers; or it is a picture that was mangled on its way.
            RequestEntityTooLarge: the body has too much text.
            Overloaded: other bodies take the memory for it.
            OverLimit: its sender has sent more than he may.
        """
        with receiving(stream, self._environ, content_length) as (body, took):
            if mimetype == MULTIPART:
                return self._parse_parts(body, (options or {}).get("boundary", ""))
            if self._takes_pictures:
                return self._parse_other(body, mimetype, took)
            return body, self.cls(self._fields(b"", body) if mimetype == URL_ENCODED else ()), self.cls()

    def _parse_other(self, stream: IO[bytes], mimetype: str, took: Callable[[int], None]) -> ParsedForm:
        """A picture without a form, JSON, or text fields; of any other body only the beginning is read."""
        first = stream.read(READ_BYTES)
        if is_mangled(first):
            raise BrokenForm(f"{MANGLED}, or with: {line_that_works()}")
        form: list[tuple[str, str]] = []
        pictures: list[tuple[str, bytes]] = []
        if begins_as_picture(first) or (first and mimetype.startswith("image/")):
            pictures = [(FIELDS[0], whole(stream, first))]
        elif first.lstrip().startswith(b"{") or (first and _is_json(mimetype)):
            assert self.max_form_parts is not None  # noqa: S101  # Flask sets it
            form, pictures = read_json(whole(stream, first), FIELDS, took, self.max_form_parts)
        elif mimetype == URL_ENCODED:
            form = self._fields(first, stream)
        files = [(name, FileStorage(BytesIO(picture), "", name)) for name, picture in pictures]
        return stream, self.cls(form), self.cls(files)

    def _fields(self, first: bytes, stream: IO[bytes]) -> list[tuple[str, str]]:
        """Those of a form without parts, of which ``first`` was read already."""
        text = self._text(first, stream)
        try:
            return parse_qsl(text, keep_blank_values=True, max_num_fields=self.max_form_parts)
        except ValueError as error:
            raise BrokenForm(f"the form can't be read: it has more than {self.max_form_parts} fields") from error

    def _text(self, first: bytes, stream: IO[bytes]) -> str:
        assert self.max_form_memory_size is not None  # noqa: S101  # Flask sets it
        text = first
        while piece := stream.read(READ_BYTES):
            text += piece
            if len(text) > self.max_form_memory_size:
                raise _too_much_text(self.max_form_memory_size)
        return text.decode(errors="replace")

    def _parse_parts(self, stream: IO[bytes], boundary: str) -> ParsedForm:
        assert self.max_form_parts is not None  # noqa: S101  # Flask sets both
        assert self.max_form_memory_size is not None  # noqa: S101  # as before
        form: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        text_bytes = 0
        try:
            parts = PushMultipartParser(
                boundary,
                max_header_size=LONGEST_HEADER_BYTES,
                max_segment_count=self.max_form_parts,
                header_charset="latin-1",  # never fails; what the bytes of a name mean is told later
            )
            for part, content in _parts(parts, stream):
                name, filename = field_name(part), file_name(part)
                if filename is None and name in FIELDS and begins_as_picture(content):
                    filename = ""  # as of curl's -F "file=<photo.jpg"
                if filename is not None:
                    headers = Headers(part.headerlist)
                    files.append((name, FileStorage(BytesIO(content), filename, name, headers=headers)))
                    continue
                text_bytes += len(content)
                if text_bytes > self.max_form_memory_size:
                    raise _too_much_text(self.max_form_memory_size)
                form.append((name, content.decode(errors="replace")))
        except ValueError as error:  # from the parser, or from a header with a line break in it
            raise BrokenForm(f"the form can't be read: {error.args[0]}") from error  # what follows quotes the sender
        return stream, self.cls(form), self.cls(files)


class FormRequest(Request):
    """``started`` is the time at which the request's first line was read, by ``time.perf_counter``."""

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:  # Werkzeug's
        self.started = environ[STARTED] = time.perf_counter()
        super().__init__(environ, populate_request, shallow)

    @property
    def _takes_pictures(self) -> bool:
        return self.endpoint in PICTURE_ROUTES

    @property
    def want_form_data_parsed(self) -> bool:
        """Also where nothing says what the body is: it may be a picture."""
        return self._takes_pictures or super().want_form_data_parsed

    def make_form_data_parser(self) -> FormParser:
        return FormParser(
            self.environ,
            takes_pictures=self._takes_pictures,
            stream_factory=self._get_file_stream,
            max_form_memory_size=self.max_form_memory_size,
            max_content_length=self.max_content_length,
            max_form_parts=self.max_form_parts,
            cls=self.parameter_storage_class,
        )


def _is_json(mimetype: str) -> bool:
    return mimetype.endswith(("/json", "+json"))


def _too_much_text(most_bytes: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"the request has more than {most_bytes} bytes of text")


def _parts(parser: PushMultipartParser, stream: IO[bytes]) -> Iterator[tuple[MultipartSegment, bytes]]:
    """Each part with its whole content."""
    chunks: list[bytes] = []
    for event in parser.parse_blocking(stream.read, READ_BYTES):
        if isinstance(event, MultipartSegment):
            part, chunks = event, []
        elif event is not None:
            chunks.append(event)
        else:
            yield part, b"".join(chunks)
