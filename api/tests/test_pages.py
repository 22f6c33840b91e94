from __future__ import annotations

import csv
import io
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from PIL import Image
from pydantic import SecretStr
from urllib3 import encode_multipart_formdata

from api.app import create_app
from api.core.errors import NoWorker, Overloaded, Undecodable
from api.core.inference import Answer, Inference
from api.core.labels import LabelList, LabelLookup, ObjectBounds
from api.core.link_secret import LinkSecret
from api.core.models import ModelNames
from api.core.picture_links import PictureLinks
from api.services import Services
from api.settings import Settings
from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from contract.messages import Box, Classification, DetectedObject, Detection, Label, Timings
from contract.model_task import ModelTask
from contract.model_version import ModelVersion, WantedModel

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from api.core.client import Client
    from api.core.inference import Asked
    from api.core.models import Models


ADMIN_KEY = "the-admin-key-of-this-test"
JSON = {"Accept": "application/json"}
LABELS = ("Egyptian_cat", "tabby", "tiger_cat", "lynx", "<b>screen</b>", "mouse")
SCORES = (0.63124, 0.2, 0.1, 0.06, 0.0004, 0.0003)


class CatInference:
    """Stores the picture and sees a cat in it, or raises ``trouble``: pages are tested without Redis and workers.

    As a detector it sees ``objects``.
    """

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self.objects: tuple[DetectedObject, ...] | None = None
        self.trouble: Exception | None = None
        self.asked: list[WantedModel | None] = []

    def task(self, _model: WantedModel | None = None) -> ModelTask:
        return ModelTask.CLASSIFICATION if self.objects is None else ModelTask.DETECTION

    def admit(self, _task: ModelTask | None, _model: WantedModel | None = None) -> None:
        """Never busy before the body is read."""

    def infer(self, image: bytes, _client: Client, asked: Asked[Any]) -> Answer[Any]:
        self.asked.append(asked.model)
        if self.trouble is not None:
            raise self.trouble
        if self.objects is not None:
            found = Detection("finder", "f" * 64, self.objects, 200, 100, Timings(decode=3.0, infer=20.0))
            return Answer(self._store.put(image), found, "miss", waited_ms=20.0)
        labels = tuple(Label(label, score) for label, score in zip(LABELS, SCORES, strict=True))
        seen = Classification("resnet50", "d" * 64, labels, Timings(decode=3.0, infer=20.0))
        return Answer(self._store.put(image), seen, "miss", waited_ms=20.0)


class CatLabels:
    """What the workers published, or nothing yet."""

    def __init__(self) -> None:
        self.known: LabelList | None = LabelList(ModelVersion("resnet50"), "d" * 64, (*LABELS, "Cardigan", "cardigan"))
        self.of_dogs = LabelList(ModelVersion("dogs", "2"), "e" * 64, ("Great_Dane", "egyptian_CAT"))

    def of(self, _model: WantedModel | None = None) -> LabelList:
        if self.known is None:
            raise NoWorker("no worker is ready", 5)
        return self.known

    def of_or_none(self, model: WantedModel | None = None) -> LabelList | None:
        return self.of_dogs if model is not None and model.name == "dogs" else self.known


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        upload_dir=tmp_path / "uploads",
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path / "feedback",
        max_upload_mb=1,
        allowed_hosts=("here.test", "cats.test"),
    )


@pytest.fixture
def store(settings: Settings) -> ImageStore:
    return ImageStore(Path(settings.image_store))


@pytest.fixture
def inference(store: ImageStore) -> CatInference:
    return CatInference(store)


@pytest.fixture
def labels() -> CatLabels:
    return CatLabels()


@pytest.fixture
def client(settings: Settings, store: ImageStore, inference: CatInference, labels: CatLabels) -> FlaskClient:
    services = replace(
        Services.connect(settings),
        store=store,
        inference=cast("Inference", inference),
        labels=cast("LabelLookup", labels),
    )
    return create_app(services).test_client()


