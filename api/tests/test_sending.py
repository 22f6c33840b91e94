"""The ways in which people send a picture, and what those are told whose picture did not come."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import pytest
from werkzeug.serving import make_server

from api.app import create_app
from api.http.json_body import LONGEST_REST
from api.http.json_pictures import read_json
from api.services import Services
from api.settings import Settings
from api.tests.test_infer import OTHER, PHOTO, CatInference
from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient

    from api.core.inference import Inference

ROUTES = ["/", "/predict", "/infer", "/infer/batch"]
URL_ENCODED = "application/x-www-form-urlencoded"  # what curl says if nobody tells it
AS_JSON = {"Accept": "application/json"}
BASE64 = b64encode(PHOTO).decode()
WORKS = "curl -F file=@photo.jpg http://localhost"


class Seen(CatInference):
    """Also remembers the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[bytes] = []

    def infer(self, image: bytes, *args: Any) -> Any:
        self.pictures.append(image)
        return super().infer(image, *args)


@pytest.fixture
def inference() -> Seen:
    return Seen()


@pytest.fixture
def services(inference: Seen, tmp_path: Path) -> Services:
    settings = Settings(
        upload_dir=tmp_path / "uploads",
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path,
        max_upload_mb=1,
        max_batch_files=4,
    )
    return replace(Services.connect(settings), inference=cast("Inference", inference))


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def reason(response: Any) -> str:
    """Why a request was refused, wherever the route says it."""
    return str(response.headers.get("X-Error") or json.loads(response.data)["detail"])


def wrapped(text: str) -> str:
    """As ``base64 photo.jpg`` prints it."""
    return "\n".join(text[start : start + 76] for start in range(0, len(text), 76)) + "\n"


# Taken


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        *((path, URL_ENCODED) for path in ROUTES),
        *(("/infer", other) for other in ("image/jpeg", "image/x", "a/b", None)),
    ],
)
def test_a_body_may_be_the_picture_itself(client, inference, path, content_type):
    """As ``curl --data-binary @photo.jpg`` sends it, with or without a type of its own."""
    response = client.post(path, data=PHOTO, content_type=content_type, headers=AS_JSON)

    assert response.status_code == 200
    assert inference.pictures == [PHOTO]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((path, {"image": BASE64}) for path in ROUTES),
        ("/infer", {"file": BASE64}),
        ("/infer", {"images": [BASE64]}),
        ("/infer/batch", {"files": [BASE64]}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:12],
)
def test_a_picture_may_come_as_base64_in_json(client, inference, path, body):
    response = client.post(path, json=body, headers=AS_JSON)

    assert response.status_code == 200
    assert inference.pictures == [PHOTO]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"image": f"data:image/jpeg;base64,{BASE64}"}),
        json.dumps({"image": BASE64.rstrip("=")}),
        json.dumps({"image": urlsafe_b64encode(PHOTO).decode()}),
        json.dumps({"image": wrapped(BASE64)}),
        '{"image": "' + wrapped(BASE64) + '"}',
        json.dumps({"image": BASE64}).replace("/", r"\/"),
        json.dumps({"image": BASE64}).replace("+", r"\u002B"),
        json.dumps({"say": "x" * 2_000 + '"\\', "image": BASE64}),
        "\n " + json.dumps({"more": {"image": None}, "image": BASE64, "file": None}, indent=2),
    ],
    ids=[
        "a data URL",
        "no padding",
        "for URLs",
        "lines",
        "lines as a shell has them",
        "PHP's",
        ".NET's",
        "with quotes",
        "with more",
    ],
)
def test_base64_is_read_as_programs_write_it(client, inference, body):
    """Also where curl calls it a form."""
    assert client.post("/infer", data=body, content_type=URL_ENCODED).status_code == 200
    assert inference.pictures == [PHOTO]


def test_a_small_picture_is_no_other_than_a_large_one(client, inference):
    """Only the long strings are cut out of the JSON before it is read."""
    small = odd.png()

    assert client.post("/infer", json={"image": b64encode(small).decode()}).status_code == 200
    assert inference.pictures == [small]


def test_several_pictures_come_in_one_json_each_answered_in_its_place(client):
    response = client.post("/infer/batch", json={"images": [BASE64, b64encode(b"text").decode(), BASE64], "top_k": 1})

    assert [len(result["predictions"]) for result in response.get_json()["results"]] == [1, 0, 1]
    assert client.post("/infer", json={"images": [BASE64, BASE64]}).status_code == 400


