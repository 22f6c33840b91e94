"""Who gets in: with keys, without them, and with the wrong ones."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.core.labels import LabelLookup
from api.http.access import NEEDED
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.services import WRONG_KEYS, Services
from api.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

CHOSEN = "correct-horse-battery"
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def secret_of(scope: Scope) -> str:
    return f"a secret of {scope}"


@pytest.fixture
def service(tmp_path: Path) -> FlaskClient:
    """With a key for each scope, named as it is; nothing behind it."""
    keys = tmp_path / "keys"
    for scope in Scope:
        replace_line(keys, f"of-{scope}", line_of(Key(f"of-{scope}", digest_of(secret_of(scope)), frozenset({scope}))))
    return client_of(tmp_path, api_keys_file=keys)


def client_of(folder: Path, **settings: Any) -> FlaskClient:
    made = Settings(
        redis_url=f"unix://{folder}/no-redis",
        upload_dir=folder / "uploads",
        copies_dir=folder / "copies",
        feedback_dir=folder,
        **settings,
    )
    return create_app(Services.connect(made)).test_client()


def test_every_route_says_which_scope_it_needs(service):
    """What is not in the table would be a route that nobody has thought of."""
    assert {rule.endpoint for rule in service.application.url_map.iter_rules()} == set(NEEDED)


def test_only_what_shows_nothing_of_others_is_open(service):
    """Health, the empty pages, the documentation. Each of the others asks for a key, before anything is read."""
    let_in = set()
    for rule in service.application.url_map.iter_rules():
        path = service.application.url_map.bind("here").build(rule.endpoint, dict.fromkeys(rule.arguments, "0" * 32))
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            if service.open(path, method=method).status_code != 401:
                let_in.add(f"{method} {rule.rule}")

    assert let_in == {
        *("GET /", "GET /feedback", "GET /inspect", "GET /livez", "GET /readyz", "GET /health"),
        *("GET /v2/health/live", "GET /v2/health/ready"),
        *("GET /docs", "GET /docs/<name>", "GET /redoc", "GET /openapi.json", "GET /static/<path:filename>"),
    }


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/predict", Scope.CLASSIFY),
        ("POST", "/infer", Scope.CLASSIFY),
        ("POST", "/infer/batch", Scope.CLASSIFY),
        ("POST", "/v2/models/cats/infer", Scope.CLASSIFY),
        ("POST", "/v2/models/cats/versions/1/infer", Scope.CLASSIFY),
        ("POST", "/", Scope.CLASSIFY),
        ("POST", "/v1/jobs", Scope.JOBS),
        ("GET", "/v1/jobs", Scope.JOBS),
        ("GET", f"/v1/jobs/{'0' * 32}", Scope.JOBS),
        ("DELETE", f"/v1/jobs/{'0' * 32}", Scope.JOBS),
        ("POST", "/feedback", Scope.FEEDBACK),
        ("GET", "/admin/feedback", Scope.ADMIN),
        ("GET", "/metrics", Scope.ADMIN),
        ("GET", "/stats", Scope.ADMIN),
    ],
)
def test_a_key_opens_the_routes_of_its_scope_and_no_others(service, method, path, scope):
    answered = {each: service.open(path, method=method, headers=bearer(secret_of(each))).status_code for each in Scope}

    assert answered.pop(scope) not in {401, 403}
    assert set(answered.values()) == {403}


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/resnet50"])
def test_any_key_may_ask_which_models_there_are(service, path, scope):
    """Who sends pictures or reports chooses one, and who operates them watches over all; nobody else is told names."""
    assert service.get(path).status_code == 401
    assert service.get(path, headers=bearer(secret_of(scope))).status_code == 503  # no Redis is there


def test_what_is_refused_is_told_in_the_one_shape(service):
    missing, wrong = service.post("/predict"), service.post("/predict", headers=bearer("wrong"))
    other = service.post("/predict", headers=bearer(secret_of(Scope.JOBS)))

    assert [answer.get_json()["detail"] for answer in (missing, wrong, other)] == [
        "this needs a key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
        "this key is not known: it is wrong, or was revoked",
        "this key does not open this: it needs the scope classify",
    ]
    assert {answer.content_type for answer in (missing, wrong, other)} == {"application/problem+json"}


@pytest.mark.parametrize(
    "headers",
    [
        bearer(secret_of(Scope.JOBS)),
        {"Authorization": f"bearer   {secret_of(Scope.JOBS)} "},
        {"X-API-Key": secret_of(Scope.JOBS)},
        {"X-API-Key": secret_of(Scope.JOBS), "Authorization": "Basic b2Y6cHJveHk="},
        {"Authorization": "Basic " + base64.b64encode(f"who:{secret_of(Scope.JOBS)}".encode()).decode()},
    ],
    ids=["bearer", "bearer with spaces", "header", "header beside a proxy's password", "basic"],
)
def test_a_key_is_sent_in_any_of_three_ways(service, headers):
    assert service.get(f"/v1/jobs/{'0' * 32}", headers=headers).status_code == 503  # no Redis is there


def test_a_password_with_other_characters_than_ascii_is_no_key(service):
    assert service.get("/labels", headers={"Authorization": "Basic \xe9\xe9\xe9\xe9"}).status_code == 401


def test_no_cache_keeps_what_needs_a_key(service):
    """To a cache before the service X-API-Key is a header as any other."""
    for path in ("/stats", "/metrics", "/v1/jobs/" + "0" * 32, "/admin/feedback"):
        for headers in ({}, *({"X-API-Key": secret_of(scope)} for scope in Scope)):
            assert "no-store" in service.get(path, headers=headers).headers["Cache-Control"], path


def test_the_open_page_of_reports_tells_the_labels_only_to_who_may_ask_for_them(service, monkeypatch):
    known = MagicMock(names=["tench"])
    monkeypatch.setattr(LabelLookup, "of_or_none", lambda _self, _model=None: known)
    form = {"comment": "x" * 100_000}
    with_key = service.post("/feedback", data=form, headers=BROWSER | bearer(secret_of(Scope.FEEDBACK)))

    assert "tench" in with_key.text
    assert "tench" not in service.get("/feedback").text


def test_a_person_who_may_not_gets_a_page_and_a_program_a_document(service):
    person = service.post("/", headers=BROWSER, data={"file": (BytesIO(b"x"), "a.jpg")})
    program = service.post("/predict", headers={"Accept": "*/*"})
    script = service.post("/", headers=BROWSER | {"Sec-Fetch-Mode": "cors"})
    script_over_http = service.post("/", headers={"Accept": "application/json"})
    picture_over_http = service.get(f"/display/{'0' * 64}", headers={"Accept": "image/avif,image/*,*/*;q=0.8"})

    assert (person.status_code, person.mimetype) == (401, "text/html")
    assert "it is the password, and any user name will do" in person.text
    for one in (person, program):
        assert [challenge.split()[0] for challenge in challenges(one)] == ["Bearer", "Basic"]
    for one in (script, script_over_http, picture_over_http):  # their page asks for the key
        assert [challenge.split()[0] for challenge in challenges(one)] == ["Bearer"]


def challenges(answer: TestResponse) -> list[str]:
    return answer.headers.getlist("WWW-Authenticate")


def test_after_some_wrong_keys_an_address_waits_and_a_right_key_goes_on(tmp_path, caplog):
    """Nobody can guess 256 random bits, so who has them may come in; a key that a person chose is not compared."""
    keys = tmp_path / "keys"
    replace_line(keys, "a", line_of(Key("a", digest_of("drawn"), frozenset({Scope.ADMIN}))))
    service = client_of(tmp_path, api_keys_file=keys, admin_api_key=SecretStr(CHOSEN))
    wrong = [service.get("/admin/feedback", headers=bearer(f"wrong-{n}")) for n in range(WRONG_KEYS + 5)]

    assert [answer.status_code for answer in wrong] == [401] * WRONG_KEYS + [429] * 5
    assert 1 <= int(wrong[-1].headers["Retry-After"]) <= 68
    assert service.get("/admin/feedback", headers=bearer(CHOSEN)).status_code == 429
    assert service.get("/admin/feedback", headers=bearer("drawn")).status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    assert service.get("/admin/feedback", headers=bearer(CHOSEN), environ_base=elsewhere).status_code == 200
    logged = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("a wrong key from 127.0.0.1 for GET /admin/feedback") for line in logged) == WRONG_KEYS
    assert not any("wrong-" in line for line in logged)


def test_without_a_keys_file_all_but_the_admins_pages_is_open_whatever_is_sent(tmp_path):
    """A proxy before the service may have a password of its own in that header."""
    service = client_of(tmp_path, admin_api_key=SecretStr(CHOSEN))

    assert service.post("/predict", headers=bearer("of a proxy")).status_code != 401
    assert service.get("/metrics").status_code == 200
    assert service.get("/admin/feedback").status_code == 401
    assert service.get("/admin/feedback", headers=bearer(CHOSEN)).status_code == 200
    assert service.get("/v1/jobs").get_json()["detail"] == "jobs are listed for a key, and this service has none"


def test_the_admins_key_opens_nothing_else(tmp_path):
    keys = tmp_path / "keys"
    keys.touch(0o600)
    both = client_of(tmp_path, api_keys_file=keys, admin_api_key=SecretStr(CHOSEN))

    assert both.get("/admin/feedback", headers=bearer(CHOSEN)).status_code == 200
    assert both.post("/predict", headers=bearer(CHOSEN)).status_code == 403
