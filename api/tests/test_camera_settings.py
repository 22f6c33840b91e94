"""What an operator says of the camera is looked at when the service starts; nothing that is secret is printed."""

from __future__ import annotations

import pytest

from api.core.camera.address import CameraAddress
from api.core.camera.credentials import read_headers
from api.settings import Settings
from contract.settings import load_settings

UNREADABLE = "is no address: its host or its port can't be read"


def printed_at_the_start(monkeypatch, capsys, **variables: object) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    return str(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("url", "shown", "said"),
    [
        ("ftp://camera/x", "ftp://camera/x", "must begin with http:// or https://"),
        ("camera/snapshot", "camera/snapshot", "must begin with http:// or https://"),
        ("camera:8080/x", "camera:8080/x", "must begin with http:// or https://"),
        ("file:///etc/passwd", "file:///etc/passwd", "must begin with http:// or https://"),
        ("http:///snapshot", "http:///snapshot", UNREADABLE),
        ("http://camera:0/", "http://camera:0/", UNREADABLE),
        ("http://camera:70000/", "http://camera:70000/", UNREADABLE),
        ("http://camera:port/", "http://camera:port/", UNREADABLE),
        ("http://[::1/", "http://[::1/", UNREADABLE),
        ("http://a..b/", "http://a..b/", UNREADABLE),
        ("http://camera,other/", "http://camera,other/", UNREADABLE),
        ("http://camera/#top", "http://camera/#top", "must have no fragment, which is never sent (write # as %23)"),
        ("http://camera/a b", "http://camera/a b",
         "must be an address of printable ASCII characters (write all others as %XX)"),
        ("http://ops:hunter2@camera/x", "http://***@camera/x",
         ("must have no user or password: a token belongs in CAMERA_AUTH_TOKEN_FILE, "
          "another header in CAMERA_HEADERS_FILE")),
        ("ftp://ops:hunter2@camera/x", "ftp://***@camera/x", "must begin with http:// or https://"),
    ],
)  # fmt: skip
def test_an_address_that_could_not_be_asked_ends_the_start(monkeypatch, capsys, url, shown, said):
    assert printed_at_the_start(monkeypatch, capsys, CAMERA_URL=url) == f"CAMERA_URL='{shown}': {said}\n"


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://camera", "camera", "/"),
        ("HTTP://Camera_1.Plant.example:80/a", "camera_1.plant.example", "/a"),
        ("https://camera:443", "camera", "/"),
        ("https://camera:80/a%20b?c=d&e", "camera:80", "/a%20b?c=d&e"),
        ("http://192.0.2.7:8080/?x", "192.0.2.7:8080", "/?x"),
        ("http://[2001:DB8::7]/x", "[2001:db8::7]", "/x"),
    ],
)
def test_an_address_is_asked_as_it_is_written(url, authority, target):
    address = CameraAddress.parse(url)

    assert (address.authority, address.target({})) == (authority, target)


def test_without_an_address_there_is_no_camera():
    assert load_settings(Settings).camera_url == ""


@pytest.mark.parametrize("text", [b"", b"\n", b"two words\n", b"cl\xc3\xa9\n", b"tab\tin\n", b"x" * 20_000])
def test_a_file_without_a_token_ends_the_start_and_is_not_shown(monkeypatch, capsys, tmp_path, text):
    file = tmp_path / "token"
    file.write_bytes(text)
    printed = printed_at_the_start(monkeypatch, capsys, CAMERA_AUTH_TOKEN_FILE=file)

    assert printed.removeprefix(f"CAMERA_AUTH_TOKEN_FILE='{file}': it") in {
        "s first line must be a token of printable ASCII characters, without spaces\n",
        " has other characters than those of ASCII\n",
        " has more than 16384 bytes\n",
    }


@pytest.mark.parametrize("name", ["CAMERA_AUTH_TOKEN_FILE", "CAMERA_HEADERS_FILE"])
def test_a_file_that_is_not_there_ends_the_start(monkeypatch, capsys, tmp_path, name):
    printed = printed_at_the_start(monkeypatch, capsys, **{name: tmp_path / "nothing"})

    assert printed == f"{name}='{tmp_path}/nothing': it can't be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("X-Key hunter2", "line 1 must be Name: value, in printable ASCII characters"),
        ("X-Key:\n", "line 1 must be Name: value, in printable ASCII characters"),
        ("\nX Key: hunter2", "line 2 must be Name: value, in printable ASCII characters"),
        ("X-Key: hun\x07ter2", "line 1 must be Name: value, in printable ASCII characters"),
        ("X-Key: hunter2\nx-key: hunter3", "line 2: this header is there already"),
        ("Host: hunter2", "line 1: the service writes this header itself"),
        ("Accept-Encoding: gzip", "line 1: the service writes this header itself"),
        ("Transfer-Encoding: chunked", "line 1: the service writes this header itself"),
    ],
)
def test_a_line_that_is_no_header_ends_the_start_and_is_not_shown(monkeypatch, capsys, tmp_path, text, said):
    file = tmp_path / "headers"
    file.write_text(text)
    printed = printed_at_the_start(monkeypatch, capsys, CAMERA_HEADERS_FILE=file)

    assert printed.endswith(f": {said}\n")
    assert "hun" not in printed


def test_headers_are_read_with_colons_and_comments(tmp_path):
    file = tmp_path / "headers"
    file.write_text("# of the adapter\nX-Where: http://line:4 \n\nAuthorization: Basic YTpi\n")

    assert read_headers(file) == {"x-where": "http://line:4", "authorization": "Basic YTpi"}


def test_two_ways_to_say_who_we_are_end_the_start(monkeypatch, capsys, tmp_path):
    """Only one of them could be sent, and nobody would know which."""
    (tmp_path / "token").write_text("hunter2")
    (tmp_path / "headers").write_text("Authorization: Basic aHVudGVyMg==")
    printed = printed_at_the_start(
        monkeypatch,
        capsys,
        CAMERA_AUTH_TOKEN_FILE=tmp_path / "token",
        CAMERA_HEADERS_FILE=tmp_path / "headers",
    )

    assert printed.endswith("it has an Authorization header, and CAMERA_AUTH_TOKEN_FILE is set: keep one of them\n")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CAMERA_TIMEOUT_S", "0", "must be a number above 0 and at most 60"),
        ("CAMERA_TIMEOUT_S", "600", "must be a number above 0 and at most 60"),
        ("CAMERA_RETRIES", "-1", "must be a whole number from 0 to 10"),
        ("CAMERA_RETRIES", "99", "must be a whole number from 0 to 10"),
    ],
)
def test_time_and_tries_are_bounded(monkeypatch, capsys, name, value, said):
    assert printed_at_the_start(monkeypatch, capsys, **{name: value}) == f"{name}='{value}': {said}\n"
