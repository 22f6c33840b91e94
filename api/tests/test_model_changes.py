"""What operators ask for when they change which version of a model answers, as HTTP brings it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from api.core.errors import ModelNotChanged
from api.core.model_changes import Moved
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.settings import Settings
from api.tests.test_openapi import application
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

ADMIN = {"X-API-Key": "the operator's key"}
MOVED = Moved(ModelVersion("lite", "2"), ("d" * 64,), ModelVersion("lite", "1"), workers=3)
ROUTES = ("/reload", "/admin/reload")
BIG = "x" * 70_000
AS_JSON: dict[str, Any] = {"content_type": "application/json"}
NO_OBJECT, NO_PATH = "the body is no JSON object", "path must be a bundle's below the models' folder"


@pytest.fixture
def changes() -> MagicMock:
    changes = MagicMock()
    changes.reload.return_value = changes.rollback.return_value = MOVED
    return changes


@pytest.fixture
def client(tmp_path: Path, changes: MagicMock) -> FlaskClient:
    keys = tmp_path / "keys"
    replace_line(keys, "root", line_of(Key("root", digest_of(ADMIN["X-API-Key"]), frozenset({Scope.ADMIN}))))
    replace_line(keys, "user", line_of(Key("user", digest_of("a user's key"), frozenset(set(Scope) - {Scope.ADMIN}))))
    settings = Settings(
        upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies", feedback_dir=tmp_path, api_keys_file=keys
    )
    parts = MagicMock()
    parts.model_changes = changes
    return application(settings, parts).test_client()


@pytest.mark.parametrize("route", ROUTES)
def test_a_reload_is_told_in_the_words_of_the_systems_that_this_one_replaces(client, changes, route):
    """Their clients compare the message; what else there is to know stands beside it."""
    answer = client.post(route, headers=ADMIN, json={"model": "lite", "path": "mine/lite-2"})

    assert answer.status_code == 200
    assert answer.get_json() == {
        "message": "Model reloaded successfully",
        "model": "lite",
        "version": "2",
        "digests": ["d" * 64],
        "previous": "1",
        "workers": 3,
    }
    changes.reload.assert_called_once_with("lite", "mine/lite-2", "root")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ({}, (None, None)),
        (AS_JSON, (None, None)),
        ({"json": {}}, (None, None)),
        ({"json": {"model": None, "path": "", "colour": "blue"}}, (None, None)),
        ({"json": {"model": 2, "path": "lite"}}, ("2", "lite")),
        ({"data": {"model": "lite"}}, ("lite", None)),
        ({"data": {"path": "lite"}, "content_type": "multipart/form-data"}, (None, "lite")),
        ({"query_string": {"model": "lite", "path": "a/b"}}, ("lite", "a/b")),
    ],
    ids=str,
)
def test_what_is_asked_for_may_come_as_json_as_a_form_or_not_at_all(client, changes, route, sent, asked):
    """Without a model it is the default, and without a path the newest version."""
    assert client.post(route, headers=ADMIN, **sent).status_code == 200
    changes.reload.assert_called_once_with(*asked, "root")


@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        ({"json": ["lite"]}, 400, NO_OBJECT),
        ({"data": "{", **AS_JSON}, 400, NO_OBJECT),
        ({"data": b"\xff\xfe", **AS_JSON}, 400, NO_OBJECT),
        ({"data": "[" * 60_000, **AS_JSON}, 400, NO_OBJECT),
        ({"data": '{"model": ' + "9" * 5_000 + "}", **AS_JSON}, 400, NO_OBJECT),
        ({"json": {"path": ["lite"]}}, 400, "the field 'path' is neither a text nor a number"),
        ({"json": {"model": True}}, 400, "the field 'model' is neither a text nor a number"),
        ({"json": {"path": BIG}}, 413, "at most 64 kB"),
        ({"data": {"path": BIG}}, 413, "at most 64 kB"),
        ({"data": {"path": BIG}, "content_type": "multipart/form-data"}, 413, "at most 64 kB"),
        ({"json": {"model": "lite@2"}}, 400, "model must be a model's name, without a version"),
        ({"json": {"model": "../lite"}}, 400, "model must be a model's name, without a version"),
        ({"json": {"path": "../lite"}}, 400, NO_PATH),
        ({"json": {"path": "/etc"}}, 400, NO_PATH),
        ({"json": {"path": "lite/../../etc"}}, 400, NO_PATH),
        ({"json": {"path": ".hidden"}}, 400, NO_PATH),
        ({"json": {"path": "lite\0"}}, 400, NO_PATH),
        ({"json": {"path": "x" * 201}}, 400, NO_PATH),
        ({"data": {"model": "lite", "version": "2"}}, 400, "a reload takes the path of a bundle"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_can_not_be_meant_is_refused_before_any_worker_hears_of_it(client, changes, sent, status, detail):
    answer = client.post("/admin/reload", headers=ADMIN, **sent)

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert detail in answer.get_json()["detail"]
    changes.reload.assert_not_called()


@pytest.mark.parametrize("route", [*ROUTES, "/admin/models/lite/rollback"])
@pytest.mark.parametrize(("key", "status"), [(None, 401), ("a user's key", 403), ("a wrong key", 401)])
def test_only_the_operators_key_changes_a_model(client, changes, route, key, status):
    answer = client.post(route, headers={"X-API-Key": key} if key else {})

    assert answer.status_code == status
    assert changes.mock_calls == []


@pytest.mark.parametrize("route", [*ROUTES, "/admin/models/lite/rollback"])
def test_nothing_is_changed_where_no_key_opens_it(tmp_path, route):
    """A service without keys is for everybody; which model it has is for its operator."""
    settings = Settings(upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies", feedback_dir=tmp_path)
    client = application(settings, MagicMock()).test_client()

    assert client.post(route).status_code == 403


def test_a_refusal_is_told_as_it_is(client, changes):
    changes.reload.side_effect = ModelNotChanged("worker 1 on a refuses: labels.txt has another checksum")
    answer = client.post("/reload", headers=ADMIN)

    assert answer.status_code == 409
    assert answer.get_json()["detail"] == "worker 1 on a refuses: labels.txt has another checksum"


def test_a_rollback_names_the_version_before(client, changes):
    answer = client.post("/admin/models/lite/rollback", headers=ADMIN)

    assert answer.status_code == 200
    assert answer.get_json()["message"] == "Model rolled back"
    assert (answer.get_json()["version"], answer.get_json()["previous"]) == ("2", "1")
    changes.rollback.assert_called_once_with("lite", "root")


def test_a_name_that_can_be_none_is_not_rolled_back(client, changes):
    answer = client.post("/admin/models/a b/rollback", headers=ADMIN)

    assert answer.status_code == 400
    changes.rollback.assert_not_called()
