"""One picture from a camera's adapter over HTTP, which may be slow, broken or hostile."""

from __future__ import annotations

import gzip
from io import BytesIO
from itertools import repeat
from typing import TYPE_CHECKING

import gevent
import pytest
from PIL import Image

from api.core.camera.camera import Camera
from api.core.camera.parameters import CameraParameters
from api.core.errors import CameraFailed, CameraTimeout, InvalidParameter, NoCamera
from api.settings import Settings
from tests.support.camera import AdaptedCamera, answer, sends, sends_and_is_silent, sends_on

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from api.core.errors import CameraOutcome

    Act = Callable[[AdaptedCamera, socket.socket], None]

SHORT_S = 0.3  # for a picture that never comes
HEAD = b"HTTP/1.1 200 OK\r\n"


def encoded(kind: str = "JPEG", size: tuple[int, int] = (8, 6)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


PICTURE = encoded()
RIGHT = sends(answer(PICTURE, "Content-Type: image/jpeg"))


@pytest.fixture
def adapter() -> Iterator[Callable[..., AdaptedCamera]]:
    opened: list[AdaptedCamera] = []

    def adapter(*acts: Act, host: str = "127.0.0.1") -> AdaptedCamera:
        opened.append(AdaptedCamera(*acts, host=host))
        return opened[-1]

    yield adapter
    for camera in opened:
        camera.__exit__()


@pytest.fixture
def open_camera(tmp_path: Path) -> Callable[..., Camera]:
    def open_camera(url: str, **settings: object) -> Camera:
        usual: dict[str, object] = {"camera_url": url, "camera_timeout_s": 60, "feedback_dir": tmp_path}
        return Camera.from_settings(Settings(**{**usual, **settings}))  # type: ignore[arg-type]

    return open_camera


def outcomes_of(camera: Camera) -> list[CameraOutcome]:
    """What is counted from now on."""
    counted: list[CameraOutcome] = []
    camera.count_snapshot = lambda outcome, _seconds: counted.append(outcome)
    return counted


def header(head: str, name: str) -> str | None:
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    return {key.lower(): value for key, value in lines.items()}.get(name.lower())


# What is asked


def test_a_picture_comes_as_the_camera_sent_it(adapter, open_camera):
    there = adapter(RIGHT)
    camera = open_camera(there.url)
    counted = outcomes_of(camera)

    assert camera.snapshot() == PICTURE
    assert counted == ["taken"]


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_any_format_that_uploads_may_have_is_a_picture_whatever_its_type_says(adapter, open_camera, kind):
    picture = encoded(kind)

    assert open_camera(adapter(sends(answer(picture, "Content-Type: foo/bar"))).url).snapshot() == picture


@pytest.mark.parametrize(
    ("query", "parameters", "target"),
    [
        ("", CameraParameters(), "/snapshot"),
        ("", CameraParameters(5000, 800, "jpeg", 90),
         "/snapshot?exposure_time_us=5000&timeout_ms=800&format=jpeg&quality=90"),
        ("?channel=1&quality=50&a=%2F", CameraParameters(quality=90), "/snapshot?channel=1&a=%2F&quality=90"),
        ("?channel=1", CameraParameters(), "/snapshot?channel=1"),
    ],
)  # fmt: skip
def test_parameters_are_passed_on_in_the_place_of_the_addresses_own(adapter, open_camera, query, parameters, target):
    """What the operator has written holds where a request says nothing."""
    there = adapter(RIGHT)
    open_camera(there.url + query).snapshot(parameters)

    assert there.heads[0].split("\r\n", 1)[0] == f"GET {target} HTTP/1.1"


def test_only_parameters_of_the_camera_are_read_of_a_request():
    """Its other parameters are none of the camera's business."""
    found = CameraParameters.from_texts({"exposure_time_us": "5000", "min_score": "0.5", "url": "http://elsewhere"})

    assert found == CameraParameters(exposure_time_us=5000)
    assert found.as_query() == {"exposure_time_us": "5000"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("exposure_time_us", "0", "must be a whole number from 1 to 60000000"),
        ("exposure_time_us", "60000001", "must be a whole number from 1 to 60000000"),
        ("timeout_ms", "1e3", "must be a whole number from 1 to 60000"),
        ("timeout_ms", "9" * 400, "must be a whole number from 1 to 60000"),
        ("quality", "101", "must be a whole number from 1 to 100"),
        ("quality", "9\n", "must be a whole number from 1 to 100"),
        ("quality", "", "must be a whole number from 1 to 100"),
        ("format", "jpeg&x=1", "must be one of jpeg, png, webp, bmp, tiff"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused(name, text, said):
    with pytest.raises(InvalidParameter, match=f"^{name} {said}$"):
        CameraParameters.from_texts({name: text})


def test_the_token_and_the_headers_of_the_files_are_sent_and_no_compression_is_asked_for(
    adapter, open_camera, tmp_path
):
    (tmp_path / "token").write_text("s3cret-token\nnot this\n")
    (tmp_path / "headers").write_text("# the adapter's\nX-Line: 4\naccept: image/jpeg\n\n")
    there = adapter(RIGHT)
    open_camera(
        there.url, camera_auth_token_file=tmp_path / "token", camera_headers_file=tmp_path / "headers"
    ).snapshot()
    head = there.heads[0]

    assert header(head, "Authorization") == "Bearer s3cret-token"
    assert header(head, "X-Line") == "4"
    assert header(head, "Accept") == "image/jpeg"
    assert header(head, "Host") == there.authority
    assert header(head, "Accept-Encoding") == "identity"
    assert "not this" not in head


def test_a_proxy_of_the_environment_is_not_asked(adapter, open_camera, monkeypatch):
    """It would see the token; and what it answers is not the camera."""
    there, proxy = adapter(RIGHT), adapter(RIGHT)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy.authority}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    open_camera(there.url).snapshot()

    assert (len(there.heads), len(proxy.heads)) == (1, 0)


def test_a_camera_is_reached_by_ipv6(adapter, open_camera):
    try:
        there = adapter(RIGHT, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert open_camera(there.url).snapshot() == PICTURE
    assert header(there.heads[0], "Host") == f"[::1]:{there.port}"


def test_without_a_camera_the_answer_says_so(open_camera):
    with pytest.raises(NoCamera, match="CAMERA_URL is not set"):
        open_camera("").snapshot()


# What is no picture


@pytest.mark.parametrize(
    ("sent", "said", "outcome"),
    [
        (answer(b"no picture"), "the camera's answer is no picture: the file is not", "no_picture"),
        (answer(PICTURE, "Content-Type: text/html; charset=utf-8"), r"\(text/html\) is no picture", "no_picture"),
        (answer(b"<html>", "Content-Type: image/jpeg"), r"answer \(image/jpeg\) is no picture", "no_picture"),
        (answer(PICTURE, "Content-Type: multipart/x-mixed-replace;boundary=x"), "is no picture", "no_picture"),
        (answer(b""), "is no picture", "no_picture"),
        (answer(PICTURE[:12]), "is no picture", "no_picture"),
        (answer(gzip.compress(PICTURE), "Content-Encoding: gzip"), "is compressed", "no_picture"),
        (answer(encoded("PNG", (2000, 1000))), "the picture is too large: 2000x1000 pixels", "too_large"),
        (answer(PICTURE, status="204 No Content"), "the status 204", "status"),
        (answer(PICTURE, status="206 Partial Content"), "the status 206", "status"),
        (answer(PICTURE, status="304 Not Modified"), "the status 304", "status"),
        (answer(PICTURE, status="401 Unauthorized"), "the status 401", "refused"),
        (answer(PICTURE, status="403 Forbidden"), "the status 403", "refused"),
        (answer(PICTURE, status="404 Not Found"), "the status 404", "status"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_told_at_once_and_not_asked_again(adapter, open_camera, sent, said, outcome):
    there = adapter(sends(sent))
    camera = open_camera(there.url, max_pixels=1_000_000)
    counted = outcomes_of(camera)

    with pytest.raises(CameraFailed, match=said):
        camera.snapshot()
    assert counted == [outcome]
    assert len(there.heads) == 1


def test_nothing_of_the_answer_but_its_type_is_told_and_that_only_if_it_is_one(adapter, open_camera):
    sent = answer(b"<secret>", "Content-Type: <script>alert(1)</script>", "Server: secret")

    with pytest.raises(CameraFailed) as failed:
        open_camera(adapter(sends(sent)).url).snapshot()
    assert "secret" not in str(failed.value)
    assert "script" not in str(failed.value)


# Too large


def test_a_picture_that_is_announced_as_too_large_is_not_received(adapter, open_camera):
    """The camera waits with the rest: that would be a timeout, if anybody read on."""
    there = adapter(sends_and_is_silent(answer(PICTURE, length=1_000_001)))

    with pytest.raises(CameraFailed, match="too large: at most 1000000 bytes"):
        open_camera(there.url, max_upload_mb=1).snapshot()


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: iter([HEAD + b"\r\n" + PICTURE, *([bytes(50_000)] * 100)]),
        lambda: iter([HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *([b"c350\r\n" + bytes(50_000) + b"\r\n"] * 100)]),
    ],
    ids=["without a length", "in chunks"],
)
def test_a_body_is_counted_as_it_comes(adapter, open_camera, pieces):
    there = adapter(sends_on(pieces))

    with pytest.raises(CameraFailed, match="too large: at most 1000000 bytes"):
        open_camera(there.url, max_upload_mb=1).snapshot()


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 600),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: 1\r\n" * 1000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 2000),
    ],
    ids=["interim answers", "trailers", "chunks of a byte"],
)
def test_an_answer_that_never_gets_to_an_end_ends_and_keeps_nobody_waiting(adapter, open_camera, beginning, piece):
    """Whoever sends faster than it is read would otherwise have the process to himself."""
    there = adapter(sends_on(lambda: iter_after(beginning, repeat(piece * 500))))
    turns = []

    def take_turns() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0)

    beside = gevent.spawn(take_turns)
    with pytest.raises(CameraTimeout):
        open_camera(there.url, camera_timeout_s=SHORT_S).snapshot()
    beside.kill()
    assert len(turns) > 1