@pytest.fixture
def public(settings: Settings) -> FlaskClient:
    """The same service where others can reach it."""
    everywhere = "0.0.0.0"  # noqa: S104  # nothing is bound here
    open_to_all = {"host": everywhere, "allow_anonymous": True, "admin_api_key": SecretStr(ADMIN_KEY)}
    return create_app(Services.connect(settings.model_copy(update=open_to_all))).test_client()


def picture(kind: str = "PNG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(encoded, kind)
    return encoded.getvalue()


def form(data: bytes, name: str = "cat.png") -> dict[str, object]:
    return {"file": (io.BytesIO(data), name)}


def reports(settings: Settings) -> list[dict[str, str]]:
    path = settings.feedback_dir / "feedback.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


# The page


@pytest.mark.parametrize("address", ["/", "/feedback"])
def test_the_page_needs_no_other_host_and_runs_nothing_inline(client, address):
    """It works on a machine without internet, and the content security policy would block the rest anyway."""
    response = client.get(address, base_url="http://here.test")
    loaded = re.findall(r'(?:src|href|action)="([^"]*)"', response.text)

    assert response.status_code == 200
    assert all(re.match(r"/(?!/)|#", target) for target in loaded), loaded
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", response.text)
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]


def test_everything_that_the_page_loads_exists(client):
    links = re.findall(r'(?:src|href)="(/static/[^"]*)"', client.get("/").text)

    assert len(links) >= 3
    assert [client.get(link, buffered=True).status_code for link in links] == [200] * len(links)


def test_the_page_shows_how_to_call_this_very_host(client):
    assert (
        "curl -F file=@photo.jpg http://cats.test:8080/predict"
        in client.get("/", base_url="http://cats.test:8080").text
    )


def test_a_plain_form_post_shows_the_best_labels_in_words_with_the_picture(client, store):
    """Without JavaScript the service is as useful as with it."""
    response = client.post("/", data=form(picture()))
    name = store.put(picture())

    assert response.status_code == 200
    assert re.findall(r'class="bar-label">([^<]+)<', response.text)[:5] == [
        "Egyptian cat",
        "tabby",
        "tiger cat",
        "lynx",
        "&lt;b&gt;screen&lt;/b&gt;",
    ]
    assert re.findall(r'class="bar-percent">([^<]+)<', response.text)[:5] == [
        "63.1%",
        "20.0%",
        "10.0%",
        "6.0%",
        "&lt; 0.1%",
    ]
    assert f'src="/display/{name}?expires=' in response.text
    assert "<b>" not in response.text


def test_the_pages_own_script_gets_json(client, store):
    response = client.post("/", data=form(picture()), headers=JSON)
    body = response.get_json()

    assert body.pop("elapsed_ms") > 0
    assert client.get(body.pop("display")).status_code == 503  # a link; nobody is there to make the copy
    assert body == {
        "image": store.put(picture()),
        "model": "resnet50",
        "version": "1",
        "digest": "d" * 64,
        "predictions": [
            {"label": label, "score": round(score, 4)} for label, score in zip(LABELS[:5], SCORES[:5], strict=True)
        ],
        "cache": "miss",
    }


OBJECTS = (
    DetectedObject("traffic_light", 0.91, 9, Box(150.0, 50.0, 190.0, 90.0)),
    DetectedObject("car", 0.5, 2, Box(0.0, 10.0, 150.0, 90.0)),
    DetectedObject("car", 0.4999, 2, Box(10.0, 20.0, 30.0, 30.0)),
)


