"""``POST /v1/inspections`` and ``GET /v1/patterns``, with a detector that sees what the test says."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.app import create_app
from api.core.errors import UnknownModel
from api.core.inference import Answer
from api.core.labels import LabelList, ObjectBounds
from api.core.patterns import Patterns
from api.services import Services
from api.settings import Settings
from contract.image_store import ImageStore
from contract.messages import Box, DetectedObject, Detection, Timings
from contract.model_version import ModelVersion
from contract.patterns.pattern import BadPattern
from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from api.core.client import Client
    from api.core.inference import Asked, Inference
    from api.core.labels import LabelLookup
    from contract.model_task import ModelTask
    from contract.model_version import WantedModel

PHOTO = odd.CHELSEA.read_bytes()
BRACKET = """\
left-hand:
  - {label: plate, inner: [0.2, 0.2, 0.8, 0.8], outer: [0.1, 0.1, 0.9, 0.9]}
  - {label: bolt, inner: [0.4, 0.4, 0.5, 0.5], outer: [0.3, 0.3, 0.6, 0.6]}
right-hand:
  - {class_id: 1, inner: [0.85, 0.4, 0.95, 0.5], outer: [0.8, 0.3, 1, 0.6]}
"""
PLATE = DetectedObject("plate", 0.9, 0, Box(100, 50, 540, 270))
BOLT = DetectedObject("bolt", 0.8, 1, Box(230, 110, 330, 170))
MOVED = replace(BOLT, box=Box(280, 110, 400, 170))


class Detector:
    """Sees ``objects`` in every picture."""

    def __init__(self, store: ImageStore) -> None:
        self.store = store
        self.objects: tuple[DetectedObject, ...] = (PLATE, BOLT)
        self.labels: tuple[str, ...] = ("plate", "bolt")
        self.answering: LabelList | None = None  # another bundle than that of "d" * 64
        self.fallback = False

    def admit(self, _task: ModelTask, _model: WantedModel | None = None) -> None:
        """Never busy."""

    def infer(self, image: bytes, _client: Client, _asked: Asked[Detection]) -> Answer[Detection]:
        found = Detection("parts", "d" * 64, self.objects, 640, 320, Timings(3.0, 12.0))
        if self.answering is not None:
            by = self.answering
            found = replace(found, model=by.model.name, version=by.model.version, digest=by.digest)
        return Answer(self.store.put(image), found, "miss", waited_ms=25.0, fallback=self.fallback)

    @contextmanager
    def answered(self, image: bytes, client: Client, asked: Asked[Detection]) -> Iterator[Answer[Detection]]:
        yield self.infer(image, client, asked)

    def of(self, _model: WantedModel | None, _task: ModelTask) -> LabelList:
        return LabelList(ModelVersion("parts"), "d" * 64, self.labels, ObjectBounds(0.1, 100))

    def of_answer(self, model: ModelVersion, digest: str) -> LabelList:
        assert self.answering is not None
        assert (model, digest) == (self.answering.model, self.answering.digest)
        return self.answering


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
def services(detector: Detector, folder: Path, tmp_path: Path) -> Services:
    return services_of(detector, folder, tmp_path)


def services_of(detector: Detector, folder: Path, place: Path, **settings: Any) -> Services:
    places: dict[str, Any] = {
        "upload_dir": place / "uploads",
        "feedback_dir": place / "feedback",
        "pattern_dir": folder,
    }
    return replace(
        Services.connect(Settings(**places, **settings)),
        inference=cast("Inference", detector),
        labels=cast("LabelLookup", detector),
    )


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


def inspect(client: FlaskClient, **fields: str) -> TestResponse:
    return client.post("/v1/inspections", data={"file": (io.BytesIO(PHOTO), "part.jpg"), **fields})


def answered(client: FlaskClient, **fields: str) -> dict[str, Any]:
    response = inspect(client, **fields)
    assert response.status_code == 200, response.text
    return cast("dict[str, Any]", response.get_json())


# Patterns


def test_the_patterns_are_listed_with_what_they_expect(client):
    (found,) = client.get("/v1/patterns").get_json()["pattern_sets"]

    assert found["key"] == "bracket"
    assert [pattern["name"] for pattern in found["patterns"]] == ["left-hand", "right-hand"]
    assert found["patterns"][1]["objects"] == [
        {
            "label": None,
            "class_id": 1,
            "inner": {"left": 0.85, "top": 0.4, "right": 0.95, "bottom": 0.5},
            "outer": {"left": 0.8, "top": 0.3, "right": 1.0, "bottom": 0.6},
        }
    ]


def test_a_wrong_pattern_ends_the_start_with_file_and_line(folder):
    (folder / "hinge.yaml").write_text("hinge:\n  - {label: bolt, inner: [0.4, 0.4, 0.5, 0.5]}\n")
    with pytest.raises(BadPattern, match=r"hinge\.yaml, line 2: .*outer is missing"):
        Patterns(folder)


def test_a_service_without_patterns_lists_none_and_inspects_nothing(services):
    client = create_app(replace(services, patterns=Patterns(None))).test_client()

    assert client.get("/v1/patterns").get_json() == {"pattern_sets": []}
    response = inspect(client)
    assert (response.status_code, response.get_json()["detail"]) == (
        404,
        "this service has no patterns: PATTERN_DIR is not set, or empty",
    )


# Inspections


def test_a_part_with_all_that_is_expected_is_good(client):
    body = answered(client)

    assert (body["decision"], body["pattern"], body["best_pattern"]) == (True, "bracket", "left-hand")
    assert [finding["state"] for finding in body["expected"]] == ["found", "found"]
    assert (body["reasons"], body["surplus"]) == ([], [])
    assert body["image"] == {"width": 640, "height": 320}
    assert [found["label"] for found in body["detections"]] == ["plate", "bolt"]


def test_a_pattern_of_one_object_can_be_good(client, detector):
    """The replaced system wants two at least."""
    detector.objects = (replace(BOLT, box=Box(530, 110, 620, 170)),)
    body = answered(client)

    assert (body["decision"], body["best_pattern"]) == (True, "right-hand")


def test_what_is_out_of_place_is_told_by_how_much(client, detector):
    detector.objects = (PLATE, MOVED)
    body = answered(client)

    assert body["decision"] is False
    assert body["expected"][1] == {
        "label": "bolt",
        "class_id": None,
        "state": "out of place",
        "detection": 1,
        "offset": {"left": 0.0375, "top": 0.0, "right": 0.025, "bottom": 0.0},
        "outer": {"left": 0.3, "top": 0.3, "right": 0.6, "bottom": 0.6},
    }
    assert "object 2 (bolt) is out of place" in body["reasons"][0]


def test_what_is_missing_and_what_nobody_expects_are_told(client, detector):
    detector.objects = (PLATE, replace(PLATE, score=0.6))
    body = answered(client)

    assert body["expected"][1]["state"] == "missing"
    assert (body["expected"][1]["detection"], body["expected"][1]["offset"]) == (None, None)
    assert body["surplus"] == [1]


@pytest.mark.parametrize(
    ("fields", "decision"), [({}, False), ({"min_score": "0.4"}, True), ({"min_score": "0.46"}, False)]
)
def test_objects_below_the_least_score_do_not_count(client, detector, fields, decision):
    """Which is 0.5 unless the request says another."""
    detector.objects = (PLATE, replace(BOLT, score=0.45))
    body = answered(client, **fields)

    assert body["decision"] is decision
    assert len(body["detections"]) == 1 + decision


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"pattern": "braket"}, 404, "there is no pattern 'braket'; there are bracket"),
        ({"min_score": "0.05"}, 400, "min_score must be a number from 0.1 to 1: below that parts@1 has no answers"),
        ({"strict": "perhaps"}, 400, "strict must be true or false"),
    ],
)
def test_wrong_parameters_are_refused(client, fields, status, detail):
    response = inspect(client, **fields)

    assert (response.status_code, response.get_json()["detail"]) == (status, detail)


def test_which_pattern_is_meant_must_be_said_if_there_are_several(services, folder):
    (folder / "hinge.yaml").write_text(BRACKET)
    client = create_app(replace(services, patterns=Patterns(folder))).test_client()

    assert inspect(client).get_json()["detail"] == "pattern must be sent; there are bracket, hinge"
    assert answered(client, pattern="hinge")["pattern"] == "hinge"


def test_a_pattern_that_the_model_does_not_know_the_classes_of_is_refused(client, detector):
    detector.labels = ("plate", "bolts")
    response = inspect(client)

    assert response.status_code == 409
    assert response.get_json()["detail"] == (
        "this pattern does not fit parts@1: bracket: left-hand, object 2: the model has no label 'bolt'; "
        "'bolts' may be meant"
    )


NEXT_VERSION = LabelList(ModelVersion("parts", "2"), "e" * 64, ("plate", "bolt", "nut"), ObjectBounds(0.1, 100))
NO_BOLT = "left-hand, object 2: the model has no label 'bolt'; "


@pytest.mark.parametrize(
    ("answering", "detail"),
    [
        (
            replace(NEXT_VERSION, labels=("plate", "bolts")),
            f"this pattern does not fit parts@2: bracket: {NO_BOLT}'bolts' may be meant",
        ),
        (
            replace(NEXT_VERSION, labels=("bolt", "plate")),
            "this pattern does not fit parts@2: its class 1 is 'plate', and not 'bolt' as that of parts@1",
        ),
        (
            replace(NEXT_VERSION, objects=ObjectBounds(0.6, 100)),
            "parts@2 has no answers below 0.6, and objects count from 0.5 on",
        ),
    ],
)
def test_no_decision_is_made_of_what_a_version_with_other_classes_has_found(client, detector, answering, detail):
    """As a candidate, or a version that has become current since the request was checked."""
    detector.answering = answering
    response = inspect(client)

    assert (response.status_code, response.get_json()["detail"]) == (409, detail)
    assert client.get("/v1/inspections").get_json()["inspections"] == []


def test_another_version_that_knows_the_same_classes_decides(client, detector):
    detector.answering = NEXT_VERSION
    body = answered(client)

    assert (body["decision"], body["model"], body["digest"]) == (True, "parts@2", "e" * 64)


def test_a_version_that_answers_with_as_much_decides_however_little_is_asked_for(client, detector):
    """Of the replaced system's clients, some ask for objects that no version answers with."""
    detector.answering = NEXT_VERSION

    assert client.post("/main?min_score=0.01&return_options=1", data=PHOTO).get_json() == {"decision": True}


