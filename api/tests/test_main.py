"""``/main``, ``/main/with-camera``, ``/image-raw`` and ``/image-draw``: the replaced system's clients go on."""

from __future__ import annotations

import io
import tempfile
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from PIL import Image

from api.app import create_app
from api.core.errors import NoWorker, Overloaded
from api.core.patterns import Patterns
from api.inspection import latest
from api.inspection.drawing import DrawnInspections
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.tests.test_inspections import BOLT, BRACKET, PHOTO, PLATE, Detector, services_of
from contract.errors import DeadlineExceeded
from contract.image_store import ImageStore
from contract.messages import Box
from tests.support.camera import AdaptedCamera, answer, sends, sends_and_is_silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from api.core.client import Client
    from api.core.drawn_pictures import DrawnPictures
    from api.services import Services
    from contract.messages import Detection

SHORT_S = 0.3  # for a picture that never comes
RIGHT_HAND = replace(BOLT, box=Box(530, 110, 620, 170))
NONE_YET = (200, "text/plain; charset=utf-8", b"No image captured yet")


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(file, "PNG")
    return file.getvalue()


class Drawing:
    """Draws the number of objects, as far as a test has to see."""

    def open(self, picture: str, detection: Detection, _client: Client, media_type: str) -> IO[bytes]:
        assert (len(picture), media_type) == (64, "image/jpeg")
        file = tempfile.TemporaryFile()  # noqa: SIM115  who asked for it closes it
        file.write(drawn(len(detection.objects)))
        file.seek(0)
        return file


def drawn(objects: int) -> bytes:
    return b"\xff\xd8\xff" + bytes([objects])


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    return Detector(ImageStore(tmp_path / "uploads"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "patterns"
    folder.mkdir()
    (folder / "bracket.yaml").write_text(BRACKET)
    return folder


@pytest.fixture
def open_services(detector: Detector, folder: Path, tmp_path: Path) -> Callable[..., Services]:
    def open_services(**settings: Any) -> Services:
        drawing = cast("DrawnPictures", Drawing())
        services = services_of(detector, folder, tmp_path, **settings)
        drawn = DrawnInspections(services.uploads, services.inspected, services.latest, drawing)
        return replace(services, drawn=drawing, drawn_inspections=drawn)

    return open_services


@pytest.fixture
def client(open_services: Callable[..., Services]) -> FlaskClient:
    return create_app(open_services()).test_client()


def ask(client: FlaskClient, method: str = "POST", picture: bytes = PHOTO, **query: Any) -> TestResponse:
    form = {"image": (io.BytesIO(picture), "part.jpg", "image/jpeg")}
    return client.open("/main", method=method, query_string=query, data=form)


def answered(client: FlaskClient, **query: Any) -> dict[str, Any]:
    response = ask(client, **query)
    assert response.status_code == 200, response.text
    return cast("dict[str, Any]", response.get_json())


# /main


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_main_answers_all_in_the_replaced_systems_shape(client, detector, method):
    detector.objects = (replace(PLATE, box=Box(100.04567, 50, 540, 270), score=0.91239), BOLT)
    response = ask(client, method)

    assert response.get_json() == {
        "decision": True,
        "pattern_name": "left-hand",
        "pattern_lg": [True, True],
        "images": response.get_json()["images"],
        "results": {
            "bboxes": [[100.046, 50, 540, 270], [230, 110, 330, 170]],
            "class_ids": [0, 1],
            "scores": [0.912, 0.8],
        },
    }
    assert b64decode(response.get_json()["images"]["img"]) == PHOTO
    assert b64decode(response.get_json()["images"]["img_drawn"]) == drawn(2)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (0, {}),
        (1, {"decision": None}),
        (2, {"pattern_name": None, "pattern_lg": None}),
        (4, {"images": ["img"]}),
        (8, {"images": ["img_drawn"]}),
        (16, {"results": ["bboxes"]}),
        (32, {"results": ["class_ids"]}),
        (64, {"results": ["scores"]}),
        (1 | 8 | 64, {"decision": None, "images": ["img_drawn"], "results": ["scores"]}),
    ],
)
def test_what_is_not_asked_for_is_missing(client, options, keys):
    body = answered(client, return_options=options)

    assert {key: list(value) if isinstance(value, dict) else None for key, value in body.items()} == keys