def test_parameters_come_in_the_query_or_as_jsons_own_values(client, inference):
    inference.damaged.add(OTHER)
    raw = client.post("/infer?top_k=1&strict=false", data=OTHER, content_type="image/jpeg").get_json()
    text = b64encode(OTHER).decode()
    in_json = client.post("/infer", json={"image": text, "top_k": 1.0, "strict": False, "min_score": None}).get_json()

    assert raw == in_json
    assert (len(raw["predictions"]), raw["damaged"]) == (1, True)
    assert reason(client.post("/infer", json={"image": text, "top_k": [1]})).startswith("top_k must be")


def test_a_picture_in_a_text_field_is_one(client, inference):
    """``curl -F "file=<photo.jpg"`` sends it without a name."""
    body = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PHOTO + b"\r\n--b--\r\n"

    assert client.post("/infer", data=body, content_type="multipart/form-data; boundary=b").status_code == 200
    assert inference.pictures == [PHOTO]


@pytest.mark.parametrize("escaped", ["/", r"\/", r"\u002f"])
def test_of_a_picture_in_json_there_is_one_copy_beside_the_text(escaped):
    """A process reads many bodies at a time."""
    picture = bytes(range(256)) * 4_000
    body = json.dumps({"image": b64encode(picture).decode()}).replace("/", escaped).encode()
    taken: list[int] = []
    tracemalloc.start()
    _, pictures = read_json(body, ("image",), taken.append, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert pictures == [("image", picture)]
    assert peak < 1.4 * len(picture)
    assert len(picture) <= sum(taken) < 1.1 * len(picture)


def test_what_base64_stands_for_takes_its_part_of_the_memory_for_bodies(client, services, monkeypatch):
    large = PHOTO + bytes(350_000)
    monkeypatch.setattr(services.body_room, "_most_bytes", 1_000_000)
    with services.body_room.body("another") as take:
        take(300_000)
        text = client.post("/infer", json={"image": b64encode(large).decode()})
        alone = client.post("/infer", data=large, content_type="image/jpeg")

    assert (text.status_code, alone.status_code) == (503, 200)
    assert services.body_room.taken_bytes == 0


# Refused, with the reason and what works


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"", None, "the request has no picture: it came without a body"),
        (b"", "image/jpeg", "the request has no picture: it came without a body"),
        (b"photo.jpg", URL_ENCODED, f"it came as {URL_ENCODED} with the fields 'photo.jpg'"),
        (
            b"a=1&caf%C3%A9=2",
            URL_ENCODED,
            r"with the fields 'a', 'caf\xe9'; it is expected in 'file', 'image', 'files' or 'images'",
        ),
        (b"BMW and others", "text/plain", "it came as text/plain, and its body does not begin as a picture"),
        (
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nphoto.jpg\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            "its field 'file' is a text and no file, which in curl's -F has an @ before its name",
        ),
        (
            b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            "it came as multipart/form-data with the fields 'photo'; it is expected in",
        ),
    ],
    ids=["nothing", "nothing with a type", "a name", "texts", "a text", "no @", "another field"],
)
def test_who_sends_no_picture_is_told_what_came_and_what_works(client, body, content_type, said):
    response = client.post("/infer", data=body, content_type=content_type)

    assert response.status_code == 400
    assert said in reason(response)
    assert reason(response).endswith(f"{WORKS}/infer")


def test_predict_keeps_its_three_keys_and_has_the_reason_in_a_header(client):
    response = client.post("/predict", data=b"photo.jpg", content_type=URL_ENCODED)

    assert response.get_json() == {"success": False, "prediction": None, "score": None}
    assert response.headers["X-Error"].endswith(f"{WORKS}/predict")