def test_a_fallback_of_other_classes_decides_nothing_and_the_sender_may_try_again(client, detector):
    """The model that was asked for knows them, and is only busy."""
    detector.answering = LabelList(ModelVersion("quick"), "e" * 64, ("plate",), ObjectBounds(0.1, 100))
    detector.fallback = True
    response = inspect(client)

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert response.get_json()["detail"].startswith(
        "parts@1 has too much to do at the moment, and this pattern does not fit quick@1: "
    )


def test_inspections_are_counted_by_decision(client, detector):
    answered(client)
    detector.objects = ()
    answered(client)
    answered(client)

    lines = client.get("/metrics").text.splitlines()
    assert 'classifier_inspections_total{decision="good"} 1.0' in lines
    assert 'classifier_inspections_total{decision="bad"} 2.0' in lines


# Kept inspections

GOOD, BAD = (PLATE, BOLT), (PLATE,)


def inspect_each(client: FlaskClient, detector: Detector, *parts: tuple[DetectedObject, ...]) -> list[str]:
    """Their IDs; each is of a picture of its own."""
    ids = []
    for number, objects in enumerate(parts):
        detector.objects = objects
        response = client.post("/v1/inspections", data=PHOTO + bytes([number]))
        ids.append(response.get_json()["id"])
    return ids


