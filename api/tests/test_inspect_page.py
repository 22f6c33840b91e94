"""``/inspect`` as the server itself makes it: for people without scripts, and for the script to begin with."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from api.core.errors import NoWorker
from api.core.patterns import Patterns
from api.http.main_bodies import OTHER_JUDGEMENT
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.tests.test_inspections import BAD, BRACKET, GOOD, MOVED, PHOTO, PLATE, Detector, inspect_each, services_of
from contract.errors import BackendDown
from contract.image_store import ImageStore
from contract.messages import Box
from tests.support.camera import AdaptedCamera, answer, sends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

MARK = re.compile(r'<g class="mark" data-kind="(\w+)">.*?<text[^>]*>(.*?)</text>', re.DOTALL)
FINDING = re.compile(r'<li class="finding" data-kind="(\w+)">.*?-words">(.*?)</span>', re.DOTALL)
PAST = re.compile(r'<li class="past" data-decision="(\w+)">')


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
def open_client(detector: Detector, folder: Path, tmp_path: Path) -> Callable[..., FlaskClient]:
    def open_client(**settings: Any) -> FlaskClient:
        return create_app(services_of(detector, folder, tmp_path, **settings)).test_client()

    return open_client


@pytest.fixture
def client(open_client: Callable[..., FlaskClient]) -> FlaskClient:
    return open_client()


def inspect(client: FlaskClient, picture: bytes = PHOTO, **fields: str) -> TestResponse:
    return client.post("/inspect", data={"file": (io.BytesIO(picture), "part.jpg"), **fields})


def verdict(page: str) -> tuple[str, str, str]:
    """State, word and why."""
    state = re.search(r'id="verdict" class="verdict" data-state="(\w+)" role="status"', page)
    words = re.search(r'id="verdict-word">(.*?)</p>\s*<p class="verdict-why" id="verdict-why">(.*?)</p>', page)
    assert state
    assert words
    return state[1], words[1], words[2]


def marks(page: str) -> list[tuple[str, str]]:
    return MARK.findall(page)


def test_a_good_part_is_called_good(client):
    page = inspect(client).text

    assert verdict(page) == ("good", "Good", "")
    assert "<title>Good · Inspection" in page
    assert marks(page) == [("found", "✓ plate"), ("found", "✓ bolt")]
    assert FINDING.findall(page) == [("found", "found, 90.0%"), ("found", "found, 80.0%")]
    assert '<img alt="The part" src="/v1/inspections/pictures/' in page


def test_what_is_out_of_place_is_told_by_how_much_and_drawn_where_it_is_and_where_it_has_to_be(client, detector):
    detector.objects = (PLATE, MOVED)
    page = inspect(client).text

    assert verdict(page) == ("bad", "Bad", "bolt is out of place")
    assert marks(page)[1:] == [("place", ""), ("misplaced", "↔ bolt: out of place")]
    assert FINDING.findall(page)[1] == (
        "misplaced",
        "out of place: left edge 3.8% too far right, right edge 2.5% too far right",
    )
    assert '<rect class="mark-line" x="30.000%" y="30.000%" width="30.000%" height="30.000%"/>' in page


def test_what_is_missing_and_what_nobody_expects_are_told_apart(client, detector):
    detector.objects = (PLATE, replace(PLATE, box=Box(0, 0, 64, 32)))
    page = inspect(client).text

    assert verdict(page) == ("bad", "Bad", "bolt is missing")
    assert marks(page) == [("surplus", "? plate"), ("found", "✓ plate"), ("missing", "✕ bolt: missing")]
    assert [kind for kind, _ in FINDING.findall(page)] == ["found", "missing", "surplus"]


def test_what_main_has_judged_otherwise_is_shown_with_its_reason(client, detector):
    """There, a part of one object is never good, although it is all that is expected."""
    detector.objects = (replace(PLATE, index=1, label="bolt", box=Box(530, 110, 620, 170)),)
    assert client.post("/main?return_options=1", data=PHOTO).get_json() == {"decision": False}
    page = client.get("/inspect")

    assert page.status_code == 200
    assert verdict(page.text) == ("bad", "Bad", OTHER_JUDGEMENT)
    assert f'<span class="past-why">{OTHER_JUDGEMENT}</span>' in page.text


def test_several_faults_are_counted_beside_the_first(client, detector):
    detector.objects = ()
    state, _, why = verdict(inspect(client).text)

    assert state == "bad"
    assert why in {"plate is missing, and 1 more", "class 1 is missing"}  # of the best pattern


def test_several_objects_of_a_class_are_numbered(client, folder):
    bolts = "\n".join(
        f"  - {{label: bolt, inner: [0.{n + 1}, 0.4, 0.{n + 1}5, 0.5], outer: [0.{n}, 0.3, 0.{n + 2}5, 0.6]}}"
        for n in (1, 3)
    )
    (folder / "bracket.yaml").write_text(f"two:\n{bolts}\n")
    client = create_app(replace(client.application.extensions["services"], patterns=Patterns(folder))).test_client()

    assert verdict(inspect(client).text) == ("bad", "Bad", "bolt 1 is missing")


def test_names_of_labels_and_patterns_are_texts(client, detector, folder):
    """A pattern file and a bundle are the operator's, and yet no part of the page."""
    (folder / "bracket.yaml").write_text("<i>:\n  - {label: <b>, inner: [0.4, 0.4, 0.5, 0.5], outer: [0, 0, 1, 1]}\n")
    detector.labels = ("<b>",)
    detector.objects = (replace(PLATE, label="<b>", box=Box(64, 32, 576, 288)),)
    client = create_app(replace(client.application.extensions["services"], patterns=Patterns(folder))).test_client()
    page = inspect(client).text

    assert verdict(page)[0] == "good"
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_the_page_has_the_latest_and_those_before_bad_ones_first(client, detector):
    inspect_each(client, detector, BAD, GOOD, BAD, GOOD, GOOD)
    response = client.get("/inspect")

    assert verdict(response.text) == ("good", "Good", "")
    assert PAST.findall(response.text) == ["bad", "bad", "good", "good", "good"]
    assert response.headers["Cache-Control"] == "no-store"


