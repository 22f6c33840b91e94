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
from api.http.form_parser import FormRequest
from api.http.received_body import READ_BYTES
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
    with create_app(services).test_request_context():
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


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        (b"filename*=utf-8''%D1%84.jpg", "\u0444.jpg"),
        (b"filename*=UTF-8'ru'%D1%84.jpg", "\u0444.jpg"),
        (b"filename* = utf-8''%D1%84.jpg ; size=3", "\u0444.jpg"),
        (b"FileName*=utf-8''%D1%84.jpg", "\u0444.jpg"),
        (b"filename*=\"utf-8''%D1%84.jpg\"", "\u0444.jpg"),
        (b"filename*=iso-8859-1'en'caf%E9.jpg", "caf\xe9.jpg"),
        (b"filename*=shift_jis'ja'%8E%CA%90%5E.jpg", "\u5199\u771f.jpg"),
        (b"filename*=Shift_JIS'ja'%94%4C.jpg", "\u732b.jpg"),
        (b"filename*=utf-8''%zz%D1.jpg", "%zz\ufffd.jpg"),
        (b"filename*=no-such-set''a.jpg", "a.jpg"),
        (b"filename*=%D1%84.jpg", "\u0444.jpg"),
        (b"filename*=utf-8''", ""),
        (b"filename=\"f.jpg\"; filename*=utf-8''%D1%84.jpg", "\u0444.jpg"),
        (b"filename*=utf-8''%D1%84.jpg; filename=\"f.jpg\"", "\u0444.jpg"),
        (b"filename==?utf-8?B?0YQ=?=; filename*=utf-8''%D1%84", "\u0444"),
        (b"filename=\"a; filename*=utf-8''b.jpg\"", "a; filename*=utf-8''b.jpg"),
        (b'filename="\xd1\x84.jpg"', "\u0444.jpg"),
        (b'filename="f\xfcr Am\xe9lie.jpg"', "f\xfcr Am\xe9lie.jpg"),
        (b'filename="Tom\x92s.jpg"', "Tom\u2019s.jpg"),
        (b'filename="\x8e\xca\x90^.jpg"', "\u5199\u771f.jpg"),
        (b'filename="\x95\x5c\x8e\xa6"', "\u8868\u793a"),
        (b'filename="' + b"\xff" * 5000 + b'"', "\xff" * 5000),
        (b'filename="\x81 \x81.jpg"', "\ufffd \ufffd.jpg"),
        (b"filename=a.jpg", "a.jpg"),
        (b"filename=\xd1\x84 1.jpg", "\u0444 1.jpg"),
        (b"filename='a.jpg'", "'a.jpg'"),
        (b'FILENAME = "a.jpg"', "a.jpg"),
        (b'\tfilename="a.jpg"', "a.jpg"),
        (b"filename=", ""),
        (b'filename=""', ""),
        (b'filename="a%22b\\\\c.jpg"', 'a"b\\\\c.jpg'),
        (b'filename="a\\"b.jpg"', 'a"b.jpg'),
        (b'filename="C:\\x\\y.jpg"', "y.jpg"),
        (b'filename="../../x.jpg"', "../../x.jpg"),
        (b'filename="a\0\x1b[2Jb.jpg"', "a\ufffd\ufffd[2Jb.jpg"),
        (b'filename="a%0D%0Ab.jpg"', "a\ufffd\ufffdb.jpg"),
        ('filename="a\u202egpj.exe"'.encode(), "a\ufffdgpj.exe"),
        ('filename="a\u200fgpj.exe"'.encode(), "a\ufffdgpj.exe"),
        (b"title=\"a;filename*=b\"; filename*=utf-8''c.jpg", "c.jpg"),
        (b'title="a\\"b"; filename*=utf-8\'\'c.jpg', "c.jpg"),
        (b"filename*=\"utf-8''a;b.jpg\"", "a;b.jpg"),
    ],
)
def test_a_file_is_one_whatever_its_name_and_the_name_is_shown_as_well_as_can_be(parameters, shown):
    """Programs write names in the character set of their system, with or without saying so: no reason to refuse any."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"; ' + parameters + b"\r\n\r\npixels\r\n--b--\r\n"
    file = sent(body).files["file"]

    assert file.read() == b"pixels"
    assert file.filename == shown


def test_a_large_file_with_an_extended_name_only_is_not_taken_for_too_much_text():
    part = PART.replace(b'filename="a.jpg"', b"filename*=utf-8''%D1%84.jpg")

    assert len(sent(part + b"x" * 600_000 + b"\r\n--b--\r\n").files["file"].read()) == 600_000


@pytest.mark.parametrize("name", ["\u5199\u771f".encode(), "\u5199\u771f".encode("cp932")])
def test_a_field_may_have_a_name_in_any_alphabet(name):
    body = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\nx\r\n--b--\r\n'

    assert sent(body).form["\u5199\u771f"] == "x"


def test_a_field_that_speaks_of_file_names_is_text():
    body = b'--b\r\nContent-Disposition: form-data; name="; filename=x; filename*=y"\r\n\r\nx\r\n--b--\r\n'

    assert list(sent(body).form.values()) == ["x"]


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
    ],
    ids=["cut short", "empty", "other bytes", "no boundary", "no form-data", "a line break"],
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
    monkeypatch.setattr(services.body_room, "_most_bytes", 1000)
    with services.body_room.body("another") as take:
        take(600)
        with pytest.raises(Overloaded):
            sent(body, content_type).files  # noqa: B018

    assert sent(body, content_type).files["file"].read() == b"x" * 600


def test_plain_forms_are_still_read():
    assert sent(b"label=cat&path=x", "application/x-www-form-urlencoded").form["label"] == "cat"


def test_a_plain_form_has_as_many_fields_as_one_with_parts():
    with pytest.raises(BrokenForm, match="fields"):
        sent(b"a=1&" * 2000, "application/x-www-form-urlencoded").form  # noqa: B018
