"""The replaced system's routes on a real service of two API processes, with a detector and a camera."""

from __future__ import annotations

import io
import socket
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
import requests
from PIL import Image

from tests.support.camera import AdaptedCamera, answer, sends, sends_and_is_silent
from tests.support.detection_site import SIZE, DetectionSite, red_at
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

BOX = (100, 50, 300, 150)
TWICE = """\
upright:
  - {label: red, inner: [0.18, 0.18, 0.45, 0.45], outer: [0.13, 0.13, 0.49, 0.49]}
  - {class_id: 1, inner: [0.18, 0.18, 0.45, 0.45], outer: [0.13, 0.13, 0.49, 0.49]}
"""
RESULTS = {"bboxes": [[100.0, 50.0, 300.0, 150.0]], "class_ids": [1], "scores": [0.75]}
ABANDONED = "classifier_camera_snapshots_total", frozenset({("outcome", "abandoned")})


@pytest.fixture(scope="module")
def camera() -> Iterator[AdaptedCamera]:
    with AdaptedCamera(sends(answer(red_at(BOX, noise=1), "Content-Type: image/png"))) as camera:
        yield camera


@pytest.fixture(scope="module")
def site(valkey: Server, camera: AdaptedCamera, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectionSite]:
    patterns = tmp_path_factory.mktemp("patterns")
    (patterns / "plate.yaml").write_text(TWICE)
    settings = {"PATTERN_DIR": str(patterns), "CAMERA_URL": camera.url, "CAMERA_TIMEOUT_S": str(WAIT_S)}
    with DetectionSite(valkey, tmp_path_factory.mktemp("site"), 2, **settings) as site:
        yield site


def main(site: DetectionSite, method: str, picture: bytes, **query: Any) -> requests.Response:
    files = {"image": ("part.png", picture, "image/png")}
    return requests.request(method, f"{site.url}/main", params=query, files=files, timeout=WAIT_S)


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_main_answers_with_the_decision_the_objects_and_both_pictures(site, method):
    """One object may be two of the expected ones there, and boxes come to three decimals."""
    body = main(site, method, red_at(BOX, noise=2)).json()
    plain, drawn = (opened(b64decode(body["images"][name])) for name in ("img", "img_drawn"))

    assert (body["decision"], body["pattern_name"], body["pattern_lg"]) == (True, "upright", [True, True])
    assert body["results"] == RESULTS
    assert (plain.format, drawn.format) == ("JPEG", "JPEG")
    assert plain.size == SIZE
    assert drawn.tobytes() != plain.tobytes()


def test_a_jpeg_is_answered_as_it_came(site):
    file = io.BytesIO()
    opened(red_at(BOX, noise=3)).save(file, "JPEG")
    body = main(site, "GET", file.getvalue(), return_options=4).json()

    assert b64decode(body["images"]["img"]) == file.getvalue()


def test_a_get_keeps_its_connection_for_the_next_one(site):
    """Its body is read to the end, and nothing of it is taken for another request."""
    with requests.Session() as session:
        for noise in (4, 5):
            files = {"image": ("part.png", red_at(BOX, noise=noise), "image/png")}
            sent = session.get(f"{site.url}/main?return_options=1", files=files, timeout=WAIT_S)

            assert sent.json() == {"decision": True}
        assert session.get(f"{site.url}/main", data=b"?" * 1000, timeout=WAIT_S).status_code == 400
        assert session.get(f"{site.url}/livez", timeout=WAIT_S).status_code == 200


def test_the_camera_takes_the_picture_for_both_routes(site, camera):
    before = len(camera.heads)
    there = requests.get(f"{site.url}/main/with-camera?exposure_time_us=900", timeout=WAIT_S).json()
    here = requests.post(f"{site.url}/v1/inspections", timeout=WAIT_S).json()

    assert (there["decision"], there["results"]) == (True, RESULTS)
    assert (here["decision"], here["source"]) == (False, "camera")
    assert [head.split()[1] for head in camera.heads[before:]] == ["/snapshot?exposure_time_us=900", "/snapshot"]
    assert requests.get(f"{site.url}/v1/inspections/latest", timeout=WAIT_S).json() == here


def test_each_process_has_the_same_latest_picture(site):
    for noise in (6, 7):
        picture = red_at(BOX, noise=noise)
        assert main(site, "POST", picture, return_options=1).status_code == 200
        drawn = []
        for process in site.api.processes():
            with site.api.answered_by(process):
                assert site.api.get("/image-raw").content == picture
                drawn.append(site.api.get("/image-draw"))

        assert {entry.headers["Content-Type"] for entry in drawn} == {"image/jpeg"}
        assert drawn[0].content == drawn[1].content
        assert opened(drawn[0].content).size == SIZE


def test_a_camera_that_breaks_off_is_a_408_there_and_a_502_here(site, camera, monkeypatch):
    monkeypatch.setattr(camera, "acts", [sends(b"")])
    there = requests.get(f"{site.url}/main/with-camera", timeout=WAIT_S)
    here = requests.post(f"{site.url}/v1/inspections", timeout=WAIT_S)

    assert (there.status_code, here.status_code) == (408, 502)
    assert there.json()["detail"] == here.json()["detail"] == "the camera's answer broke off, or is not HTTP"


@pytest.mark.parametrize("line", [b"GET /main/with-camera", b"POST /v1/inspections"])
def test_the_camera_is_left_alone_when_the_client_hangs_up(site, camera, monkeypatch, line):
    monkeypatch.setattr(camera, "acts", [sends_and_is_silent()])
    asked, abandoned = len(camera.heads), site.api.samples().get(ABANDONED, 0)
    with socket.create_connection(site.api.address, timeout=WAIT_S) as connection:
        connection.sendall(line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        eventually(lambda: len(camera.heads) > asked, "the camera is asked")

    eventually(lambda: site.api.samples().get(ABANDONED, 0) == abandoned + 1, "nobody waits for the picture")
