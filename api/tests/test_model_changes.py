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
    from flask import Flask
    from flask.testing import FlaskClient

ADMIN = {"X-API-Key": "the operator's key", "Accept": "application/json"}
MOVED = Moved(ModelVersion("lite", "2"), ("d" * 64,), ModelVersion("lite", "1"), workers=3)
ROUTES = ("/reload", "/admin/reload")
BIG = "x" * 70_000
AS_JSON: dict[str, Any] = {"content_type": "application/json"}
NO_NAME = "model must be a model's name, without a version"
NO_OBJECT, NO_PATH = "the body is no JSON object", "path must be a bundle's below the models' folder"


@pytest.fixture(scope="module")
def application_and_parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Flask, MagicMock]:
    """Without a service behind it."""
    folder = tmp_path_factory.mktemp("operated")
    keys = folder / "keys"
    replace_line(keys, "root", line_of(Key("root", digest_of(ADMIN["X-API-Key"]), frozenset({Scope.ADMIN}))))
    replace_line(keys, "user", line_of(Key("user", digest_of("a user's key"), frozenset(set(Scope) - {Scope.ADMIN}))))
    settings = Settings(
        upload_dir=folder / "uploads", copies_dir=folder / "copies", feedback_dir=folder, api_keys_file=keys
    )
    parts = MagicMock()
    return application(settings, parts), parts


@pytest.fixture
def parts(application_and_parts: tuple[Flask, MagicMock]) -> MagicMock:
    """Of the application, which nobody has called yet."""
    _, parts = application_and_parts
    parts.reset_mock(return_value=True, side_effect=True)
    return parts


@pytest.fixture
def changes(parts: MagicMock) -> MagicMock:
    changes: MagicMock = parts.model_changes
    changes.reload.return_value = changes.rollback.return_value = changes.promote.return_value = MOVED
    return changes


@pytest.fixture
def client(application_and_parts: tuple[Flask, MagicMock]) -> FlaskClient:
    return application_and_parts[0].test_client()


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
        ({"json": {"model": "lite@2"}}, 400, NO_NAME),
        ({"json": {"model": "../lite"}}, 400, NO_NAME),
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


def of_candidates(method: str, rest: str = "", name: str = "lite") -> tuple[str, str]:
    return method, f"/admin/models/{name}/candidate{rest}"


EVERY_CHANGE = [
    *(("POST", route) for route in ROUTES),
    ("POST", "/admin/models/lite"),
    ("POST", "/admin/models/lite/rollback"),
    ("POST", "/admin/models/lite/promote"),
    of_candidates("PUT"),
    of_candidates("DELETE"),
    of_candidates("POST", "/check"),
]
of_every_change = pytest.mark.parametrize("route", EVERY_CHANGE, ids=" ".join)


@of_every_change
@pytest.mark.parametrize(("key", "status"), [(None, 401), ("a user's key", 403), ("a wrong key", 401)])
def test_only_the_operators_key_changes_a_model(client, parts, route, key, status):
    method, path = route
    answer = client.open(path, method=method, headers={"X-API-Key": key} if key else {})

    assert answer.status_code == status
    assert parts.model_changes.mock_calls == []
    assert parts.check_runner.mock_calls == []


