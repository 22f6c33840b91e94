"""Forms as programs and browsers send them, and as they should not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from urllib3 import encode_multipart_formdata
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from api.app import create_app
from api.core.errors import BrokenForm, Overloaded
from api.http.form_parser import READ_BYTES, FormRequest
from api.services import Services
from api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPE = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'


@pytest.fixture(autouse=True)
def services() -> Iterator[Services]:
    """The form belongs to a request of the application, which bounds the bodies that it reads at a time."""
    services = Services.connect(Settings())
    with create_app(services).app_context():
        yield services


def sent(body: bytes, content_type: str = TYPE) -> FormRequest:
    builder = EnvironBuilder(method="POST", input_stream=io.BytesIO(body), content_type=content_type)
    return FormRequest(builder.get_environ() | {"CONTENT_LENGTH": str(len(body))})


@pytest.mark.parametrize("size", [0, 1, READ_BYTES - 10, READ_BYTES, 3 * READ_BYTES + 7])
def test_a_file_arrives_unchanged_whatever_its_size(size):
    """A boundary may be split between two reads, and a picture may contain line breaks and dashes of its own."""
    content = (b"\r\n--\r\n-" * (size // 9 + 1))[:size]
    body, content_type = encode_multipart_formdata({"file": ("caf\u00e9.jpg", content, "image/jpeg"), "top_k": "3"})
    form = sent(body, content_type)

    assert form.files["file"].read() == content
    assert form.files["file"].filename == "caf\u00e9.jpg"
    assert form.files["file"].mimetype == "image/jpeg"
    assert form.form["top_k"] == "3"


def test_a_file_name_may_be_long():
    """Some senders put a whole path there; the name is for display only."""
    body, content_type = encode_multipart_formdata({"file": ("x" * 5000 + ".jpg", b"x")})

    assert sent(body, content_type).files["file"].read() == b"x"


def test_several_files_of_one_name_keep_their_order():
    body, content_type = encode_multipart_formdata([("files", (name, name.encode())) for name in "cab"])

    assert [file.filename for file in sent(body, content_type).files.getlist("files")] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PART + b"cut short", TYPE),
        (b"", TYPE),
        (b"no form at all", TYPE),
        (PART + b"x\r\n--b--\r\n", "multipart/form-data"),
        (PART.replace(b"form-data", b"attachment") + b"x\r\n--b--\r\n", TYPE),
        (PART.replace(b"a.jpg", b"a\nb.jpg") + b"x\r\n--b--\r\n", TYPE),
        (PART.replace(b"a.jpg", b"\xff" * 5000) + b"x\r\n--b--\r\n", TYPE),
    ],
    ids=["cut short", "empty", "other bytes", "no boundary", "no form-data", "a line break", "no UTF-8"],
)
def test_a_broken_form_says_so_instead_of_looking_like_one_without_a_file(body, content_type):
    with pytest.raises(BrokenForm, match="the form can't be read: ") as refused:
        sent(body, content_type).files  # noqa: B018  reading it is the point

    assert len(str(refused.value)) < 200  # it goes into a header, and must not repeat what was sent


@pytest.mark.parametrize(
    "fields",
    [[("text", "x" * 500_001)], [("a", "x" * 300_000), ("b", "x" * 300_000)]],
    ids=["a long text", "long texts together"],
)
def test_a_form_may_not_fill_the_memory_with_text(fields):
    body, content_type = encode_multipart_formdata(fields)

    with pytest.raises(RequestEntityTooLarge):
        sent(body, content_type).form  # noqa: B018


@pytest.mark.parametrize(
    ("fields", "too_much"),
    [
        ([(str(n), "") for n in range(1001)], "segment count"),
        ([("x" * 17_000, "")], "header length"),
    ],
    ids=["many parts", "a long name"],
)
def test_a_form_may_not_fill_the_memory_with_parts(fields, too_much):
    """The sender learns which limit it was: "too large" would make them look for a smaller photo."""
    body, content_type = encode_multipart_formdata(fields)

    with pytest.raises(BrokenForm, match=too_much):
        sent(body, content_type).form  # noqa: B018


def test_a_body_takes_its_share_of_the_memory_while_it_is_read(services, monkeypatch):
    """Otherwise a few slow senders of large files would fill the process's memory."""
    body, content_type = encode_multipart_formdata({"file": ("a.jpg", b"x" * 600)})
    monkeypatch.setattr(services.admission, "_body_bytes", 1000)
    with services.admission.reading_body(600), pytest.raises(Overloaded):
        sent(body, content_type).files  # noqa: B018

    assert sent(body, content_type).files["file"].read() == b"x" * 600


def test_plain_forms_are_still_read():
    assert sent(b"label=cat&path=x", "application/x-www-form-urlencoded").form["label"] == "cat"