def test_a_picture_of_another_kind_is_answered_as_a_jpeg(client):
    body = ask(client, picture=png(), return_options=4).get_json()

    assert b64decode(body["images"]["img"]) == drawn(0)


def test_a_part_of_one_object_is_never_good(client, detector):
    detector.objects = (RIGHT_HAND,)
    body = answered(client, return_options=3)

    assert body == {"decision": False, "pattern_name": "right-hand", "pattern_lg": [True]}


def test_where_there_is_no_object_nothing_is_decided(client, detector):
    detector.objects = (replace(PLATE, score=0.49),)
    body = answered(client, return_options=3 | 16)

    assert body == {"decision": None, "pattern_name": None, "pattern_lg": None, "results": {"bboxes": []}}


def test_without_patterns_nothing_is_decided(open_services):
    client = create_app(replace(open_services(), patterns=Patterns(None))).test_client()
    body = answered(client, return_options=3 | 32)

    assert body == {"decision": None, "pattern_name": None, "pattern_lg": None, "results": {"class_ids": [0, 1]}}
    assert client.get("/v1/inspections").get_json()["inspections"] == []
    assert client.get("/image-raw").data == PHOTO


@pytest.mark.parametrize(("least", "found"), [({}, 1), ({"min_score": "0.4"}, 2), ({"min_score": "0"}, 3)])
def test_objects_below_the_least_score_do_not_count(client, detector, least, found):
    """Below what the model answers with there is nothing, which the replaced system does not refuse to say."""
    detector.objects = (PLATE, replace(BOLT, score=0.45), replace(BOLT, score=0.2))

    assert len(answered(client, return_options=64, **least)["results"]["scores"]) == found


@pytest.mark.parametrize(
    "query", [{"format": "jpeg"}, {"format": "JPG"}, {"rotation_angle": "0"}, {"rotation_angle": "0.0"}]
)
def test_what_asks_for_nothing_of_the_picture_is_taken(client, query):
    assert ask(client, **query).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ({"return_options": "128"}, 400, "return_options must be a whole number from 0 to 127"),
        ({"return_options": "-1"}, 400, "return_options must be a whole number from 0 to 127"),
        ({"return_options": "all"}, 400, "return_options must be a whole number from 0 to 127"),
        ({"min_score": "1.5"}, 400, "min_score must be a number from 0 to 1"),
        ({"min_score": "nan"}, 400, "min_score must be a number from 0 to 1"),
        ({"pattern_key": "braket"}, 404, "there is no pattern 'braket'; there are bracket"),
        (
            {"rotation_angle": "90"},
            400,
            "rotation_angle can't be '90': pictures are taken as they come, and answered as JPEG",
        ),
        ({"format": "png"}, 400, "format can't be 'png': pictures are taken as they come, and answered as JPEG"),
        ({"quality": "80"}, 400, "'quality' is no parameter that is taken here"),
        ({"exposure_time_us": "80"}, 400, "'exposure_time_us' is no parameter that is taken here"),
        ({"serial_number": "7"}, 400, "'serial_number' is no parameter that is taken here"),
    ],
)
def test_wrong_parameters_are_refused_and_nothing_is_kept(client, query, status, detail):
    response = ask(client, **query)

    assert (response.status_code, response.get_json()["detail"]) == (status, detail)
    assert client.get("/v1/inspections").get_json()["inspections"] == []


@pytest.mark.parametrize("query", ["", "?rotation_angle=0"])
def test_no_parameter_is_passed_over_in_the_form_or_behind_another(client, query):
    form = {"image": (io.BytesIO(PHOTO), "part.jpg"), "rotation_angle": "90"}

    assert client.post(f"/main{query}", data=form).status_code == 400
    assert ask(client, rotation_angle=["0", "90"]).status_code == 400


