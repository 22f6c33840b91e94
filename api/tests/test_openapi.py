"""OpenAPI is written by hand; here it is compared with the code. All other tests of this folder help: see conftest."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from io import BytesIO
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import MagicMock

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import VERSION
from api.app import create_app
from api.core import errors as api_errors
from api.core.inference import Answer
from api.core.labels import ObjectBounds
from api.http.problems import STATUS
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.keys.keyring import Keyring
from api.openapi.document import load
from api.services import Services
from api.settings import Settings
from contract import errors
from contract.messages import Detection, Timings
from tests.support.conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.routing import Rule

KEY = "the-key-of-this-test"
ROOT = Path(__file__).parents[2]
FILES = {"static", "openapi.asset"}
PICTURE = (ROOT / "tests" / "pictures" / "chelsea.jpg").read_bytes()

# What the parts that the views use may raise, as their docstrings say. A new part needs its lines here.
NOT_NOW: list[Exception] = [api_errors.Overloaded("-"), api_errors.NoWorker("-"), errors.BackendDown("-")]
JOB: list[Exception] = [errors.JobNotFound("-"), errors.UnknownOutcome("-"), errors.BackendDown("-")]
CHANGE: list[Exception] = [*NOT_NOW[1:], api_errors.UnknownModel("-"), api_errors.ModelNotChanged("-")]
NOTHING = Detection("parts", "d" * 64, (), 451, 300, Timings(3.0, 12.0))
ANSWERED = [
    *NOT_NOW,
    api_errors.UnknownModel("-"),
    api_errors.OtherTask("-"),
    errors.OverShare("-"),
    errors.StoreFull("-"),
    api_errors.Undecodable("-"),
    api_errors.TooLarge("-"),
    errors.JobLost("-"),
    errors.PictureLost("-"),
    errors.DeadlineExceeded("-"),
    errors.WorkerFault("-"),
    errors.UnknownOutcome("-"),
    api_errors.ClientGone("-"),
    errors.PictureDeleted("-"),
]
SHOWN = [
    *NOT_NOW,
    errors.PictureNotFound("-"),
    errors.PictureDeleted("-"),
    errors.OverShare("-"),
    errors.StoreFull("-"),
    errors.JobLost("-"),
    errors.UnknownOutcome("-"),
    api_errors.Undecodable("-"),
    api_errors.ClientGone("-"),
]
RAISED_BY: dict[str, list[Exception]] = {
    "store.check_writable": [errors.BackendDown("-")],
    "queue.ping": [errors.BackendDown("-")],
    "queue.depth": [errors.BackendDown("-")],
    "live_workers.pool": [errors.BackendDown("-"), api_errors.NoWorker("-")],
    "body_room.body": [api_errors.Overloaded("-")],
    "inference.admit": [*NOT_NOW, api_errors.UnknownModel("-"), api_errors.OtherTask("-")],
    "inference.infer": ANSWERED,
    "inference.answered": ANSWERED,
    "inference.infer_all": [
        *NOT_NOW,
        api_errors.UnknownModel("-"),
        api_errors.OtherTask("-"),
        errors.OverShare("-"),
    ],
    "shown.open": SHOWN,
    "drawn.open": SHOWN,
    "drawn_inspections.open": SHOWN,
    "links.left_s": [api_errors.LinkNeeded("-"), api_errors.LinkExpired("-"), errors.BackendDown("-")],
    "links.sign": [errors.BackendDown("-")],
    "deletion.delete": [errors.BackendDown("-"), api_errors.NoWorker("-")],
    "models.all": [errors.BackendDown("-")],
    "models.of": [api_errors.UnknownModel("-"), errors.BackendDown("-")],
    "model_changes.reload": CHANGE,
    "model_changes.rollback": CHANGE,
    "model_changes.set_candidate": CHANGE,
    "model_changes.drop_candidate": CHANGE,
    "model_changes.promote": CHANGE,
    "model_reports.read": [errors.BackendDown("-")],
    "check_runner.begin": CHANGE,
    "check_runner.latest": [api_errors.CheckNotFound("-"), api_errors.UnknownModel("-"), errors.BackendDown("-")],
    "usage.account.return_value.admit": [api_errors.OverLimit("-")],
    "usage.account.return_value.received": [api_errors.OverLimit("-")],
    "usage_reports.today": [errors.BackendDown("-")],
    "wrong_key_rate.check": [api_errors.TooManyWrongKeys("-")],
    "async_inference.listed": [errors.BackendDown("-")],
    "feedback_rate.count": [errors.OverShare("-")],
    "feedback.append": [errors.BackendDown("-"), errors.StoreFull("-")],
    "labels.of": [api_errors.UnknownModel("-"), api_errors.NoWorker("-"), errors.BackendDown("-")],
    "patterns.of": [api_errors.UnknownPattern("-"), api_errors.PatternMismatch("-")],
    "camera.snapshot": [
        api_errors.NoCamera("-"),
        api_errors.CameraFailed("-", "unreachable"),
        api_errors.CameraTimeout("-"),
        errors.BackendDown("-"),
    ],
    "latest.open": [errors.BackendDown("-")],
    "inspections.newest_first": [errors.BackendDown("-")],
    "inspections.find": [errors.BackendDown("-")],
    "inspections.open_picture": [errors.PictureNotFound("-")],
    "reported.open": [errors.PictureNotFound("-")],
    "async_inference.admit": [*NOT_NOW, api_errors.UnknownModel("-")],
    "async_inference.task_of": [*NOT_NOW[1:], api_errors.UnknownModel("-")],
    "async_inference.create": [
        *NOT_NOW[1:],
        api_errors.UnknownModel("-"),
        api_errors.OtherTask("-"),
        errors.StoreFull("-"),
        errors.OverShare("-"),
        errors.KeyReused("-"),
        errors.UnknownOutcome("-"),
    ],
    "async_inference.read": JOB,
    "async_inference.cancel": [*JOB, errors.JobEnded("-")],
}
# What these raise, inference.infer does.
NOT_FOR_VIEWS = {"settings", "uploads", "retention", "keyring", "watch", "inspected"}
ANSWERED_OTHERWISE = {"queue.depth"}  # /health and /metrics say what they know
Request = tuple[str, str, str, str, bool]  # method, path, key, Accept, whether it has a picture
TROUBLES = [(act, error) for act, raised in RAISED_BY.items() for error in raised]


def application(settings: Settings, parts: MagicMock) -> Flask:
    """The application with parts that do nothing, but with real keys."""
    real = {"settings": settings, "keyring": Keyring(settings.api_keys_file)}
    return create_app(Services(**{field.name: getattr(parts, field.name) for field in fields(Services)} | real))


def settings_in(folder: Path) -> Settings:
    keys = folder / "keys"
    replace_line(keys, "all", line_of(Key("all", digest_of(KEY), frozenset(Scope))))
    return Settings(
        upload_dir=folder / "uploads",
        copies_dir=folder / "copies",
        feedback_dir=folder / "feedback",
        api_keys_file=keys,
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def app(settings: Settings) -> Flask:
    return application(settings, MagicMock())


@pytest.fixture
def document(settings: Settings) -> dict[str, Any]:
    return load(settings)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def examples(conformance: Conformance, content: dict[str, Any]) -> list[Any]:
    """The example values of a body."""
    named = [conformance.resolved(example)["value"] for example in content.get("examples", {}).values()]
    return [*named, *([content["example"]] if "example" in content else [])]


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Each route that OpenAPI has to describe, by path and method; the rest are files that pages load."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint not in FILES:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method


# Nothing is missing, and nothing is invented


def test_the_document_has_every_route_and_every_route_is_in_it(app, document):
    """A route that is not documented is one that only its author knows of; one that does not exist misleads."""
    there = {(re.sub("<([^>]+)>", r"{\1}", rule.rule), method.lower()) for rule, method in routes(app)}
    documented = {(path, method) for path, method, _ in operations(document)}

    assert documented == there


def test_every_error_has_an_example(document):
    """Under its own name, with the status that the table of errors gives it."""
    examples = document["components"]["examples"]
    shown = {name: examples[name]["value"]["status"] for name in examples if "status" in examples[name]["value"]}
    ours = {kind.__name__: status.value for kind, status in STATUS.items() if kind is not errors.JobLost}

    assert shown.items() >= ours.items()


def test_every_part_that_the_views_use_is_tried_below():
    assert {act.partition(".")[0] for act in RAISED_BY} == {field.name for field in fields(Services)} - NOT_FOR_VIEWS


class Troubled:
    """An application whose parts do nothing, until a test lets one raise an error."""

    def __init__(self, settings: Settings) -> None:
        self.parts = MagicMock()
        self.parts.labels.of.return_value.objects = ObjectBounds(0.1, 100)  # numbers that others are compared with
        answering = self.parts.inference.answered.return_value  # with what can be drawn
        answering.__enter__.return_value = Answer("0" * 64, NOTHING, "miss", waited_ms=25.0)
        self._app = application(settings, self.parts)
        self.concerned = self._concerned()

    def send(self, request: Request) -> int:
        """The answer's status; conftest compares the whole with the document."""
        method, path, key, accept, has_picture = request
        data = {"file": (BytesIO(PICTURE), "cat.jpg"), "comment": "wrong"} if has_picture else None
        with self._app.test_client() as client:
            headers = {"Authorization": f"Bearer {key}", "Accept": accept}
            return client.open(path, method=method, data=data, headers=headers).status_code

    def _concerned(self) -> dict[str, list[Request]]:
        """Of every route, asked by a program and by a person, with a key and with a wrong one: what calls a part.

        POST is tried with a picture, and without one, which a camera may take.
        """
        concerned: dict[str, list[Request]] = {act: [] for act in RAISED_BY}
        for rule, method in routes(self._app):
            path = self._app.url_map.bind("here").build(rule.endpoint, dict.fromkeys(rule.arguments, "0" * 64))
            path += "?expires=1&signature=x" if rule.endpoint == "pages.display" else ""
            accepts = ("application/json", "text/html", "image/png")
            for key, accept, has_picture in product((KEY, "wrong"), accepts, {method == "POST", False}):
                self.parts.reset_mock()
                self.send(request := (method, path, key, accept, has_picture))
                called = {name.replace("()", ".return_value") for name, _, _ in self.parts.mock_calls}
                for act in concerned.keys() & called:
                    concerned[act].append(request)
        return concerned


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Troubled:
    return Troubled(settings_in(tmp_path_factory.mktemp("troubled")))