@of_every_change
def test_nothing_is_changed_where_no_key_opens_it(tmp_path, route):
    """A service without keys is for everybody; which model it has is for its operator."""
    settings = Settings(upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies", feedback_dir=tmp_path)
    client = application(settings, MagicMock()).test_client()
    method, path = route

    assert client.open(path, method=method).status_code == 403


@pytest.mark.parametrize(("sent", "kept"), [(" it is \n urgent", "it is urgent"), ("x" * 400, "x" * 300)])
def test_a_reason_is_recorded_in_one_line(client, changes, sent, kept):
    changes.promote.return_value = MOVED
    client.post("/admin/models/lite/promote", headers=ADMIN, json={"force": sent})

    changes.promote.assert_called_once_with("lite", "root", force=kept)


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


@pytest.mark.parametrize("name", ["a b", "lite@2", "..", "-lite", "lite%00", "%ff", "x" * 65])
@pytest.mark.parametrize("route", EVERY_CHANGE[2:], ids=" ".join)
def test_a_name_that_can_be_none_changes_nothing(client, parts, route, name):
    method, path = route
    answer = client.open(path.replace("lite", name), method=method, headers=ADMIN)

    assert answer.status_code == 400
    assert answer.get_json()["detail"] == NO_NAME
    assert parts.model_changes.mock_calls == []
    assert parts.check_runner.mock_calls == []


@pytest.mark.parametrize("field", ["share", "shadow"])
@pytest.mark.parametrize("how", ["json", "data", "query_string"])
@pytest.mark.parametrize(
    "value", [-1, 101, 1000, 10**3000, 1.5, 10.0, float("nan"), float("inf"), "half", "", " 5", "5%", "+5", "5\n", "²"]
)
def test_a_part_that_is_no_whole_number_of_per_cent_is_refused(client, changes, field, how, value):
    answer = client.open("/admin/models/lite/candidate", method="PUT", headers=ADMIN, **{how: {field: value}})

    assert answer.status_code == 400
    assert answer.get_json()["detail"] == f"{field} must be a whole number from 0 to 100, in per cent"
    changes.set_candidate.assert_not_called()


@pytest.mark.parametrize("field", ["version", "path", "share", "shadow", "force"])
@pytest.mark.parametrize("value", [True, False, [5], {}])
def test_what_is_neither_a_text_nor_a_number_is_no_field(client, changes, field, value):
    """A ``true`` is no share of 1%, and a ``false`` no reason."""
    method, path = ("POST", "/admin/models/lite/promote") if field == "force" else of_candidates("PUT")
    answer = client.open(path, method=method, headers=ADMIN, json={field: value})

    assert answer.status_code == 400
    assert answer.get_json()["detail"] == f"the field {field!r} is neither a text nor a number"
    assert changes.mock_calls == []


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"path": "../lite"}, NO_PATH),
        ({"path": "/models/lite"}, NO_PATH),
        ({"path": "lite/"}, NO_PATH),
        ({"path": "lite//2"}, NO_PATH),
        ({"path": "lite/./2"}, NO_PATH),
        ({"path": "lite\n"}, NO_PATH),
        ({"path": "lite\0"}, NO_PATH),
        ({"path": "\ud800"}, NO_PATH),
        ({"path": 1.5e300}, NO_PATH),
        ({"version": "../2"}, "version must be that of a bundle"),
        ({"version": "lite@2"}, "version must be that of a bundle"),
        ({"version": "2\0"}, "version must be that of a bundle"),
        ({"version": "x" * 33}, "version must be that of a bundle"),
    ],
)
def test_a_candidate_that_can_be_none_is_refused_before_any_worker_hears_of_it(client, changes, fields, detail):
    answer = client.open("/admin/models/lite/candidate", method="PUT", headers=ADMIN, json=fields)

    assert answer.status_code == 400
    assert detail in answer.get_json()["detail"]
    changes.set_candidate.assert_not_called()


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        "a\0b",
        "a\x1b[2Jb",
        "a\N{ZERO WIDTH SPACE}b",
        0,
        1,
        "false",
        "True",
        "no",
        "YES",
        "off",
        "null",
        "-",
        "?!",
    ],
)
def test_what_says_nothing_is_no_reason_to_promote(client, changes, value):
    """Whoever sends ``force=false`` does not mean to force anything."""
    answer = client.post("/admin/models/lite/promote", headers=ADMIN, json={"force": value})

    assert answer.status_code == 400
    assert answer.get_json()["detail"].startswith("force must say in words why")
    changes.promote.assert_not_called()


@pytest.mark.parametrize("sent", [{}, {"json": {}}, {"json": {"force": None}}, {"json": {"force": " \n"}}])
def test_without_a_reason_nothing_is_forced(client, changes, sent):
    assert client.post("/admin/models/lite/promote", headers=ADMIN, **sent).status_code == 200
    changes.promote.assert_called_once_with("lite", "root", force="")


@pytest.mark.parametrize("generation", ["", "-1", "1.0", "two", "²", "1" * 5_000])
def test_a_confirmation_that_does_not_say_what_was_seen_changes_nothing(client, changes, generation):
    form = {"action": "reload", "confirmed": "yes", "generation": generation}
    answer = client.post("/admin/models/lite", headers=ADMIN, data=form)

    assert answer.status_code == 400
    assert answer.get_json()["detail"].startswith("generation must be that of the model's state")
    assert changes.mock_calls == []