def test_a_terminal_that_the_page_sends_back_is_told_why(client):
    response = client.post("/", data=b"photo.jpg", content_type=URL_ENCODED)

    assert response.status_code == 303
    assert response.headers["X-Error"].endswith(f"{WORKS}/")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "not well-formed"),
        ("[" * 100_000, f"more than {LONGEST_REST} bytes"),
        ("[" * 10_000, "not well-formed"),
        ('{"image": "' + "A" * 2_000, "ends in the middle of a text"),
        (json.dumps([BASE64]), "the JSON is no object"),
        (json.dumps({"image": 5}), "the field 'image' is no text"),
        (json.dumps({"images": BASE64}), "the field 'images' is no list"),
        (json.dumps({"image": "photo.jpg"}), "the field 'image' is no base64"),
        (json.dumps({"image": "#0", "x": BASE64 + "!"}), "the field 'image' is no base64"),
        (json.dumps({"image": "#0", "x": BASE64}), "the field 'image' is no base64"),
        (json.dumps({"image": "https://example.org/photo.jpg"}), "the field 'image' is no base64"),
        (json.dumps({"image": BASE64 + "=" + BASE64}), "the field 'image' is no base64"),
        (json.dumps({"image": BASE64 + "!"}), "the field 'image' is no base64"),
        (json.dumps({"image": "data:image/jpeg," + BASE64}), "the field 'image' is no base64"),
        (json.dumps({"image": "\ud800"}), "the field 'image' is no base64"),
        (json.dumps({"image": BASE64 + "\\" * 200_000}), "the field 'image' is no base64"),
        (json.dumps({"images": [""] * 1_001}), "more than 1000 pictures and other fields"),
        (json.dumps({"picture": BASE64}), "with the fields 'picture'; it is expected in"),
    ],
)
def test_json_without_a_picture_says_what_is_wrong_with_it(client, body, said):
    response = client.post("/infer", data=body, content_type="application/json")

    assert response.status_code == 400
    assert said in reason(response)


def test_text_fields_are_as_few_as_those_of_other_forms(client):
    """Each costs time in which nobody else is answered."""
    response = client.post("/infer", data="top_k=1&" * 1_001, content_type=URL_ENCODED)

    assert response.status_code == 400
    assert reason(response) == "the form can't be read: it has more than 1000 fields"


def test_a_body_that_says_it_is_a_picture_and_is_none_is_told_the_formats(client):
    response = client.post("/infer", data=b"<svg/>", content_type="image/svg+xml")

    assert response.status_code == 415


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (odd.progressive_jpeg, "/predict"), (odd.png, "/infer"), (odd.webp, "/infer"), (odd.gif, "/infer"),
        (odd.bmp, "/infer"), (odd.tiff, "/infer"), (odd.avif, "/infer"), (odd.heic, "/infer/batch"),
    ],
)  # fmt: skip
def test_a_picture_that_curl_has_mangled_is_not_taken_for_a_damaged_one(client, make, path):
    mangled = make().translate(None, b"\0\r\n")
    response = client.post(path, data=mangled, content_type=URL_ENCODED)

    assert response.status_code == 400
    assert "before curl's -d (or --data) took the zeros and line ends out of it" in reason(response)


@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/predict", PHOTO + bytes(1_000_000), "image/jpeg"),
        ("/infer", json.dumps({"image": b64encode(PHOTO + bytes(750_000)).decode()}), "application/json"),
    ],
    ids=["the body", "base64"],
)
def test_what_is_too_large_is_told_the_limit_and_what_came(client, inference, path, body, content_type):
    """Of base64 what is received counts, a third more than the picture."""
    response = client.post(path, data=body, content_type=content_type, headers=AS_JSON)

    assert response.status_code == (400 if path == "/predict" else 413)
    assert reason(response) == "the request is too large: it has 1.1 MB, and at most 1 MB are taken"
    assert inference.pictures == []


def test_other_routes_read_forms_only(client):
    """A report is no picture."""
    sent = client.post("/feedback", json={"image": BASE64, "comment": "wrong"}, headers=AS_JSON)

    assert sent.get_json() == {"stored": False}


# Through curl itself


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(services))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/predict"
    server.shutdown()
    thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["-F", "file=@photo.jpg"], '"success":true'),
        (["--data-binary", "@photo.jpg"], '"success":true'),
        (["--data-binary", "@photo.jpg", "-H", "Content-Type: image/jpeg"], '"success":true'),
        (["-T", "photo.jpg", "-X", "POST"], '"success":true'),
        (["-F", "file=<photo.jpg"], '"success":true'),
        (["--json", "@photo.json"], '"success":true'),
        (["-d", "@photo.json"], '"success":true'),
        (["-d", "@photo.jpg"], "X-Error: this was a picture before curl's -d"),
        (["-F", "file=photo.jpg"], "has an @ before its name"),
        (["-d", "photo.jpg"], "with the fields 'photo.jpg'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_curl_is_answered_or_told_what_works(url, tmp_path, words, answer):
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    (tmp_path / "photo.json").write_text(json.dumps({"image": BASE64}))
    command = ["curl", "-q", "--noproxy", "*", "-s", "-i", *words, url]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout

    assert answer in printed