@pytest.mark.parametrize(
    ("act", "error"), TROUBLES, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_whatever_a_part_raises_ends_in_a_documented_status(troubled, act, error, caplog, monkeypatch):
    """The table of errors says what an error becomes; here each is raised under each route that may meet it."""
    monkeypatch.setattr(attrgetter(act)(troubled.parts), "side_effect", error)
    seen = {troubled.send(request) for request in troubled.concerned[act]}

    assert STATUS[cast("Any", type(error))] in seen or act in ANSWERED_OTHERWISE
    assert [record.getMessage() for record in caplog.records if record.exc_info and record.exc_info[1] is error] == []


# The document is correct


def test_the_document_is_valid_openapi(document):
    assert list(OpenAPIV31SpecValidator(cast("Any", document)).iter_errors()) == []


def test_every_example_fits_its_schema(document):
    """Readers copy examples."""
    conformance = Conformance(document)
    for path, method, operation in operations(document):
        for status, referred in operation["responses"].items():
            answer = conformance.resolved(referred)
            headers = {name: conformance.resolved(header) for name, header in answer.get("headers", {}).items()}
            shown = {name: str(header["example"]) for name, header in headers.items()}
            for media_type, content in answer.get("content", {}).items():
                for example in examples(conformance, content):
                    conformance.check(
                        method.upper(),
                        path,
                        int(status),
                        {**shown, "Content-Type": media_type},
                        json.dumps(example).encode(),
                    )


def test_every_json_answer_has_an_example(document):
    conformance = Conformance(document)
    without = [
        f"{method} {path} {status}"
        for path, method, operation in operations(document)
        for status, answer in operation["responses"].items()
        for media_type, content in conformance.resolved(answer).get("content", {}).items()
        if media_type.endswith("json") and not examples(conformance, content)
    ]

    assert without == []


def test_bounds_are_those_of_the_settings(settings):
    """An operator who raises TOP_K_MAX changes what clients may ask for."""
    document = load(settings.model_copy(update={"top_k_max": 42, "max_batch_files": 7}))

    assert document["components"]["schemas"]["TopK"]["maximum"] == 42
    assert document["components"]["schemas"]["BatchForm"]["properties"]["files"]["maxItems"] == 7
    assert document["components"]["schemas"]["Base64List"]["maxItems"] == 7


def test_the_version_is_the_projects():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


# How it is served


def test_the_document_is_served_and_kept(app, settings):
    client = app.test_client()
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.get_json() == json.loads(json.dumps(load(settings)))
    assert again.status_code == 304