def test_bad_ones_are_had_alone_and_older_ones_by_pages(client, detector):
    inspect_each(client, detector, *[GOOD, BAD] * 55)
    bad, second = client.get("/inspect?decision=false").text, client.get("/inspect?decision=false&page=2").text

    assert (len(PAST.findall(bad)), len(PAST.findall(second))) == (50, 5)
    assert 'href="/inspect?page=2&amp;decision=false#history">Older' in bad
    assert 'href="/v1/inspections.csv?decision=false"' in bad
    assert 'href="/inspect?page=1&amp;decision=false#history">Newer' in second


def test_before_the_first_inspection_the_page_says_so(client):
    assert verdict(client.get("/inspect").text) == ("none", "Nothing yet", "No inspection is kept.")


@pytest.mark.parametrize("query", ["page=0", "decision=perhaps"])
def test_a_wrong_address_is_answered_in_words_and_without_a_decision(client, query):
    inspect(client)
    response = client.get(f"/inspect?{query}")

    assert response.status_code == 400
    assert verdict(response.text)[:2] == ("failed", "No decision")
    assert "must be" in verdict(response.text)[2]


def test_what_can_not_be_read_is_no_decision(client, monkeypatch):
    inspect(client)
    inspections = client.application.extensions["services"].inspections

    def broken(_wanted: object) -> None:
        raise BackendDown("the inspections can't be read at the moment")

    monkeypatch.setattr(type(inspections), "newest_first", lambda _self, wanted: broken(wanted))
    response = client.get("/inspect")

    assert response.status_code == 503
    assert verdict(response.text)[0] == "failed"


@pytest.mark.parametrize(
    ("picture", "fields", "status", "says"),
    [
        (b"no picture", {}, 415, "not a picture"),
        (PHOTO, {"pattern": "hinge"}, 404, "there is no pattern"),
        (PHOTO, {"min_score": "0.01"}, 400, "min_score must be"),
    ],
)
def test_what_goes_wrong_stands_in_the_place_of_the_decision(client, picture, fields, status, says):
    inspect(client)
    response = inspect(client, picture, **fields)
    state, word, why = verdict(response.text)

    assert (response.status_code, response.content_type) == (status, "text/html; charset=utf-8")
    assert (state, word) == ("failed", "No decision")
    assert says in why
    assert 'class="inspected"' not in response.text.partition('<template id="inspected">')[0]


def test_a_service_without_a_worker_decides_nothing(client, detector, monkeypatch):
    def nobody(*_: object) -> None:
        raise NoWorker("no worker is alive")

    monkeypatch.setattr(detector, "infer", nobody)

    assert verdict(inspect(client).text) == ("failed", "No decision", "no worker is alive")


def test_a_form_without_a_file_has_the_camera_take_the_picture(open_client):
    with AdaptedCamera(sends(answer(PHOTO, "Content-Type: image/jpeg"))) as camera:
        client = open_client(camera_url=camera.url, camera_timeout_s=60)
        page = client.post("/inspect", data={"pattern": "bracket"}).text

    assert verdict(page)[0] == "good"


def test_a_form_whose_file_was_not_chosen_is_not_answered_about_the_cameras_picture(open_client):
    with AdaptedCamera(sends(answer(PHOTO, "Content-Type: image/jpeg"))) as camera:
        client = open_client(camera_url=camera.url, camera_timeout_s=60)
        response = client.post("/inspect", data={"pattern": "bracket", "file": (io.BytesIO(), "")})

    assert (response.status_code, verdict(response.text)[0]) == (400, "failed")
    assert camera.heads == []