def test_such_an_answer_is_counted_too(adapter, open_camera):
    """A deadline is long, and what comes before it may be a lot."""
    interim = b"HTTP/1.1 100 Continue\r\n" + b"X-More: %s\r\n" % bytes(60_000) * 50 + b"\r\n"
    there = adapter(sends_on(lambda: repeat(interim)))

    with pytest.raises(CameraFailed, match="too large, and no picture"):
        open_camera(there.url, max_upload_mb=1).snapshot()


def iter_after(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def test_a_head_without_an_end_is_refused(adapter, open_camera):
    for piece in (b"X-More: 1\r\n", b"x" * 70_000):
        there = adapter(sends(HEAD + piece * 200))
        with pytest.raises(CameraFailed, match="broke off, or is not HTTP"):
            open_camera(there.url, camera_retries=0).snapshot()


# Too slow


def drip(camera: AdaptedCamera, connected: socket.socket) -> None:
    for byte in answer(PICTURE):
        connected.sendall(bytes([byte]))
        if camera.closing.wait(SHORT_S / 10):
            return


@pytest.mark.parametrize(
    "act",
    [
        sends_and_is_silent(),
        sends_and_is_silent(HEAD),
        sends_and_is_silent(answer(PICTURE, length=len(PICTURE) + 1)),
        drip,
    ],
    ids=["says nothing", "stops in the head", "stops in the body", "a byte at a time"],
)
def test_a_picture_that_does_not_come_in_time_is_given_up(adapter, open_camera, act):
    camera = open_camera(adapter(act).url, camera_timeout_s=SHORT_S)
    counted = outcomes_of(camera)

    with pytest.raises(CameraTimeout, match=f"^no picture came from the camera within {SHORT_S} seconds$"):
        camera.snapshot()
    assert counted == ["timeout"]


def test_further_tries_end_with_the_deadline(adapter, open_camera):
    there = adapter(sends(answer(b"", status="503 Service Unavailable")))

    with pytest.raises(CameraTimeout):
        open_camera(there.url, camera_timeout_s=SHORT_S, camera_retries=10).snapshot()


# Further tries


@pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway", "503 Busy", "504 Gateway Timeout"])
def test_an_error_of_the_cameras_may_pass(adapter, open_camera, status):
    there = adapter(sends(answer(b"", status=status)), RIGHT)

    assert open_camera(there.url).snapshot() == PICTURE
    assert len(there.heads) == 2


@pytest.mark.parametrize(
    "broken",
    [
        sends(),
        sends(b"HTTP/1.1 200"),
        sends(answer(PICTURE, length=len(PICTURE) + 10)),
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab"),
        sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    ],
    ids=["closes", "closes in the head", "closes early", "closes in a chunk", "no chunks", "no HTTP"],
)
def test_a_connection_that_breaks_is_tried_again(adapter, open_camera, broken):
    there = adapter(broken, RIGHT)

    assert open_camera(there.url).snapshot() == PICTURE
    assert len(there.heads) == 2


def test_tries_are_as_many_as_the_setting_says(adapter, open_camera):
    there = adapter(sends(answer(b"", status="500 Broken")))
    camera = open_camera(there.url, camera_retries=1)
    counted = outcomes_of(camera)

    with pytest.raises(CameraFailed, match="the status 500"):
        camera.snapshot()
    assert len(there.heads) == 2
    assert counted == ["server_error"]


def test_a_camera_that_is_not_there_is_told_by_the_systems_own_words(open_camera, adapter):
    there = adapter(RIGHT)
    there.__exit__()

    with pytest.raises(CameraFailed, match="the camera can't be reached: Connection refused"):
        open_camera(there.url, camera_retries=0).snapshot()


def test_a_name_that_nobody_knows_is_told_without_it(open_camera):
    with pytest.raises(CameraFailed, match=r"^the camera can't be reached: ") as failed:
        open_camera("http://camera.invalid/snapshot", camera_retries=0).snapshot()
    assert "camera.invalid" not in str(failed.value)


# Redirects


@pytest.mark.parametrize("location", ["/there?x=1", "there?x=1", "{origin}/there?x=1"])
def test_a_redirect_to_the_same_address_is_followed(adapter, open_camera, location):
    there = adapter(RIGHT)
    moved = sends(
        answer(b"", f"Location: {location.format(origin=there.url.removesuffix('/snapshot'))}", status="302 -")
    )
    there.acts.insert(0, moved)

    assert open_camera(there.url).snapshot() == PICTURE
    assert there.heads[1].startswith("GET /there?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "location",
    [
        "http://{other}/snapshot",
        "//{other}/snapshot",
        "http://localhost:{port}/snapshot",
        "http://127.0.0.1/snapshot",
        "https://{here}/snapshot",
        "http://user@{here}/snapshot",
        "http://{here}@{other}/",
        "http://{other}\\@{here}/",
        "file:///etc/passwd",
        "http://[::1/",
        "http://{here}:x/",
        "/there\x7f",
        "",
    ],
)  # fmt: skip
def test_a_redirect_elsewhere_is_refused_and_nobody_else_is_asked(adapter, open_camera, tmp_path, location):
    """The token would go with it; and an answer of another is no picture of this camera."""
    (tmp_path / "token").write_text("s3cret-token")
    other, there = adapter(RIGHT), adapter(RIGHT)
    away = location.format(other=other.authority, here=there.authority, port=there.port)
    there.acts = [sends(answer(b"", f"Location: {away}", status="307 -"))]
    camera = open_camera(there.url, camera_auth_token_file=tmp_path / "token")
    counted = outcomes_of(camera)

    with pytest.raises(CameraFailed, match="redirects to another address, which is never asked"):
        camera.snapshot()
    assert counted == ["redirect"]
    assert (len(there.heads), len(other.heads)) == (1, 0)


def test_redirects_without_an_end_are_refused(adapter, open_camera):
    there = adapter(sends(answer(b"", "Location: /snapshot", status="301 -")))

    with pytest.raises(CameraFailed, match="redirects more than 3 times"):
        open_camera(there.url).snapshot()
    assert len(there.heads) == 4


# TLS


@pytest.fixture
def by_tls(adapter, tmp_path) -> AdaptedCamera:
    there: AdaptedCamera = adapter(RIGHT)
    there.encrypt(tmp_path)
    return there


def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_token_is_sent(by_tls, open_camera):
    camera = open_camera(by_tls.url)
    counted = outcomes_of(camera)

    with pytest.raises(CameraFailed, match="certificate is not trusted: self-signed certificate"):
        camera.snapshot()
    assert counted == ["untrusted"]
    assert by_tls.heads == []


def test_a_certificate_of_ones_own_is_trusted_by_name(by_tls, open_camera, monkeypatch, tmp_path):
    """``SSL_CERT_FILE`` is OpenSSL's own way to say whom to trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls.pem"))

    assert open_camera(by_tls.url).snapshot() == PICTURE
    by_tls.host = "127.0.0.2"  # the certificate is for 127.0.0.1
    with pytest.raises(CameraFailed, match=r"can't be reached|not trusted"):
        open_camera(by_tls.url, camera_retries=0).snapshot()


def test_a_camera_that_speaks_no_tls_is_told_so(adapter, open_camera):
    there = adapter(RIGHT)

    with pytest.raises(CameraFailed, match=r"the camera speaks no TLS|can't be reached"):
        open_camera(there.url.replace("http://", "https://"), camera_retries=0).snapshot()
