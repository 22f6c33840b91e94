"""OpenAPI is made from the code; here it is held to it. Every other test of this folder helps: see conftest."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import Mock

import pytest
from flask import Blueprint
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr

from api import VERSION, errors, predict, problems
from api.app import create_app
from api.openapi.document import NOT_OPERATIONS, build, routes, status_of
from api.openapi.error_examples import DETAIL
from api.openapi.operation import operation_of
from api.services import Services
from api.settings import Settings
from contract import errors as contract_errors
from tests.support.conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

ADMIN_KEY = "the-admin-key-of-this-test"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
ROOT = Path(__file__).parents[2]
PICTURE = (ROOT / "tests" / "pictures" / "chelsea.jpg").read_bytes()

# What the parts that the views work with may raise, as their docstrings say. A new part needs its lines here.
_SOON = 2
NOT_NOW: list[Exception] = [errors.Overloaded("-", _SOON), errors.NoWorker("-", _SOON), errors.BackendDown("-", _SOON)]
RAISED_BY: dict[str, list[Exception]] = {
    "store.read": [contract_errors.PictureNotFound("-"), ValueError("-")],
    "store.check_writable": [contract_errors.BackendDown("-")],
    "queue.ping": [contract_errors.BackendDown("-")],
    "queue.depth": [contract_errors.BackendDown("-")],
    "live_workers.workers": [contract_errors.BackendDown("-"), errors.NoWorker("-", _SOON)],
    "inference.admit": NOT_NOW,
    "inference.classify": [
        *NOT_NOW,
        errors.Undecodable("-"),
        errors.TooLarge("-"),
        errors.DeadlineExceeded("-"),
        errors.WorkerFault("-"),
    ],
    "inference.classify_all": [errors.Overloaded("-", _SOON)],
    "feedback.append": [errors.BackendDown("-", _SOON)],
    "labels.current": [errors.NoWorker("-", _SOON), errors.BackendDown("-", _SOON)],
    "reported.read": [contract_errors.PictureNotFound("-"), ValueError("-")],
    "desk.admit": NOT_NOW,
    "desk.accept": [*NOT_NOW[1:], errors.KeyReused("-")],
    "desk.read": [errors.JobNotFound("-"), errors.BackendDown("-", _SOON)],
    "desk.cancel": [errors.JobNotFound("-"), errors.JobEnded("-"), errors.BackendDown("-", _SOON)],
}
TROUBLES = [(act, error) for act, raised in RAISED_BY.items() for error in raised]


def application(settings: Settings, act: str = "", error: Exception | None = None) -> Flask:
    """The application upon parts that do nothing, but for ``act``, a part and its method, which raises ``error``."""
    parts = Mock(**({f"{act}.side_effect": error} if act else {}))
    return create_app(
        Services(**{field.name: getattr(parts, field.name) for field in fields(Services)} | {"settings": settings})
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        upload_dir=tmp_path / "uploads", feedback_dir=tmp_path / "feedback", admin_api_key=SecretStr(ADMIN_KEY)
    )


@pytest.fixture
def app(settings: Settings) -> Flask:
    return application(settings)


@pytest.fixture
def document(app: Flask, settings: Settings) -> dict[str, Any]:
    return build(app, settings)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


# Nothing is left out


def test_every_route_is_documented(app):
    """A route without an operation is one that only its author knows of."""
    undocumented = [f"{method} {rule.rule}" for rule, method, view in routes(app) if operation_of(view) is None]

    assert undocumented == []


def test_what_is_not_documented_are_files_that_pages_load(app):
    """The list of exceptions may not grow in silence."""
    assert {"static", "reference.asset"} == NOT_OPERATIONS
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= NOT_OPERATIONS


def test_a_route_without_an_operation_ends_the_making_of_the_document(app, settings):
    stray = Blueprint("stray", __name__)
    stray.add_url_rule("/stray", view_func=lambda: "")
    app.register_blueprint(stray)

    with pytest.raises(LookupError, match="GET /stray has no operation"):
        build(app, settings)


def test_every_error_has_an_example():
    assert set(DETAIL) == set(problems.STATUS)


def test_every_part_that_views_work_with_is_tried_below():
    assert {act.partition(".")[0] for act in RAISED_BY} == {field.name for field in fields(Services)} - {"settings"}


@pytest.mark.parametrize(
    ("act", "error"), TROUBLES, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_whatever_a_part_raises_ends_in_a_documented_status(settings, act, error, caplog):
    """The table of errors says what an error becomes; here each is raised under each route, and none is a bug."""
    app = application(settings, act, error)
    with app.test_client() as client:
        for rule, method, _ in routes(app):
            for accept in ("application/json", "text/html"):
                data = {"file": (BytesIO(PICTURE), "cat.jpg"), "comment": "wrong"} if method == "POST" else None
                path = app.url_map.bind("here").build(rule.endpoint, dict.fromkeys(rule.arguments, "0" * 64))
                client.open(path, method=method, data=data, headers=AS_ADMIN | {"Accept": accept})  # conftest compares

    assert [record.getMessage() for record in caplog.records if record.exc_info and record.exc_info[1] is error] == []


# What is said is so


def test_the_document_is_valid_openapi(document):
    assert list(OpenAPIV31SpecValidator(cast("Any", document)).iter_errors()) == []


def test_every_example_fits_its_schema(document):
    """Readers copy examples."""
    conformance = Conformance(document)
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers = {name: str(header["example"]) for name, header in answer.get("headers", {}).items()}
            for media_type, content in answer.get("content", {}).items():
                named = [document["components"]["examples"][name]["value"] for name in content.get("examples", {})]
                for example in [*named, *([content["example"]] if "example" in content else [])]:
                    conformance.check(
                        method.upper(),
                        path,
                        int(status),
                        {**headers, "Content-Type": media_type},
                        json.dumps(example).encode(),
                    )


def test_every_json_answer_has_an_example(document):
    without = [
        f"{method} {path} {status}"
        for path, method, operation in operations(document)
        for status, answer in operation["responses"].items()
        for media_type, content in answer.get("content", {}).items()
        if media_type.endswith("json") and not {"example", "examples"} & set(content)
    ]

    assert without == []


@pytest.mark.parametrize("kind", list(problems.STATUS), ids=lambda kind: kind.__name__)
def test_the_errors_of_an_operation_stand_under_the_statuses_of_the_one_table(document, kind):
    """No error is told of under another status than it is answered with."""
    found = {
        status
        for *_, operation in operations(document)
        for status, answer in operation["responses"].items()
        for content in answer.get("content", {}).values()
        if kind.__name__ in content.get("examples", {})
    }

    assert found <= {str(status_of(kind).value)}


def test_bounds_are_those_of_the_settings(settings):
    """An operator who raises TOP_K_MAX changes what clients may ask for."""
    app = application(Settings(**{**settings.model_dump(), "top_k_max": 42, "top_k": 1}))
    document = build(app, app.extensions["services"].settings)

    top_k, *_ = document["paths"]["/predict"]["post"]["parameters"]
    assert top_k["schema"]["maximum"] == 42
    assert "x-maximum" not in json.dumps(document)


def test_the_version_is_the_projects():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_documenting_costs_a_request_nothing(app):
    """A decorator that wraps would be paid for by every request."""
    assert app.view_functions["predict.predict"] is predict.predict
    assert not hasattr(predict.predict, "__wrapped__")


# How it is served


def test_the_document_is_served_and_kept(app, settings):
    client = app.test_client()
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.get_json() == json.loads(json.dumps(build(app, settings)))
    assert again.status_code == 304