def test_the_latest_inspection_is_what_its_sender_was_answered(client, detector):
    inspect_each(client, detector, GOOD, BAD)
    detector.objects = (PLATE, MOVED)
    sent = answered(client)
    latest = client.get("/v1/inspections/latest")

    assert latest.get_json() == sent
    assert latest.headers["Cache-Control"] == "no-store"
    assert (sent["model"], sent["digest"]) == ("parts@1", "d" * 64)
    assert client.get(sent["links"]["picture"]).data == PHOTO


def test_before_the_first_there_is_no_latest(client):
    assert client.get("/v1/inspections/latest").status_code == 404
    assert client.get("/v1/inspections").get_json() == {"inspections": [], "page": 1, "more": False}


def test_they_are_listed_newest_first_by_pages_and_filters(client, detector):
    ids = inspect_each(client, detector, *[GOOD, BAD, GOOD] * 20)
    first, second = (client.get(f"/v1/inspections?page={page}").get_json() for page in (1, 2))

    assert [entry["id"] for entry in first["inspections"] + second["inspections"]] == ids[::-1]
    assert (first["more"], second["more"]) == (True, False)
    bad = client.get("/v1/inspections?decision=false").get_json()["inspections"]
    assert [entry["id"] for entry in bad] == ids[1::3][::-1]
    assert client.get("/v1/inspections?pattern=hinge").get_json()["inspections"] == []
    assert client.get("/v1/inspections/latest?decision=false").get_json()["id"] == ids[-2]


def test_they_are_listed_by_time(client, detector):
    inspect_each(client, detector, GOOD)
    day = client.get("/v1/inspections/latest").get_json()["time"][:10]

    assert len(client.get(f"/v1/inspections?from={day}").get_json()["inspections"]) == 1
    assert len(client.get(f"/v1/inspections?to={day}").get_json()["inspections"]) == 1
    assert client.get(f"/v1/inspections?to={day}T00:00:00Z").get_json()["inspections"] == []
    assert client.get("/v1/inspections?from=2100-01-01T00:00:00Z").get_json()["inspections"] == []


