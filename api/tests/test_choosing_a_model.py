"""``model`` in the form, in the query or in JSON: the whole application, with a worker that serves three versions."""

from __future__ import annotations

import io
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from urllib3 import encode_multipart_formdata

from contract import keys
from contract.model_version import ModelVersion
from contract.worker_registry import known_models, live_workers
from tests.support.scripted_worker import GIF, digest_of
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from tests.support.operated_site import OperatedSite
    from tests.support.workers import ScriptedWorkers

SERVED = "scripted,scripted@2,other@2026.1"
ROUTES = ("/predict", "/infer", "/infer/batch", "/", "/v1/jobs")
AS_JSON = {"Accept": "application/json"}
MEANT = [
    ("", "scripted@1"),
    ("scripted", "scripted@1"),
    ("scripted@1", "scripted@1"),
    ("scripted@2", "scripted@2"),
    ("other", "other@2026.1"),
    ("other@2026.1", "other@2026.1"),
]


@pytest.fixture
def workers(scripted_workers: ScriptedWorkers) -> ScriptedWorkers:
    scripted_workers.start(MODELS=SERVED)
    return scripted_workers


@pytest.fixture
def site(workers: ScriptedWorkers, open_site: Callable[..., OperatedSite]) -> OperatedSite:
    site = open_site(result_cache=True)
    names = {ModelVersion.from_key(key).name for key in known_models(workers.redis)}
    eventually(lambda: all(workers.redis.exists(keys.model(name)) for name in names), "each name means a version")
    return site


def send(site: OperatedSite, route: str, script: str = "tabby", *, where: str = "query", **fields: Any) -> TestResponse:
    """A picture, with ``fields`` in the query, the form, or JSON."""
    picture = GIF + script.encode()
    if where == "json":
        sent = fields | {"image": b64encode(picture).decode()}
        return site.client.post(route, json=sent, headers=AS_JSON)
    query, form = (fields, {}) if where == "query" else ({}, fields)
    body, content_type = encode_multipart_formdata({"file": ("photo.gif", picture), **form})
    return site.client.post(route, query_string=query, data=body, content_type=content_type, headers=AS_JSON)


def answered_by(site: OperatedSite, response: TestResponse) -> str:
    """The version that has answered, by all that the answer says of it."""
    if response.status_code == HTTPStatus.ACCEPTED:
        done = eventually(lambda: _result(site, response.headers["Location"]), "the job ends")
        model = ModelVersion(done["model"], done["version"])
        assert done["digest"] == digest_of(model)
        return str(model)
    assert response.status_code == HTTPStatus.OK, response.text
    name, digest = response.headers["X-Model"].split("@")
    model = ModelVersion(name, response.headers["X-Model-Version"])
    assert digest == digest_of(model)[:12]
    return str(model)


def _result(site: OperatedSite, address: str) -> Any:
    return site.client.get(address).get_json().get("result")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("where", ["query", "form", "json"])
def test_every_route_that_takes_pictures_takes_a_model(site, route, where):
    for asked, meant in MEANT:
        assert answered_by(site, send(site, route, f"{asked} {where}", where=where, model=asked)) == meant


def test_each_batch_was_of_one_version(site, workers):
    for asked, _ in MEANT[:5]:
        send(site, "/infer", f"cat-{asked}", model=asked)

    assert workers.batches() == [
        "cat-",
        "cat-scripted",
        "cat-scripted@1",
        "scripted@2: cat-scripted@2",
        "other@2026.1: cat-other",
    ]


def test_an_answer_that_is_known_is_known_of_its_own_version_only(site):
    """The same picture is another question to another network."""
    caches = [send(site, "/infer", model=model).headers["X-Cache"] for model in ("scripted", "scripted@2", "other")]
    again = [send(site, "/infer", model=model).headers["X-Cache"] for model in ("scripted@1", "scripted@2", "other")]

    assert caches == ["miss", "miss", "miss"]
    assert again == ["hit", "hit", "hit"]


def test_the_querys_model_counts_before_the_forms(site):
    form = {"file": (io.BytesIO(GIF + b"cat"), "photo.gif"), "model": "other"}

    assert answered_by(site, site.client.post("/infer?model=scripted@2", data=form)) == "scripted@2"


