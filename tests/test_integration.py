"""Any running stack, seen from outside: ``BASE_URL=http://host:8000 .venv/bin/python tests/test_integration.py``.

A stack that needs a key gets the one in CLASSIFIER_KEY. Without BASE_URL, under pytest, it checks a stack that it
starts itself.
"""

from __future__ import annotations

import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file: import from the project's root, not from tests/

from tests.pictures import odd

PICTURES = Path(__file__).parent / "pictures"
TIMEOUT_S = 60
REFUSAL = {"success": False, "prediction": None, "score": None}


def predict(base_url, data, name="photo.jpg", **fields: str):
    return requests.post(f"{base_url}/predict", files={"file": (name, data)}, data=fields, timeout=TIMEOUT_S)


@pytest.mark.parametrize(
    ("picture", "label"), [("chelsea.jpg", "Egyptian_cat"), ("coffee.jpg", "espresso"), ("rocket.jpg", "missile")]
)
def test_a_photo_gets_its_label(base_url, picture, label):
    """The whole path, with the real model."""
    response = predict(base_url, (PICTURES / picture).read_bytes())

    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["success", "prediction", "score"]
    assert (body["success"], body["prediction"]) == (True, label)
    assert 0 < body["score"] <= 1
    assert body["score"] == round(body["score"], 4)


def test_the_page_is_there(base_url):
    page = requests.get(f"{base_url}/", timeout=TIMEOUT_S)

    assert page.status_code == 200
    assert "<form" in page.text


def test_a_form_without_a_file_ends_on_the_page(base_url):
    """A person who pressed the button too early is back where they can choose a picture, and reads what was missing."""
    page = requests.post(f"{base_url}/", timeout=TIMEOUT_S)

    assert [redirect.status_code for redirect in page.history] == [303]
    assert page.status_code == 200
    assert "There was no picture in that form" in page.text


def test_a_header_does_not_move_the_service_to_another_path(base_url):
    """What gunicorn takes for the path that it serves would lead a browser elsewhere."""
    sent_back = requests.post(
        f"{base_url}/", headers={"SCRIPT_NAME": "/elsewhere"}, allow_redirects=False, timeout=TIMEOUT_S
    )

    assert sent_back.headers["Location"] == "/?message=missing-file"


def test_the_same_photo_again_is_served_from_the_cache(base_url):
    """It costs a look-up, but no worker's time."""
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    first = predict(base_url, photo)
    second = predict(base_url, photo)

    assert first.json() == second.json()
    assert second.headers["X-Cache"] == "hit"


def test_an_answer_says_where_its_time_went(base_url):
    """Server-Timing, as browsers' developer tools show it."""
    response = predict(base_url, (PICTURES / "chelsea.jpg").read_bytes() + os.urandom(8))
    spent = dict(part.split(";dur=") for part in response.headers["Server-Timing"].split(", "))

    assert list(spent) == ["upload", "queue", "decode", "infer", "total"]
    assert float(spent["infer"]) > 0
    assert float(spent["total"]) >= float(spent["decode"]) + float(spent["infer"])


def test_top_k_adds_the_best_labels(base_url):
    """In descending order, as many as were asked for."""
    body = predict(base_url, (PICTURES / "chelsea.jpg").read_bytes(), top_k="7").json()

    scores = [entry["score"] for entry in body["predictions"]]
    assert len(scores) == 7
    assert scores == sorted(scores, reverse=True)
    assert body["predictions"][0] == {"label": body["prediction"], "score": body["score"]}


@pytest.mark.parametrize(
    "make",
    [
        odd.png, odd.bmp, odd.tiff, odd.webp, odd.gif, odd.animated_gif, odd.animated_webp, odd.progressive_jpeg,
        odd.avif, odd.cmyk_jpeg, odd.greyscale_jpeg, odd.sixteen_bit_png, odd.sixteen_bit_grey_png, odd.alpha_png,
        odd.palette_png, odd.exif_rotated_jpeg, odd.jpeg_with_trailing_bytes, odd.heic, odd.tiled_heic,
        odd.turned_heic,
    ],
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_every_kind_of_picture_of_a_cat_is_a_cat(base_url, make):
    """Formats, bit depths, colour models, transparency and EXIF turns that people's pictures come in."""
    response = predict(base_url, make())

    assert response.status_code == 200
    assert response.json()["prediction"] in {"Egyptian_cat", "tabby", "tiger_cat", "lynx", "Persian_cat", "Siamese_cat"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (odd.text_as_jpeg(), "not a picture"),
        (odd.truncated_jpeg(), "cut short"),
        (odd.zero_by_zero_png(), ""),
        (odd.huge_png(), "30000x30000"),
        (odd.huge_jpeg(), "30000x30000"),
        (odd.huge_heic(), "30000x30000"),
        (odd.jpeg_with_endless_scans(), ""),
        (odd.heic_with_a_huge_picture_in_it(), "too large"),
    ],
    ids=[
        "empty",
        "text",
        "truncated",
        "0x0",
        "huge PNG",
        "huge JPEG",
        "huge HEIC",
        "endless scans",
        "HEIC in disguise",
    ],
)
def test_a_bad_file_gets_the_documented_400(base_url, data, says):
    """The body is the documented one; the header says what is wrong."""
    response = predict(base_url, data)

    assert response.status_code == 400
    assert response.json() == REFUSAL
    assert says in response.headers["X-Error"]