def test_which_pattern_is_meant_must_be_said_if_there_are_several(open_services, folder):
    (folder / "hinge.yaml").write_text(BRACKET)
    client = create_app(replace(open_services(), patterns=Patterns(folder))).test_client()

    assert ask(client).get_json()["detail"] == "pattern must be sent; there are bracket, hinge"
    assert answered(client, pattern_key="hinge")["decision"] is True


def test_a_pattern_that_the_model_does_not_know_the_classes_of_is_refused(client, detector):
    detector.labels = ("plate",)

    assert ask(client).status_code == 409


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_without_a_picture_is_told_so_and_never_asks_the_camera(open_services, method):
    with AdaptedCamera(sends(answer(PHOTO))) as adapter:
        client = create_app(open_services(camera_url=adapter.url)).test_client()
        response = client.open("/main", method=method)

    assert response.status_code == 400
    assert "the request has no picture" in response.get_json()["detail"]
    assert adapter.heads == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_is_bounded_whatever_the_method_is(open_services, method):
    client = create_app(open_services(max_upload_mb=1)).test_client()

    assert client.open("/main", method=method, data=PHOTO + bytes(1_000_000)).status_code == 413


def test_a_get_counts_against_its_senders_limits_as_a_post_does(open_services):
    client = create_app(open_services(requests_per_day=2, mb_per_day=1)).test_client()

    assert [ask(client, method).status_code for method in ("GET", "POST", "GET")] == [200, 200, 429]


@pytest.mark.parametrize(
    "error", [NoWorker("no worker is ready"), DeadlineExceeded("no answer came within 30 seconds")]
)
def test_workers_that_do_not_answer_are_a_408(client, detector, monkeypatch, error):
    def infer(*_: object) -> None:
        raise error

    monkeypatch.setattr(detector, "infer", infer)
    response = ask(client)

    assert (response.status_code, response.get_json()["detail"]) == (408, str(error))


def test_a_busy_service_says_when_to_come_again(client, detector, monkeypatch):
    def admit(*_: object) -> None:
        raise Overloaded("the service is busy", 3)

    monkeypatch.setattr(detector, "admit", admit)

    assert (ask(client).status_code, ask(client).headers["Retry-After"]) == (503, "3")


# What is kept


def test_what_main_has_judged_is_kept_as_every_inspection_is(client):
    answered(client)
    kept = client.get("/v1/inspections/latest").get_json()

    assert (kept["decision"], kept["pattern"], kept["best_pattern"]) == (True, "bracket", "left-hand")
    assert (kept["source"], kept["reasons"]) == ("upload", [])
    assert client.get(kept["links"]["picture"]).data == PHOTO


def test_the_decision_that_is_kept_is_the_one_that_was_answered(client, detector):
    detector.objects = (RIGHT_HAND,)
    answered(client)
    kept = client.get("/v1/inspections/latest").get_json()

    assert kept["decision"] is False
    assert kept["reasons"] == ["/main wants two objects at least, and judges by the pattern of which most are found"]
    assert 'classifier_inspections_total{decision="bad"} 1.0' in client.get("/metrics").text


def test_where_nothing_was_found_the_part_is_kept_as_bad(client, detector):
    detector.objects = ()
    answered(client)
    kept = client.get("/v1/inspections/latest").get_json()

    assert (kept["decision"], kept["reasons"]) == (False, ["object 1 (class 1) is missing"])


def test_what_main_takes_is_measured_whatever_the_method_is(client):
    for method in ("GET", "POST"):
        assert ask(client, method).status_code == 200

    name = 'classifier_classification_duration_seconds_count{route="/main",status="2xx"}'
    assert f"{name} 2.0" in client.get("/metrics").text.splitlines()


# /main/with-camera


@pytest.fixture
def adapter() -> Iterator[AdaptedCamera]:
    with AdaptedCamera(sends(answer(PHOTO, "Content-Type: image/jpeg"))) as adapter:
        yield adapter


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_with_a_camera_the_answer_is_about_its_picture(open_services, adapter, method):
    client = create_app(open_services(camera_url=adapter.url)).test_client()
    query = {"return_options": 5, "exposure_time_us": 900, "timeout_ms": 500, "format": "png", "quality": 90}
    response = client.open("/main/with-camera", method=method, query_string={**query, "pattern_key": "bracket"})

    assert response.get_json()["decision"] is True
    assert b64decode(response.get_json()["images"]["img"]) == PHOTO
    assert [head.split()[1] for head in adapter.heads] == [
        "/snapshot?exposure_time_us=900&timeout_ms=500&format=png&quality=90"
    ]
    assert client.get("/v1/inspections/latest").get_json()["source"] == "camera"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sent", ["data", "json"])