def test_the_operator_says_which_model_is_meant_by_who_names_none(workers, open_site):
    site = open_site(default_model="other")
    eventually(lambda: workers.redis.exists(keys.model("other")), "the name means a version")

    assert answered_by(site, send(site, "/infer")) == "other@2026.1"
    assert answered_by(site, send(site, "/v1/jobs")) == "other@2026.1"
    assert site.client.get("/labels").get_json()["model"] == "other"
    health = site.client.get("/health", headers=AS_JSON).get_json()
    assert (health["model"], health["model_version"]) == ("other", "2026.1")


@pytest.mark.parametrize("route", ROUTES[1:])
@pytest.mark.parametrize("where", ["query", "form"])
@pytest.mark.parametrize("asked", ["scripted@3", "nonsense", "other@1"])
def test_an_unknown_model_is_told_with_those_there_are(site, workers, route, where, asked):
    response = send(site, route, where=where, model=asked)

    assert response.status_code == HTTPStatus.NOT_FOUND
    assert response.get_json()["detail"] == (
        f"there is no model {asked}; there are other@2026.1, scripted@1, scripted@2"
    )
    assert workers.batches() == []


@pytest.mark.parametrize("route", ["/detect", "/detect/batch"])
def test_where_no_model_detects_a_detection_is_not_found(site, workers, route):
    response = send(site, route)

    assert response.status_code == HTTPStatus.NOT_FOUND
    assert response.get_json()["detail"] == (
        "there is no model for detection; there are other@2026.1, scripted@1, scripted@2"
    )
    assert workers.batches() == []


@pytest.mark.parametrize("where", ["query", "form"])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nonsense", "there is no model nonsense; there are other@2026.1, scripted@1, scripted@2"),
        ("a b", "model must be a model's name, or name@version, of letters, digits and . _ -"),
    ],
)
def test_predict_has_a_400_of_its_own_for_it(site, where, asked, said):
    """As for any fault of the input, in the query too."""
    response = send(site, "/predict", where=where, model=asked)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.get_json() == {"success": False, "prediction": None, "score": None}
    assert response.headers["X-Error"] == said


@pytest.mark.parametrize("route", [*ROUTES[1:], "/labels"])
@pytest.mark.parametrize("asked", ["a b", "scripted@", "@2", "scripted@2@3", "../scripted", "*", "a" * 65, "é"])
def test_what_can_be_no_name_is_refused(site, route, asked):
    if route == "/labels":
        response = site.client.get(route, query_string={"model": asked})
    else:
        response = send(site, route, model=asked)

    assert response.status_code == HTTPStatus.BAD_REQUEST
    assert response.get_json()["detail"].startswith("model must be a model's name, or name@version")


def test_a_version_whose_workers_are_gone_is_not_ready_but_its_jobs_are_kept(site, workers):
    """503 and when to try again, as without any worker; a job waits for a worker of just that version."""
    workers.kill_all()
    eventually(lambda: not live_workers(workers.redis), "their entries run out")
    workers.start(MODELS="scripted")
    site.look_again()
    for asked in ("scripted@2", "other"):
        refused = send(site, "/infer", model=asked)

        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert int(refused.headers["Retry-After"]) > 0
    job = send(site, "/v1/jobs", "later", model="other")
    assert job.status_code == HTTPStatus.ACCEPTED
    assert answered_by(site, send(site, "/infer")) == "scripted@1"

    workers.start(MODELS="other@2026.1")
    assert answered_by(site, job) == "other@2026.1"


def test_an_idempotency_key_stands_for_the_model_too(site):
    """Sent again with another model it is another request, and no answer to it is there."""
    first, again, other = (
        site.client.post(
            "/v1/jobs",
            data={"file": (io.BytesIO(GIF + b"tabby"), "photo.gif"), "model": model},
            headers={"Idempotency-Key": "order-17"},
        )
        for model in ("scripted@2", "scripted@2", "other")
    )

    assert first.status_code == again.status_code == HTTPStatus.ACCEPTED
    assert first.get_json()["id"] == again.get_json()["id"]
    assert other.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "with another picture or other parameters" in other.get_json()["detail"]


def test_labels_are_those_of_the_model_that_is_named(site):
    told = {asked: site.client.get("/labels", query_string={"model": asked}).get_json() for asked, _ in MEANT}

    assert {asked: f"{body['model']}@{body['version']}" for asked, body in told.items()} == dict(MEANT)
    assert {body["digest"] for body in told.values()} == {
        digest_of(ModelVersion.from_key(m)) for m in SERVED.split(",")
    }
    assert site.client.get("/labels?model=nonsense").status_code == HTTPStatus.NOT_FOUND