def test_the_pages_own_script_gets_all_objects_that_a_detector_answers_with(client, store, inference, labels):
    """So that its slider asks nothing anew; the slider goes down to the model's own least score."""
    inference.objects = OBJECTS
    labels.known = LabelList(ModelVersion("finder"), "f" * 64, LABELS, ObjectBounds(0.1, 100))
    body = client.post("/", data=form(picture()), headers=JSON).get_json()

    assert [found["confidence"] for found in body["detections"]] == [0.91, 0.5, 0.4999]
    assert body["detections"][0]["box"] == {"x": 150.0, "y": 50.0, "width": 40.0, "height": 40.0}
    assert (body["size"], body["min_score"]) == ({"width": 200, "height": 100}, 0.1)
    assert (body["image"], body["model"]) == (store.put(picture()), "finder")
    assert "predictions" not in body


def test_without_a_script_the_page_draws_and_lists_the_objects_that_score_half_or_more(client, inference):
    """Positions are shares of the picture, to fit it in any size; no box is under a larger one."""
    inference.objects = OBJECTS
    shown = client.post("/", data=form(picture())).text.split('<ol id="results"')[1].split("</section>")[0]

    assert re.findall(r'class="object-label">([^<]+)<', shown) == ["traffic light", "car"]
    assert re.findall(r'class="box-line" x="([^"]+)" y="([^"]+)" width="([^"]+)" height="([^"]+)"', shown) == [
        ("0.000%", "10.000%", "75.000%", "80.000%"),
        ("75.000%", "50.000%", "20.000%", "40.000%"),
    ]
    assert "Showing 2 of 3, from a score of 50% up" in shown
    assert re.search(r"<h3[^>]*>traffic light, car</h3>", shown)


@pytest.mark.parametrize(
    ("objects", "title"),
    [((), "No objects found"), (OBJECTS[2:], "Nothing at 50% or above"), (OBJECTS[1:2] * 3, "car × 3")],  # noqa: RUF001
)
def test_the_page_says_how_much_of_what_is_in_the_picture(client, inference, objects, title):
    inference.objects = objects
    shown = client.post("/", data=form(picture())).text

    assert re.search(rf"<h3[^>]*>{title}</h3>", shown)
    assert f"<title>{title} · Image classifier</title>" in shown


class FinderNames:
    """The models of a service that has one detector and nothing else."""

    def names(self) -> ModelNames:
        return ModelNames(["finder"], "finder", frozenset({"finder"}))


def test_the_command_that_the_page_shows_asks_the_route_that_answers(settings):
    """A service with a detector alone answers no ``/predict``."""
    services = replace(Services.connect(settings), models=cast("Models", FinderNames()))

    assert "/detect</code>" in create_app(services).test_client().get("/", base_url="http://here.test").text


@pytest.mark.parametrize(
    "data", [{}, {"other": ("cat.jpg", b"x")}, {"file": ("", b"")}], ids=["nothing", "other", "none chosen"]
)
def test_a_form_without_a_picture_is_redirected_to_the_page_which_says_so(client, data):
    """As in the systems that this one replaces; a reload of what follows sends no form again, and no cookie is set."""
    body, content_type = encode_multipart_formdata(data)
    led = client.post("/", data=body, content_type=content_type)
    page = client.get(led.location)

    assert (led.status_code, led.location) == (303, "/?message=missing-file")
    assert "Set-Cookie" not in led.headers
    assert page.status_code == 200
    assert "There was no picture in that form" in page.text


def test_a_script_that_sends_no_picture_gets_the_error_itself(client):
    problem = client.post("/", data={}, headers=JSON)

    assert problem.status_code == 400
    assert "the request has no picture: " in problem.get_json()["detail"]