def test_the_cameras_parameters_may_come_in_the_body(open_services, adapter, method, sent):
    client = create_app(open_services(camera_url=adapter.url)).test_client()
    body: dict[str, Any] = {sent: {"exposure_time_us": "900"}}
    response = client.open("/main/with-camera", method=method, **body)

    assert response.status_code == 200
    assert [head.split()[1] for head in adapter.heads] == ["/snapshot?exposure_time_us=900"]


@pytest.mark.parametrize(
    "body",
    [
        {
            "data": b'--x\r\nContent-Disposition: form-data; name="image"; filename="part.jpg"\r\n\r\n'
            + PHOTO
            + b"\r\n--x--",
            "content_type": "multipart/form-data; boundary=x",
        },
        {"data": PHOTO, "content_type": "image/jpeg"},
        {"data": b"what is this", "content_type": "text/plain"},
        {"json": {"rotation_angle": 90}},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_sends_a_picture_is_not_answered_about_the_cameras(open_services, adapter, method, body):
    client = create_app(open_services(camera_url=adapter.url)).test_client()

    assert client.open("/main/with-camera", method=method, **body).status_code == 400
    assert adapter.heads == []


def test_without_a_camera_it_is_a_400(client):
    response = client.get("/main/with-camera")

    assert response.status_code == 400
    assert "CAMERA_URL is not set" in response.get_json()["detail"]


@pytest.mark.parametrize(
    "query", ["exposure_time_us=0", "format=svg", "serial_number=7", "rotation_angle=90", "return_options=x"]
)
def test_wrong_parameters_are_refused_before_the_camera_is_asked(open_services, adapter, query):
    client = create_app(open_services(camera_url=adapter.url)).test_client()

    assert client.get(f"/main/with-camera?{query}").status_code == 400
    assert adapter.heads == []


@pytest.mark.parametrize(
    ("act", "timeout_s", "status"),
    [
        (sends_and_is_silent(), SHORT_S, 408),
        (sends(b""), 60, 408),
        (sends(answer(b"busy", status="500 Broken")), 60, 502),
        (sends(answer(b"<html>", "Content-Type: text/html")), 60, 502),
    ],
)
def test_a_camera_that_does_not_answer_is_a_408(open_services, act, timeout_s, status):
    """One that answers otherwise than with a picture is told as elsewhere."""
    with AdaptedCamera(act) as adapter:
        settings = {"camera_retries": 0, "camera_timeout_s": timeout_s}
        client = create_app(open_services(camera_url=adapter.url, **settings)).test_client()

        assert client.get("/main/with-camera").status_code == status


def test_a_camera_that_can_not_be_reached_is_a_408(open_services, adapter):
    client = create_app(open_services(camera_url=adapter.url, camera_retries=0)).test_client()
    adapter.__exit__()

    assert client.get("/main/with-camera").status_code == 408


def test_a_page_elsewhere_can_not_trigger_the_camera_by_a_link(open_services, adapter):
    client = create_app(open_services(camera_url=adapter.url)).test_client()
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert client.get("/main/with-camera", headers=followed).status_code == 403
    assert adapter.heads == []


# The latest picture


@pytest.mark.parametrize("path", ["/image-raw", "/image-draw"])
def test_before_the_first_picture_there_is_a_text(client, path):
    response = client.get(path)

    assert (response.status_code, response.content_type, response.data) == NONE_YET


def test_the_latest_picture_is_had_as_it_came_and_drawn(client, detector):
    answered(client)
    detector.objects = (PLATE, replace(BOLT, score=0.3))
    other = png()
    ask(client, picture=other)
    raw, painted = client.get("/image-raw"), client.get("/image-draw")

    assert (raw.content_type, raw.data, raw.content_length) == ("image/png", other, len(other))
    assert (painted.content_type, painted.data) == ("image/jpeg", drawn(1))
    assert raw.headers["Cache-Control"] == painted.headers["Cache-Control"] == "no-store"


def test_an_inspection_of_the_new_route_is_the_latest_too(client):
    client.post("/v1/inspections", data=PHOTO)

    assert client.get("/image-raw").data == PHOTO


def test_whichever_process_answers_has_the_same_latest_picture(open_services):
    one, other = (create_app(open_services()).test_client() for _ in range(2))
    answered(one)

    assert other.get("/image-raw").data == PHOTO
    ask(other, picture=png())
    assert one.get("/image-raw").data == png()


@pytest.mark.parametrize("settings", [{"store_uploads": "none"}, {"inspection_pictures_mb": 0}])
def test_where_no_picture_may_be_kept_there_is_no_latest(open_services, tmp_path, settings):
    client = create_app(open_services(**settings)).test_client()
    answered(client)

    assert client.get("/image-raw").data == b"No image captured yet"
    assert not (tmp_path / "feedback" / "inspections" / "latest").exists()


def test_a_deleted_picture_is_the_latest_no_more(client, open_services):
    answered(client)
    services = open_services()
    services.latest.delete("0" * 64)
    assert client.get("/image-raw").data == PHOTO
    services.latest.delete(client.get("/v1/inspections/latest").get_json()["picture"])

    assert client.get("/image-raw").data == b"No image captured yet"


def test_a_picture_that_is_deleted_while_it_is_made_the_latest_is_not(open_services, monkeypatch):
    services = open_services()
    client, seen = create_app(services).test_client(), services.uploads.store.read

    def read_and_delete(name: str) -> bytes:
        data: bytes = seen(name)
        services.uploads.delete(name)
        deleting.append(other.submit(services.latest.delete, name))
        wait(deleting, timeout=SHORT_S)
        return data

    deleting: list[Future[None]] = []
    monkeypatch.setattr(services.uploads.store, "read", read_and_delete)
    monkeypatch.setattr(latest, "LOCK_WAIT_S", 60.0)
    with ThreadPoolExecutor() as other:
        answered(client, return_options=1)

    assert [deleted.result() for deleted in deleting] == [None]
    assert client.get("/image-raw").data == b"No image captured yet"


def test_a_service_that_may_keep_none_any_more_shows_no_old_one_as_the_latest(open_services):
    answered(create_app(open_services()).test_client())
    client = create_app(open_services(inspection_pictures_mb=0)).test_client()

    assert client.get("/image-raw").data == b"No image captured yet"


def test_what_no_disk_can_keep_is_answered_all_the_same(client, tmp_path):
    (tmp_path / "feedback").write_text("in the way")

    assert answered(client, return_options=1) == {"decision": True}


def test_a_file_that_holds_something_else_is_told(client, tmp_path):
    answered(client)
    (tmp_path / "feedback" / "inspections" / "latest").write_bytes(b"something\nelse\n")

    assert client.get("/image-raw").status_code == 503


def test_the_picture_of_a_private_key_is_nobody_elses(open_services, tmp_path):
    keys = tmp_path / "keys"
    for name, private in (("open", False), ("private", True)):
        key = Key(name, digest_of(f"secret of {name}"), frozenset({Scope.CLASSIFY}), private=private)
        replace_line(keys, name, line_of(key))
    reader = Key("reader", digest_of("secret of reader"), frozenset({Scope.INSPECTIONS}))
    replace_line(keys, "reader", line_of(reader))
    client = create_app(open_services(api_keys_file=keys)).test_client()

    def send(name: str, picture: bytes) -> int:
        return client.post("/main", data=picture, headers={"X-API-Key": f"secret of {name}"}).status_code

    assert (send("open", PHOTO), send("private", png()), send("reader", PHOTO)) == (200, 200, 403)
    raw = {name: client.get("/image-raw", headers={"X-API-Key": f"secret of {name}"}) for name in ("open", "reader")}
    assert (raw["open"].status_code, raw["reader"].data) == (403, PHOTO)
    assert client.get("/main/with-camera").status_code == 401