@pytest.mark.parametrize("query", ["decision=perhaps", "from=yesterday", "to=2026-13-01", "page=0"])
@pytest.mark.parametrize("path", ["/v1/inspections", "/v1/inspections.csv", "/v1/inspections/latest"])
def test_a_wrong_filter_is_refused(client, path, query):
    if "page" not in query or path == "/v1/inspections":
        assert client.get(f"{path}?{query}").status_code == 400


def test_they_are_had_as_csv(client, detector):
    ids = inspect_each(client, detector, GOOD, BAD)
    header, bad, good = client.get("/v1/inspections.csv").text.splitlines()

    assert header == "time,id,pattern,best_pattern,decision,reasons,objects,model,digest,picture"
    assert f",{ids[1]},bracket,left-hand,bad,object 2 (bolt) is missing,1,parts@1," in bad
    assert f",{ids[0]},bracket,left-hand,good,,2,parts@1," in good


def test_a_table_that_can_not_be_read_is_an_error_and_no_empty_table(client, tmp_path):
    answered(client)
    log = tmp_path / "feedback" / "inspections" / "inspections.jsonl"
    log.unlink()
    log.symlink_to(log)

    assert client.get("/v1/inspections.csv").status_code == 503


def kept_pictures(client: FlaskClient) -> list[bool]:
    """Oldest first."""
    found = client.get("/v1/inspections").get_json()["inspections"]
    return [entry["links"]["picture"] is not None for entry in reversed(found)]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, [True, True, True, True, True]),
        ({"inspection_pictures_every": 3}, [True, False, True, False, True]),
        ({"inspection_pictures_every": 0}, [False, False, True, False, False]),
        ({"inspection_pictures_mb": 0}, [False] * 5),
        ({"store_uploads": "none"}, [False] * 5),
    ],
)
def test_pictures_are_kept_as_the_settings_say(detector, folder, tmp_path, settings, kept):
    """Of bad parts always, of good ones every so many-th; none where pictures are not stored."""
    client = create_app(services_of(detector, folder, tmp_path, **settings)).test_client()
    inspect_each(client, detector, GOOD, GOOD, BAD, GOOD, GOOD)

    assert kept_pictures(client) == kept


def test_a_deleted_picture_leaves_its_inspection(client, detector, services):
    detector.objects = BAD
    sent = answered(client)
    services.inspected.delete(sent["picture"])

    assert client.get(sent["links"]["picture"]).status_code == 404
    assert client.get("/v1/inspections/latest").get_json() == {**sent, "links": {"picture": None, "drawn": None}}


def test_what_no_disk_can_keep_is_decided_all_the_same(client, tmp_path):
    (tmp_path / "feedback").write_text("in the way")
    body = answered(client)

    assert (body["decision"], body["id"], body["links"]) == (True, None, {"picture": None, "drawn": None})


# The replaced system's routes


def test_inference_answers_in_the_replaced_systems_shape(client, detector):
    detector.objects = (replace(PLATE, box=Box(100.04, 50, 540.06, 270), score=0.91239),)
    response = client.post("/inference", data={"image": (io.BytesIO(PHOTO), "part.jpg", "image/jpeg")})

    assert response.get_json() == {"bboxes": [[100.0, 50, 540.1, 270]], "class_ids": [0], "scores": [0.912]}


def test_inference_refuses_what_calls_itself_no_picture(client):
    response = client.post("/inference", data={"image": (io.BytesIO(PHOTO), "part.jpg", "text/plain")})

    assert (response.status_code, response.get_json()["detail"]) == (400, "the picture's content type must be image/*")


PLATE_AND_BOLT = {"coordinates": [[0.15, 0.15, 0.85, 0.85], [0.35, 0.35, 0.55, 0.55]], "class_ids": [0, 1]}
ONE = {"own": [{"class_id": 0, "inner": [0.2, 0.2, 0.8, 0.8], "outer": [0.1, 0.1, 0.9, 0.9]}]}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, (True, "left-hand", [True, True])),
        ({"pattern_key": "bracket", "pattern": None}, (True, "left-hand", [True, True])),
        ({"class_ids": [0, 0]}, (False, "left-hand", [True, False])),
        ({"class_ids": [7, 7]}, (False, "", [])),
        ({"pattern": ONE}, (False, "own", [True])),
    ],
)
def test_check_pattern_judges_as_the_replaced_system_does(client, body, answer):
    """A pattern of one object is never good there."""
    found = client.post("/check-pattern", json={**PLATE_AND_BOLT, **body}).get_json()

    assert (found["decision"], found["pattern_name"], found["lg"]) == answer