@pytest.mark.parametrize("code", ["", "unknown", "<b>pwned</b>", "missing-file<b>"])
def test_the_page_shows_no_text_that_a_strangers_link_makes_up(client, code):
    page = client.get("/", query_string={"message": code})

    assert page.status_code == 200
    assert "notice" not in page.text
    assert "pwned" not in page.text


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        ({"file": ("cat.jpg", b"just some text")}, 415, "not a picture"),
        ({"file": ("cat.jpg", b"")}, 400, "empty"),
    ],
)
def test_a_bad_upload_is_explained_in_words_with_the_right_status(client, data, status, words):
    """A person reads it on the page, a script as a problem document."""
    body, content_type = encode_multipart_formdata(data)
    page = client.post("/", data=body, content_type=content_type)
    problem = client.post("/", data=body, content_type=content_type, headers=JSON)

    assert page.status_code == problem.status_code == status
    assert page.mimetype == "text/html"
    assert problem.mimetype == "application/problem+json"
    assert re.search(rf'role="alert">[^<]*({words})', page.text)
    assert re.search(words, json.loads(problem.data)["detail"])


def test_a_form_that_is_cut_short_is_not_mistaken_for_one_without_a_file(client):
    body, content_type = encode_multipart_formdata({"file": ("cat.png", picture())})
    answer = client.post("/", data=body[:-30], content_type=content_type, headers=JSON)

    assert answer.status_code == 400
    assert "the form can't be read" in json.loads(answer.data)["detail"]


def test_a_file_that_is_too_large_is_explained_in_words(client):
    """It is refused from its length alone, before any of it is read."""
    body = {"data": b"x" * 1_000_001, "content_type": "multipart/form-data; boundary=x"}
    page = client.post("/", **body)
    problem = client.post("/", **body, headers=JSON)

    assert page.status_code == problem.status_code == 413
    assert re.search(r'role="alert">[^<]*too large', page.text)
    assert problem.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("trouble", "status"), [(Overloaded("too many at once", 7), 503), (Undecodable("cut short"), 422)]
)
def test_an_error_behind_the_page_keeps_its_status_and_its_text(client, inference, trouble, status):
    inference.trouble = trouble
    page = client.post("/", data=form(picture()))
    problem = client.post("/", data=form(picture()), headers=JSON)

    assert page.status_code == problem.status_code == status
    assert page.mimetype == "text/html"
    assert str(trouble) in page.text
    assert page.content_length == len(page.data)
    assert json.loads(problem.data)["detail"] == str(trouble)


def test_both_a_person_and_a_program_learn_when_to_try_again(client, inference):
    """A browser's extension or a proxy reads the header of a page too."""
    inference.trouble = Overloaded("too many at once", 7)
    page = client.post("/", data=form(picture()))
    problem = client.post("/", data=form(picture()), headers=JSON)

    assert page.headers["Retry-After"] == problem.headers["Retry-After"] == "7"


@pytest.mark.parametrize("headers", [{}, JSON], ids=["page", "json"])
def test_every_answer_says_which_model_gave_it_and_where_the_time_went(client, headers):
    """An operator follows one slow answer in the browser's own network view."""
    answer = client.post("/", data=form(picture()), headers=headers)

    assert answer.headers["X-Model"] == "resnet50@dddddddddddd"
    assert answer.headers["X-Cache"] == "miss"
    assert re.findall(r"(\w+);dur=", answer.headers["Server-Timing"]) == ["upload", "queue", "decode", "infer", "total"]


def test_the_page_waits_longer_than_the_service_does(client, settings):
    """With a longer REQUEST_TIMEOUT_S the page must not give up first; its script reads the deadline here."""
    assert f'data-request-timeout-s="{settings.request_timeout_s}"' in client.get("/").text


# The stored pictures


@pytest.fixture
def copied(store: ImageStore, settings: Settings) -> str:
    """A stored picture of which a worker has made a copy."""
    name = store.put(picture("BMP"))
    CopyStore(settings.copies_dir).put(name, picture("JPEG"))
    return name


def link_to(name: str, settings: Settings, *, ago_s: float = 0.0) -> str:
    secret = LinkSecret("", settings.link_secret_path)
    signed = PictureLinks(secret, settings.link_ttl_s, lambda: time.time() - ago_s).sign(name)
    return f"/display/{name}?expires={signed.expires}&signature={signed.signature}"


