"""``POST /v1/inspections`` without a picture: the operator's camera takes one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.app import create_app
from api.core.errors import Overloaded
from api.tests.test_inspections import BRACKET, PHOTO, Detector, services_of
from contract.image_store import ImageStore
from tests.support.camera import AdaptedCamera, answer, sends, sends_and_is_silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

NOT_CHOSEN = (  # as browsers send it
    b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n--b--\r\n"
)
SHORT_S = 0.3  # for a picture that never comes


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return Detector(ImageStore(tmp_path / "uploads"))


@pytest.fixture
def adapter() -> Iterator[AdaptedCamera]:
    with AdaptedCamera(sends(answer(PHOTO, "Content-Type: image/jpeg"))) as adapter:
        yield adapter


@pytest.fixture
def open_client(detector: Detector, tmp_path: Path) -> Callable[..., FlaskClient]:
    folder = tmp_path / "patterns"
    folder.mkdir()
    (folder / "bracket.yaml").write_text(BRACKET)

    def open_client(camera_url: str, **settings: Any) -> FlaskClient:
        usual = {"camera_url": camera_url, "camera_timeout_s": 60}
        return create_app(services_of(detector, folder, tmp_path, **{**usual, **settings})).test_client()

    return open_client


@pytest.fixture
def client(open_client: Callable[..., FlaskClient], adapter: AdaptedCamera) -> FlaskClient:
    return open_client(adapter.url)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"query_string": {"pattern": "bracket"}},
        {"data": {"pattern": "bracket", "min_score": "0.6"}},
        {"json": {"pattern": "bracket", "image": None}},
        {"json": {}},
        {"data": {}, "content_type": "multipart/form-data"},
    ],
)
def test_a_request_of_nothing_but_parameters_is_answered_about_the_cameras_picture(client, adapter, sent):
    response = client.post("/v1/inspections", **sent)

    assert (response.status_code, response.get_json()["decision"]) == (200, True)
    assert response.get_json()["source"] == "camera"
    assert len(adapter.heads) == 1


def test_what_is_kept_of_it_says_so_and_has_the_picture_as_it_came(client):
    sent = client.post("/v1/inspections").get_json()

    assert client.get("/v1/inspections/latest").get_json() == sent
    assert client.get(sent["links"]["picture"]).data == PHOTO


def test_a_request_with_a_picture_never_asks_the_camera(client, adapter):
    body = client.post("/v1/inspections", data=PHOTO).get_json()

    assert (body["source"], adapter.heads) == ("upload", [])


@pytest.mark.parametrize(
    "sent",
    [
        {"query_string": {"exposure_time_us": "1500", "quality": "90", "path": "/admin"}},
        {"data": {"exposure_time_us": "1500", "quality": "90"}},
    ],
)
def test_the_cameras_parameters_are_passed_on(client, adapter, sent):
    assert client.post("/v1/inspections", **sent).status_code == 200

    assert adapter.heads[0].startswith("GET /snapshot?exposure_time_us=1500&quality=90 HTTP/1.1")


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"query_string": {"exposure_time_us": "long"}}, "exposure_time_us must be a whole number from 1 to 60000000"),
        ({"query_string": {"min_score": "2"}}, "min_score must be a number from 0 to 1"),
        (
            {"query_string": {"quality": "90"}, "data": PHOTO},
            "quality is for the camera, and this request has a picture of its own",
        ),
        (
            {"data": {"file": (io.BytesIO(PHOTO), "part.jpg"), "timeout_ms": "90"}},
            "timeout_ms is for the camera, and this request has a picture of its own",
        ),
    ],
)
def test_wrong_parameters_are_refused_before_the_camera_is_asked(client, adapter, sent, detail):
    response = client.post("/v1/inspections", **sent)

    assert (response.status_code, response.get_json()["detail"]) == (400, detail)
    assert adapter.heads == []


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"data": NOT_CHOSEN, "content_type": "multipart/form-data; boundary=b"}, "no file was chosen in its form"),
        ({"data": {"photo": (io.BytesIO(PHOTO), "part.jpg")}}, "with the fields 'photo'"),
        ({"data": {"photo": "a name"}}, "with the fields 'photo'"),
        ({"data": {"file": "part.jpg"}, "content_type": "multipart/form-data"}, "is a text and no file"),
        ({"data": b"no picture", "content_type": "text/plain"}, "its body does not begin as a picture"),
        ({"data": b"no picture", "content_type": "application/x-www-form-urlencoded"}, "with the fields 'no picture'"),
        ({"json": {"image": ""}}, "no file was chosen"),
    ],
)
def test_a_request_whose_picture_got_lost_is_refused_and_not_answered_about_another(client, adapter, sent, detail):
    """A bad part must not pass with the picture of what the camera sees."""
    response = client.post("/v1/inspections", **sent)

    assert response.status_code == 400
    assert detail in response.get_json()["detail"]
    assert adapter.heads == []


def test_without_a_camera_a_request_without_a_picture_is_told_how_to_send_one(open_client):
    response = open_client("").post("/v1/inspections", data={"pattern": "bracket"})

    assert response.status_code == 400
    assert "the request has no picture" in response.get_json()["detail"]


def test_a_request_that_is_not_admitted_does_not_trigger_the_camera(client, adapter, detector, monkeypatch):
    def busy(*_: object) -> None:
        raise Overloaded("the service is busy", 3)

    monkeypatch.setattr(detector, "admit", busy)
    response = client.post("/v1/inspections")

    assert (response.status_code, response.headers["Retry-After"], adapter.heads) == (503, "3", [])


@pytest.mark.parametrize(
    ("act", "status", "detail"),
    [
        (sends(answer(b"busy", status="500 Broken")), 502, "the camera answers with the status 500"),
        (sends(answer(b"<html>", "Content-Type: text/html")), 502, "the camera's answer (text/html) is no picture"),
        (sends(b"no HTTP\r\n"), 502, "the camera's answer broke off, or is not HTTP"),
        (sends_and_is_silent(), 504, "no picture came from the camera within 0.3 seconds"),
    ],
)
def test_a_camera_that_gives_no_picture_is_told(open_client, act, status, detail):
    with AdaptedCamera(act) as adapter:
        client = open_client(adapter.url, camera_retries=0, camera_timeout_s=SHORT_S if status == 504 else 60)
        response = client.post("/v1/inspections")

    assert (response.status_code, response.get_json()["detail"]) == (status, detail)
    assert client.get("/v1/inspections/latest").status_code == 404


def test_a_camera_that_can_not_be_reached_is_told_without_its_address(open_client, adapter):
    client = open_client(adapter.url, camera_retries=0)
    adapter.__exit__()
    response = client.post("/v1/inspections")

    assert response.status_code == 502
    assert "the camera can't be reached" in response.get_json()["detail"]
    assert str(adapter.port) not in response.text
    assert 'classifier_camera_snapshots_total{outcome="unreachable"} 1.0' in cast("str", client.get("/metrics").text)