@pytest.mark.parametrize("make", [odd.truncated_png, odd.truncated_jpeg], ids=lambda make: make.__name__)
def test_half_a_picture_is_answered_to_those_who_want_it_and_called_damaged(base_url, make):
    """As a broken upload leaves it. Whoever does not ask gets no label of it, not even when one is stored."""
    half = make()
    for _ in range(2):
        refused, answered = predict(base_url, half), predict(base_url, half, strict="false")

        assert refused.status_code == 400
        assert "damaged" in refused.headers["X-Error"]
        assert answered.status_code == 200
        assert answered.json()["damaged"] is True


def test_a_sound_picture_is_not_called_damaged(base_url):
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    body = predict(base_url, photo, strict="false").json()

    assert body == {**predict(base_url, photo).json(), "damaged": False}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", odd.ENDLESS)
def test_a_file_made_to_keep_its_reader_busy_gets_the_documented_400(base_url, name):
    """No upload within the limits may stop a server."""
    response = predict(base_url, odd.ENDLESS[name]())

    assert response.status_code == 400
    assert response.json() == REFUSAL


def test_min_score_leaves_out_what_scores_less(base_url):
    """The best label is still named."""
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    all_ten = predict(base_url, photo, top_k="10").json()["predictions"]
    least = all_ten[3]["score"]

    kept = predict(base_url, photo, top_k="10", min_score=str(least)).json()["predictions"]
    none = predict(base_url, photo, min_score="1").json()

    assert kept == [entry for entry in all_ten if entry["score"] >= least]
    assert (none["prediction"], none["predictions"]) == ("Egyptian_cat", [])


@pytest.mark.parametrize("field", ["file", "image", "files"])
@pytest.mark.parametrize("path", ["/predict", "/infer", "/infer/batch"])
def test_every_route_takes_a_picture_in_each_of_the_fields_that_clients_use(base_url, path, field):
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    response = requests.post(f"{base_url}{path}", files={field: ("photo.jpg", photo)}, timeout=TIMEOUT_S)

    assert response.status_code == 200
    assert "Egyptian_cat" in response.text


def test_infer_gives_labels_with_their_confidence(base_url):
    photo = (PICTURES / "coffee.jpg").read_bytes()
    response = requests.post(f"{base_url}/infer?top_k=2", files={"image": ("c.jpg", photo)}, timeout=TIMEOUT_S)
    body = response.json()

    assert list(body) == ["predictions", "inference_time_ms"]
    assert [list(entry) for entry in body["predictions"]] == [["label", "confidence"]] * 2
    assert body["predictions"][0]["label"] == "espresso"
    assert body["inference_time_ms"] > 0
    assert response.headers["X-Cache"] in {"hit", "joined", "miss"}


def test_a_batch_is_answered_in_the_order_sent_each_picture_failing_alone(base_url):
    """New ones, known ones, the same one twice, and some bad ones."""
    new = (PICTURES / "coffee.jpg").read_bytes() + os.urandom(8)
    sent = [
        ("cat.jpg", (PICTURES / "chelsea.jpg").read_bytes()),
        ("notes.txt", odd.text_as_jpeg()),
        ("cup.jpg", new),
        ("half.jpg", odd.truncated_jpeg()),
        ("cup again.jpg", new),
        ("phone.heic", odd.tiled_heic()),
    ]
    response = requests.post(
        f"{base_url}/infer/batch", files=[("files", picture) for picture in sent], timeout=TIMEOUT_S
    )
    body = response.json()
    results = body["results"]

    assert response.status_code == 200
    assert (body["total_images"], body["successful"], body["failed"]) == (6, 4, 2)
    assert [result["filename"] for result in results] == [name for name, _ in sent]
    best = [result["predictions"][0]["label"] if result["predictions"] else None for result in results]
    assert best == ["Egyptian_cat", None, "espresso", None, "espresso", "Egyptian_cat"]
    assert "not a picture" in results[1]["error"]
    assert "cut short" in results[3]["error"]
    assert {result["error"] for result in results if result["predictions"]} == {None}