def test_what_is_shown_of_a_picture_is_its_copy_and_never_runs_as_a_page(client, copied):
    """An uploaded file is a stranger's: a browser must neither guess its type nor run what is in it."""
    response = client.get(f"/display/{copied}")

    assert response.data == picture("JPEG")
    assert response.content_type == "image/jpeg"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


def test_a_worker_that_was_taken_over_shows_nothing_that_is_no_copy(client, copied, settings, tmp_path):
    """It may write into that folder whatever it wants: a page, or a link that leads to the API's secrets."""
    path = settings.copies_dir / copied[:2] / copied
    path.write_bytes(b"<script>alert(1)</script>")
    page = client.get(f"/display/{copied}")
    path.unlink()
    (tmp_path / "kept.jpg").write_bytes(picture("JPEG"))
    path.symlink_to(tmp_path / "kept.jpg")
    file = client.get(f"/display/{copied}")
    path.unlink()
    path.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / copied).write_bytes(picture("JPEG"))
    path.parent.symlink_to(tmp_path / "elsewhere")
    folder = client.get(f"/display/{copied}")

    assert [answer.status_code for answer in (page, file, folder)] == [503, 503, 503]


def test_a_link_shows_a_picture_to_who_has_it_and_is_kept_for_no_longer(public, copied, settings):
    """Shared caches must not keep people's photos, nor browsers beyond the link."""
    first = public.get(link_to(copied, settings, ago_s=3000))
    again = public.get(link_to(copied, settings), headers={"If-None-Match": first.headers["ETag"]})
    kept = re.fullmatch(r"private, max-age=(\d+)", first.headers["Cache-Control"])

    assert first.status_code == 200
    assert kept is not None
    assert 590 <= int(kept[1]) <= 660
    assert (again.status_code, again.data) == (304, b"")


def test_a_link_that_was_changed_in_any_part_shows_nothing(public, copied, store, settings):
    other = store.put(picture("GIF"))
    CopyStore(settings.copies_dir).put(other, picture("JPEG"))
    link = link_to(copied, settings)
    changed = [
        link.replace(copied, other),
        re.sub(r"expires=(\d+)", lambda found: f"expires={int(found[1]) + 1}", link),
        link.replace("expires=", "expires=0"),
        link[:-1] + ("A" if link[-1] != "A" else "B"),
        link + "=",
        link[:-1],
        link.partition("&")[0],
        f"/display/{copied}?signature=" + link.rpartition("=")[2],
        link.replace("signature=", "signature=%ff%00"),
        f"/display/{copied}",
        f"/display/{other}",
    ]

    assert [public.get(address).status_code for address in changed] == [403] * len(changed)
    assert [public.delete(address).status_code for address in changed] == [403] * len(changed)
    assert copied in store


def test_a_link_expires(public, copied, settings):
    link = link_to(copied, settings, ago_s=settings.link_ttl_s + 60)

    assert public.get(link).status_code == 410
    assert public.delete(link).status_code == 410


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        ({"X-Forwarded-Proto": "https"}, "127.0.0.1"),
        ({"Forwarded": "for=192.0.2.1"}, "127.0.0.1"),
        ({}, "192.0.2.1"),
    ],
)
def test_who_comes_to_this_machine_through_a_proxy_needs_a_link_as_others_do(client, copied, headers, address):
    """On loopback whoever asks is a user of this machine; a proxy on it speaks for anybody."""
    answer = client.get(f"/display/{copied}", headers=headers, environ_base={"REMOTE_ADDR": address})

    assert answer.status_code == 403


def test_a_person_with_a_link_that_is_none_any_more_reads_why_on_a_page(public, copied, settings):
    old = public.get(link_to(copied, settings, ago_s=10**6), headers={"Accept": "text/html"})
    none = public.get(f"/display/{copied}", headers={"Accept": "text/html"})

    assert [(answer.status_code, answer.mimetype) for answer in (old, none)] == [(410, "text/html"), (403, "text/html")]