def test_a_camera_that_is_down_is_told_in_the_place_of_the_decision(open_client):
    with AdaptedCamera(sends(answer(b"", status="404 Not Found"))) as camera:
        client = open_client(camera_url=camera.url, camera_timeout_s=60)
        response = client.post("/inspect", data={"pattern": "bracket"})

    assert response.status_code == 502
    assert verdict(response.text) == ("failed", "No decision", "the camera answers with the status 404")


def test_without_a_camera_the_button_is_off_and_says_why(client, open_client):
    assert '<button id="take" class="primary take" type="submit" disabled' in client.get("/inspect").text
    assert "CAMERA_URL</code> is not set" in client.get("/inspect").text
    assert "CAMERA_URL" not in open_client(camera_url="http://127.0.0.1:9/").get("/inspect").text


def test_of_several_sets_one_is_chosen_and_the_address_may_do_so(client, folder):
    assert 'value="bracket"' in client.get("/inspect").text
    assert "Choose one" not in client.get("/inspect").text.partition("<template")[0]
    (folder / "hinge.yaml").write_text(BRACKET)
    client = create_app(replace(client.application.extensions["services"], patterns=Patterns(folder))).test_client()
    page = client.get("/inspect?pattern=hinge").text

    assert '<option value="">Choose one</option>' in page
    assert '<option value="hinge" selected>' in page
    assert '<option value="hinge" selected>' in inspect(client, pattern="hinge").text  # and stays chosen


def test_without_patterns_the_page_says_what_to_set_and_the_first_page_does_not_lead_there(client):
    assert 'href="/inspect"' in client.get("/").text
    without = replace(client.application.extensions["services"], patterns=Patterns(None))
    client = create_app(without).test_client()

    assert "PATTERN_DIR" in client.get("/inspect").text
    assert "<form" not in client.get("/inspect").text
    assert 'href="/inspect"' not in client.get("/").text


def test_a_picture_that_is_not_kept_is_said_not_to_be(open_client):
    page = inspect(open_client(store_uploads="none")).text

    assert "The picture is not kept" in page
    assert 'src="/v1/inspections' not in page
    assert [kind for kind, _ in marks(page)] == ["found", "found"]  # in their places all the same


# With keys


def secret_of(scope: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer a secret of {scope}"}


@pytest.fixture
def shut(open_client: Callable[..., FlaskClient], tmp_path: Path) -> FlaskClient:
    """With a key for each scope."""
    keys = tmp_path / "keys"
    for scope in Scope:
        replace_line(
            keys, f"of-{scope}", line_of(Key(f"of-{scope}", digest_of(f"a secret of {scope}"), frozenset({scope})))
        )
    return open_client(api_keys_file=keys)


def test_with_keys_the_open_page_tells_strangers_nothing(shut):
    shut.post("/inspect", data=PHOTO, headers=secret_of(Scope.CLASSIFY))
    page = shut.get("/inspect").text

    assert verdict(page) == ("none", "Not shown", "This service needs a key.")
    assert "bracket" not in page
    assert PAST.findall(page) == []


def test_who_may_read_reads_the_same_page_without_a_script(shut):
    shut.post("/inspect", data=PHOTO, headers=secret_of(Scope.CLASSIFY))
    refused = shut.get("/inspect/history", headers={"Accept": "text/html"})
    page = shut.get("/inspect/history", headers=secret_of(Scope.INSPECTIONS)).text

    assert (refused.status_code, 'Basic realm="classifier"' in str(refused.headers)) == (401, True)
    assert verdict(page)[0] == "good"
    assert PAST.findall(page) == ["good"]
    assert 'href="/inspect/history?decision=false#history"' in page
    assert shut.get("/inspect/history", headers=secret_of(Scope.CLASSIFY)).status_code == 403


def test_who_may_only_send_sees_his_own_decision(shut):
    response = shut.post("/inspect", data=PHOTO, headers=secret_of(Scope.CLASSIFY))

    assert verdict(response.text) == ("good", "Good", "")
    assert PAST.findall(response.text) == []
    assert shut.post("/inspect", data=PHOTO, headers=secret_of(Scope.INSPECTIONS)).status_code == 403


# What the page's script asks


def test_the_latest_is_sent_once_to_who_has_it_already(client, detector):
    inspect_each(client, detector, GOOD)
    first = client.get("/v1/inspections/latest")
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get("/v1/inspections/latest", headers=known)
    inspect_each(client, detector, BAD)

    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/v1/inspections/latest", headers=known).get_json()["decision"] is False


def test_a_picture_that_was_deleted_makes_another_answer_of_the_latest(client):
    picture = client.post("/v1/inspections", data=PHOTO).get_json()["picture"]
    known = {"If-None-Match": client.get("/v1/inspections/latest").headers["ETag"]}
    client.application.extensions["services"].inspected.delete(picture)

    assert client.get("/v1/inspections/latest", headers=known).get_json()["links"] == {"picture": None, "drawn": None}