@pytest.mark.parametrize(
    ("pattern", "status"), [(None, 503), ({"own": [{**ONE["own"][0], "class_id": 0}] * 2}, 200)], ids=["label", "index"]
)
def test_without_a_detector_labels_are_not_compared_and_indices_are(client, detector, monkeypatch, pattern, status):
    def of(_model: WantedModel | None, _task: ModelTask) -> LabelList:
        raise UnknownModel("there is no model for that")

    monkeypatch.setattr(detector, "of", of)
    response = client.post("/check-pattern", json={**PLATE_AND_BOLT, "pattern": pattern})

    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 503)


BOXES = (
    "coordinates must be a list of boxes: left, top, right and bottom, as fractions of the picture's width and height, "
    "-1 to 2"
)
CLASSES = "class_ids must be a list of whole numbers from 0 to 99999"
LENGTHS = "coordinates and class_ids must be of one length, 1000 at most"
NESTED: dict[str, Any] = {"own": []}
for _ in range(50):
    NESTED = {"own": [NESTED]}


def many(count: int) -> dict[str, Any]:
    return {"coordinates": [[0, 0, 1, 1]] * count, "class_ids": [0] * count}


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"coordinates": None}, 400, BOXES),
        ({"coordinates": {"0": [0, 0, 1, 1]}}, 400, BOXES),
        ({"coordinates": [[0, 0, 1]]}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, 1, 1]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, [1]]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, "1"]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, True]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, float("nan")]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, float("inf")]] * 2}, 400, BOXES),
        ({"coordinates": [[0, 0, 1, 10**400]] * 2}, 400, BOXES),
        ({"coordinates": [[100, 50, 540, 270]] * 2}, 400, BOXES),
        ({"class_ids": [0]}, 400, LENGTHS),
        (many(1001), 400, LENGTHS),
        ({"class_ids": ["0", "1"]}, 400, CLASSES),
        ({"class_ids": [0, 1.5]}, 400, CLASSES),
        ({"class_ids": [0, True]}, 400, CLASSES),
        ({"class_ids": [0, -1]}, 400, CLASSES),
        ({"class_ids": [0, 10**30]}, 400, CLASSES),
        ({"class_ids": [[0], [1]]}, 400, CLASSES),
        ({"pattern": {}}, 400, "pattern: it must name patterns, each with a list of objects"),
        ({"pattern": [[[]]]}, 400, "pattern: it must name patterns, each with a list of objects"),
        ({"pattern": False}, 400, "pattern: it must name patterns, each with a list of objects"),
        (
            {"pattern": NESTED},
            400,
            "pattern: own, object 1, own: nobody knows this field",
        ),
        (
            {"pattern": {f"{n}": ONE["own"] * 100 for n in range(2)}, **many(501)},
            400,
            "501 boxes and patterns with 200 objects are too many to compare: their product may be 100000",
        ),
        ({"pattern_key": 5}, 400, "pattern_key must be a text"),
        ({"pattern_key": ["bracket"]}, 400, "pattern_key must be a text"),
        ({"pattern_key": "hinge"}, 404, "there is no pattern 'hinge'; there are bracket"),
    ],
)
def test_check_pattern_says_what_is_wrong(client, body, status, detail):
    """Rather than to decide on what can't be meant: a box in pixels would be out of place, and its part bad."""
    response = client.post("/check-pattern", json={**PLATE_AND_BOLT, **body})

    assert (response.status_code, response.get_json()["detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b"", 400),
        (b"null", 400),
        (b"{" * 100_000, 400),
        (b"[" * 100_000, 400),
        (b'{"coordinates": [' + b"[0,0,1,1]," * 500_000, 413),
        (b'{"coordinates": [[0,0,1,' + b"9" * 5000 + b"]]}", 400),
        (b"\xff\xfe", 400),
    ],
)
def test_check_pattern_takes_no_other_body(client, body, status):
    assert client.post("/check-pattern", data=body).status_code == status


def test_check_pattern_spends_no_time_on_words_for_thousands_of_faults(client, monkeypatch):
    """Each would be held against all names of fields, while nobody else is served."""
    asked: list[str] = []
    monkeypatch.setattr("contract.patterns.fields.nearest", lambda word, _known: asked.append(word))
    wrong = {"own": [{f"field {number}": 0 for number in range(5000)}]}

    assert client.post("/check-pattern", json={**PLATE_AND_BOLT, "pattern": wrong}).status_code == 400
    assert len(asked) <= 20