def test_the_operator_needs_no_link(public, copied):
    shown = public.get(f"/display/{copied}", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    wrong = public.get(f"/display/{copied}", headers={"Authorization": "Bearer of-somebody-else"})

    assert shown.headers["Cache-Control"] == "private, no-cache"
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    "name",
    [
        "0" * 64,
        "A" * 64,
        "a" * 63,
        "a" * 65,
        "..",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f" + "a" * 64,
        "a" * 64 + "%00",
        "a" * 64 + "%0a",
    ],
)
def test_the_name_of_no_stored_picture_is_not_found(client, name):
    """The name becomes a path on disk: only the hash of something stored may ever reach it."""
    assert client.get(f"/display/{name}").status_code == 404


# The labels to choose from


def test_the_labels_are_there_for_programs_that_let_a_person_choose(client):
    """In the bundle's own spelling and by class index, as a program gets them in answers."""
    response = client.get("/labels")

    assert response.get_json() == {
        "model": "resnet50",
        "version": "1",
        "digest": "d" * 64,
        "labels": [*LABELS, "Cardigan", "cardigan"],
    }
    assert response.headers["Cache-Control"] == "no-cache"
    assert client.get("/labels", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_there_are_no_labels_before_the_first_worker(client, labels):
    labels.known = None
    response = client.get("/labels")

    assert response.status_code == 503
    assert response.mimetype == "application/problem+json"
    assert response.headers["Retry-After"] == "5"


@pytest.mark.parametrize("address", ["/", "/feedback"])
def test_a_plain_form_suggests_every_label_in_words(client, address):
    """Without JavaScript the browser's own list does the searching."""
    page = (client.post("/", data=form(picture())) if address == "/" else client.get(address)).text
    suggested = page.split('<datalist id="labels">')[1].split("</datalist>")[0]

    assert re.findall(r'value="([^"]*)"', suggested) == [
        "&lt;b&gt;screen&lt;/b&gt;",
        "Cardigan",
        "cardigan",
        "Egyptian cat",
        "lynx",
        "mouse",
        "tabby",
        "tiger cat",
    ]
    assert 'list="labels"' in page


def test_a_page_without_a_result_has_no_list_of_labels(client):
    """Ten kilobytes that could not be used."""
    assert "<option" not in client.get("/").text


@pytest.mark.parametrize("address", ["/", "/feedback"])
def test_a_page_needs_no_labels_to_be_shown(client, labels, address):
    """The suggestions are a convenience; an answer or a report never waits for them."""
    labels.known = None
    page = client.post("/", data=form(picture())) if address == "/" else client.get(address)

    assert page.status_code == 200
    assert "<option" not in page.text


# Feedback


def test_a_result_can_be_reported_wrong_with_the_form_beside_it(client, settings):
    """The whole way without JavaScript: the result's own hidden fields lead to a row that names picture and model."""
    page = client.post("/", data=form(picture())).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.split("<template")[0]))
    answer = client.post("/feedback", data=hidden | {"correct_label": "lynx", "comment": 'ears, "tufted"\nsee?'})

    (row,) = reports(settings)
    assert answer.status_code == 200
    assert "Thank you" in answer.text
    assert row.pop("time")
    assert row == {
        "image": ImageStore(Path(settings.image_store)).put(picture()),
        "prediction": "Egyptian_cat",
        "score": "0.6312",
        "correct_label": "lynx",
        "comment": 'ears, "tufted"\nsee?',
        "model": "resnet50",
        "digest": "d" * 64,
    }