@pytest.mark.parametrize("files", [[], [("files", ("photo.jpg", b"x"))] * 33], ids=["none", "too many"])
def test_a_batch_without_pictures_or_with_too_many_gets_a_problem_document(base_url, files):
    response = requests.post(f"{base_url}/infer/batch", files=files, timeout=TIMEOUT_S)

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("top_k", ["0", "-1", "11", "1.5", "many", "\u0661", "9" * 5000])
def test_a_top_k_out_of_range_gets_the_documented_400(base_url, top_k):
    response = predict(base_url, (PICTURES / "chelsea.jpg").read_bytes(), top_k=top_k)

    assert response.status_code == 400
    assert response.json() == REFUSAL


def test_a_request_without_a_file_or_with_another_field_gets_the_documented_400(base_url):
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    for files in ({}, {"picture": ("photo.jpg", photo)}):
        response = requests.post(f"{base_url}/predict", files=files, timeout=TIMEOUT_S)

        assert response.status_code == 400
        assert response.json() == REFUSAL


def test_a_body_that_is_far_too_large_is_refused_and_the_client_reads_why(base_url):
    """Three times the limit must not be read into memory, and the refusal must reach a client that is still sending."""
    response = predict(base_url, bytes(60_000_000))

    assert response.status_code == 400
    assert response.json() == REFUSAL


def test_a_body_without_a_length_is_limited_too(base_url):
    """Chunked requests announce no size."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    body = iter([part, *([bytes(1_000_000)] * 40), b"\r\n--b--\r\n"])
    response = requests.post(
        f"{base_url}/predict",
        data=body,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=TIMEOUT_S,
    )

    assert response.status_code == 400


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a\x00b.jpg", "x" * 5000])
def test_a_path_in_the_file_name_means_nothing(base_url, name):
    """The name is the sender's; the picture is stored under its content's hash."""
    response = predict(base_url, (PICTURES / "chelsea.jpg").read_bytes(), name=name)

    assert response.status_code == 200
    assert response.json()["prediction"] == "Egyptian_cat"


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "0" * 64, "", "nothing"])
def test_display_serves_stored_pictures_only(base_url, name):
    response = requests.get(f"{base_url}/display/{name}", timeout=TIMEOUT_S)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_picture_that_was_sent_can_be_displayed(base_url):
    photo = (PICTURES / "coffee.jpg").read_bytes()
    page = requests.post(
        f"{base_url}/", files={"file": ("c.jpg", photo)}, headers={"Accept": "application/json"}, timeout=TIMEOUT_S
    )
    shown = requests.get(base_url + page.json()["display"], timeout=TIMEOUT_S)

    assert Image.open(BytesIO(shown.content)).size == Image.open(BytesIO(photo)).size
    assert shown.headers["Content-Type"] == "image/jpeg"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"


def test_a_heic_is_displayed_as_every_browser_reads_it(base_url):
    photo = odd.tiled_heic()
    page = requests.post(
        f"{base_url}/", files={"file": ("c.heic", photo)}, headers={"Accept": "application/json"}, timeout=TIMEOUT_S
    )
    shown = requests.get(base_url + page.json()["display"], timeout=TIMEOUT_S)

    assert shown.headers["Content-Type"] in {"image/jpeg", "image/png"}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/predict", 405)])
def test_errors_have_one_shape(base_url, method, path, status):
    """RFC 9457, on every route."""
    response = requests.request(method, f"{base_url}{path}", timeout=TIMEOUT_S)

    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_garbage_instead_of_http_is_survived(base_url):
    where = urlsplit(base_url)
    with socket.create_connection((where.hostname, where.port or 80), TIMEOUT_S) as line:
        line.sendall(b"\x16\x03\x01\x00 nonsense\r\n\r\n")
        line.settimeout(TIMEOUT_S)
        line.recv(1000)

    assert requests.get(f"{base_url}/livez", timeout=TIMEOUT_S).status_code == 200


def test_health_names_the_model_and_its_workers(base_url):
    body = requests.get(f"{base_url}/health", timeout=TIMEOUT_S).json()

    assert body["status"] == "ok"
    assert body["model_loaded"] is True
    assert body["workers"] >= 1
    assert requests.get(f"{base_url}/readyz", timeout=TIMEOUT_S).status_code == 200
    assert requests.get(f"{base_url}/livez", timeout=TIMEOUT_S).status_code == 200


def test_many_at_once_are_all_answered(base_url):
    """Distinct and equal pictures mixed, more than there are workers and batches."""
    photo = (PICTURES / "chelsea.jpg").read_bytes()
    pictures = [photo + bytes(n % 20) for n in range(60)]  # bytes after the end of a JPEG change its hash, not the cat
    with ThreadPoolExecutor(30) as senders:
        responses = list(senders.map(lambda picture: predict(base_url, picture), pictures))

    assert {response.status_code for response in responses} == {200}
    assert {response.json()["prediction"] for response in responses} == {"Egyptian_cat"}


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", "--rootdir", str(Path(__file__).parents[1])]))