@pytest.mark.parametrize(
    ("words", "stored"),
    [("Egyptian cat", "Egyptian_cat"), ("egyptian_cat", "Egyptian_cat"), ("Cardigan", "Cardigan"), ("a mug", "a mug")],
)
def test_the_right_label_is_stored_as_the_model_spells_it_and_anything_else_as_typed(client, settings, words, stored):
    """Training needs the exact label; what the model has no label for is worth knowing too."""
    client.post("/feedback", data={"correct_label": words})
    client.post("/feedback", data={"report": json.dumps({"correct_label": words})}, headers=JSON)

    assert [row["correct_label"] for row in reports(settings)] == [stored, stored]


@pytest.mark.parametrize(
    ("model", "stored"),
    [("dogs", "egyptian_CAT"), ("dogs@2", "egyptian_CAT"), ("", "Egyptian_cat"), ("no/model", "Egyptian_cat")],
)
def test_a_label_is_meant_as_the_model_spells_it_that_has_answered(client, settings, model, stored):
    """Of what is no model's name nothing follows, and the report is stored all the same."""
    client.post("/feedback", data={"correct_label": "Egyptian cat", "model": model})

    assert [(row["model"], row["correct_label"]) for row in reports(settings)] == [(model, stored)]


def test_a_form_that_comes_back_suggests_the_labels_of_the_reports_model(client):
    refused = client.post("/feedback", data={"model": "dogs", "comment": "x" * 3000})

    assert refused.status_code == 400
    assert '<option value="Great Dane">' in refused.text


def test_a_report_is_stored_as_typed_when_no_labels_are_known(client, settings, labels):
    """Nothing that a person sends may be lost because a worker is down."""
    labels.known = None
    client.post("/feedback", data={"correct_label": "Egyptian cat"})

    assert [row["correct_label"] for row in reports(settings)] == ["Egyptian cat"]


def test_a_script_reports_with_one_json_field_and_learns_that_it_is_stored(client, settings):
    response = client.post("/feedback", data={"report": json.dumps({"filename": "a", "score": 0.5})}, headers=JSON)

    (row,) = reports(settings)
    assert response.get_json() == {"stored": True}
    assert (row["image"], row["score"]) == ("a", "0.5")


def test_an_empty_report_shows_the_page_and_stores_nothing(client, settings):
    """An accidental click is not a report; the page says so instead of thanking."""
    page = client.post("/feedback")

    assert page.status_code == 200
    assert "nothing was stored" in page.text
    assert client.post("/feedback", data={"report": ""}, headers=JSON).get_json() == {"stored": False}
    assert reports(settings) == []


def test_a_refused_report_comes_back_as_typed_and_harmless(client, settings):
    """The person should not have to type it again, and no text may become markup."""
    typed = {
        "comment": "</textarea><script>alert(1)</script>",
        "prediction": '" autofocus x="',
        "correct_label": "x" * 300,
    }
    page = client.post("/feedback", data=typed)

    assert page.status_code == 400
    assert re.search(r'role="alert">[^<]*300 characters long', page.text)
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert 'value="&#34; autofocus x=&#34;"' in page.text
    assert reports(settings) == []


def test_a_report_that_cannot_be_stored_is_an_error(client, settings):
    """Thanking for a report that was lost would be a lie."""
    settings.feedback_dir.write_text("a file where the folder should be")
    page = client.post("/feedback", data={"comment": "a dog"})
    problem = client.post("/feedback", data={"comment": "a dog"}, headers=JSON)

    assert page.status_code == problem.status_code == 503
    assert "could not be stored" in page.text
    assert ">a dog</textarea>" in page.text
    assert problem.mimetype == "application/problem+json"


def test_a_report_that_is_too_large_is_explained_in_words(client, settings):
    """A person gets the form again, not a program's document."""
    sent = {"comment": "x" * 1_000_001}
    page = client.post("/feedback", data=sent)
    problem = client.post("/feedback", data=sent, headers=JSON)

    assert page.status_code == problem.status_code == 413
    assert re.search(r'role="alert">[^<]*too large', page.text)
    assert 'name="comment"' in page.text
    assert problem.mimetype == "application/problem+json"
    assert reports(settings) == []
