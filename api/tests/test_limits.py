"""Limits of a sender over HTTP: who is over them is refused before his body is read, and is told when to come again."""

from __future__ import annotations

from dataclasses import fields
from io import BytesIO
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pytest

from api.app import create_app
from api.core.usage import Usage
from api.core.usage_report import UsageReport, Used
from api.http.access import OPERATORS_ALONE
from api.http.limits import LIMITED
from api.http.received_body import READ_BYTES
from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import line_of, replace_line
from api.keys.keyring import Keyring
from api.keys.limits import Limits
from api.services import Services
from api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask.testing import FlaskClient

NOON = 20_000 * 86_400.0 + 43_200
KEY = "the-admin-key-of-this-test"
AS_KEY = {"Authorization": f"Bearer {KEY}"}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


class Unread(BytesIO):
    """A body that nobody may read."""

    def read(self, _size: int | None = -1) -> bytes:
        raise AssertionError("the body was read")

    readinto = readline = read  # type: ignore[assignment]


@pytest.fixture
def client_with(tmp_path: Path) -> Callable[..., FlaskClient]:
    def client_with(own: Limits | None = None, **limits: int) -> FlaskClient:
        """With ``own`` limits the service needs keys, and KEY is one of all scopes; otherwise it is the admin's."""
        file = tmp_path / "keys" if own is not None else None
        if own is not None and file is not None:
            replace_line(file, "camera", line_of(Key("camera", digest_of(KEY), frozenset(Scope), own)))
        settings = Settings.model_validate({"upload_dir": tmp_path, "feedback_dir": tmp_path, **limits})
        parts: Any = MagicMock()
        parts.keyring = Keyring(file, "" if file else KEY)
        parts.body_room.body.return_value.__enter__.return_value = lambda _size: None
        parts.labels.of_or_none.return_value = None
        parts.usage = Usage(1, lambda: NOON + 20, lambda: 0.0)
        return create_app(
            Services(**{field.name: getattr(parts, field.name) for field in fields(Services)} | {"settings": settings})
        ).test_client()

    return client_with


def form(size: int = 10) -> dict[str, Any]:
    return {"data": {"comment": "x" * size}}


def test_every_answer_says_what_may_be_used_and_what_is_left(client_with):
    client = client_with(requests_per_minute=3, mb_per_day=1)
    first = client.post("/feedback", **form(1000), headers={"Accept": "application/json"})

    assert first.status_code == 200
    assert first.headers["RateLimit-Policy"] == '"minute";q=3;w=60, "day-bytes";q=1000000;w=86400;qu="content-bytes"'
    requests_left, bytes_left = first.headers["RateLimit"].split(", ")
    assert requests_left == '"minute";r=2;t=40'
    assert bytes_left == f'"day-bytes";r={1_000_000 - int(first.request.headers["Content-Length"])};t=43180'
    failed = client.post("/infer", data={"file": (BytesIO(b"no picture"), "cat.jpg")})
    assert failed.status_code == 415
    assert failed.headers["RateLimit"].startswith('"minute";r=1;t=40, ')


def test_a_request_over_a_limit_is_refused_before_its_body_is_read(client_with):
    client = client_with(Limits(), requests_per_minute=1)
    client.post("/feedback", headers=AS_KEY, **form())
    rules = client.application.url_map
    limited = [rule for rule in rules.iter_rules() if rule.endpoint in LIMITED]
    ways = [(rule, method) for rule in limited for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    for rule, method in ways:
        path = rules.bind("here").build(rule.endpoint, dict.fromkeys(rule.arguments, "0" * 32))
        refused = client.open(path, method=method, headers=AS_KEY, input_stream=Unread(), content_length=10**7)

        assert refused.status_code == 429, path
        told = refused.get_json()["error" if path.startswith("/v2") else "detail"]
        assert told == "one sender may send 1 request a minute: try again in 40 s"
        assert refused.headers["Retry-After"] == "40"
        assert refused.headers["RateLimit"] == '"minute";r=0;t=40'


def test_a_key_has_its_own_limits_in_place_of_the_settings(client_with):
    client = client_with(Limits(requests_per_minute=2, mb_per_day=7), requests_per_minute=1, requests_per_day=9)
    answer = client.post("/feedback", headers=AS_KEY, **form())

    assert answer.headers["RateLimit-Policy"] == (
        '"minute";q=2;w=60, "day";q=9;w=86400, "day-bytes";q=7000000;w=86400;qu="content-bytes"'
    )
    assert client.post("/feedback", headers=AS_KEY, **form()).status_code == 200
    assert client.post("/feedback", headers=AS_KEY, **form()).status_code == 429


def test_whatever_takes_a_body_has_limits(client_with):
    """A route that is new has to be put among them. The operator's take few bytes, deleting a picture takes none."""
    rules = client_with().application.url_map.iter_rules()
    takes_bodies = {rule.endpoint for rule in rules if (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}}
    operators = {endpoint for endpoint in takes_bodies if endpoint.startswith(OPERATORS_ALONE)}

    assert takes_bodies - operators - {"pages.delete"} <= LIMITED


def test_what_costs_nothing_is_not_counted_and_never_refused(client_with):
    client = client_with(requests_per_minute=1)
    for path in ("/livez", "/health", "/", "/feedback", "/openapi.json", "/static/page.css"):
        with client.get(path) as answer:
            assert "RateLimit" not in answer.headers, path
    assert client.post("/feedback", **form()).status_code == 200
    assert client.post("/feedback", **form()).status_code == 429
    assert client.get("/livez").status_code == 200


def test_a_person_over_a_limit_reads_so_on_a_page(client_with):
    client = client_with(requests_per_minute=1)
    client.post("/feedback", **form())
    for path in ("/", "/feedback"):
        refused = client.post(path, headers=BROWSER, **form())

        assert refused.status_code == 429
        assert refused.mimetype == "text/html"
        assert "try again in 40 s" in refused.text


def test_a_body_over_the_limit_of_bytes_is_refused_while_it_comes(client_with):
    client = client_with(mb_per_minute=1)
    body = BytesIO(
        b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n' + b"y" * 2_000_000 + b"\r\n--b--"
    )
    refused = client.post(
        "/infer", input_stream=body, content_type="multipart/form-data; boundary=b", content_length=len(body.getvalue())
    )

    assert refused.status_code == 429
    assert 1_000_000 < body.tell() <= 1_000_000 + 2 * READ_BYTES
    assert client.post("/feedback", **form()).status_code == 429


@pytest.mark.parametrize("path", ["/predict", "/v1/jobs", "/infer/batch"])
def test_a_body_that_no_route_reads_is_counted_as_it_is_thrown_away(client_with, path):
    client = client_with(mb_per_day=1)
    body = BytesIO(bytes(3_000_000))
    first = client.post(path, input_stream=body, content_length=3_000_000, content_type="application/octet-stream")
    first.close()
    second = client.post(path, input_stream=Unread(), content_length=3_000_000)

    assert (first.status_code, second.status_code) == (400, 429)
    assert body.tell() < 3_000_000, "it was read on when its sender had used up what he may"


def test_what_is_thrown_away_of_a_refused_request_is_not_counted(client_with):
    client = client_with(requests_per_minute=1, mb_per_day=1)
    client.post("/feedback", **form())
    refused = client.post("/predict", input_stream=BytesIO(bytes(900_000)), content_length=900_000)
    refused.close()

    assert refused.status_code == 429
    assert client.post("/feedback", **form()).headers["RateLimit"] == refused.headers["RateLimit"]


def test_without_limits_nothing_is_said_of_them_and_nobody_refused(client_with):
    client = client_with()
    answers = [client.post("/feedback", **form()) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert all("RateLimit" not in answer.headers for answer in answers)


def test_an_empty_setting_is_no_limit(monkeypatch):
    monkeypatch.setenv("REQUESTS_PER_MINUTE", "")
    monkeypatch.setenv("MB_PER_DAY", "7")

    assert (Settings().requests_per_minute, Settings().mb_per_day) == (0, 7)


def test_the_operator_reads_what_was_used_as_a_page_or_as_json(client_with):
    client = client_with()
    today = UsageReport("2026-01-31", (Used("key:<b>", 12, 1_500_000, 3),), ())
    client.application.extensions["services"].usage_reports.today.return_value = today
    page = client.get("/admin/usage", headers=AS_KEY | BROWSER)
    numbers = client.get("/admin/usage", headers=AS_KEY)

    assert '<th scope="row">key:&lt;b&gt;</th><td>12</td><td>1.5</td><td>3</td>' in page.text
    assert "Nobody without a key has sent anything yet." in page.text
    assert numbers.get_json() == {
        "day": "2026-01-31",
        "keys": [{"name": "key:<b>", "requests": 12, "bytes": 1_500_000, "refused": 3}],
        "addresses": [],
    }
    assert client.get("/admin/usage").status_code == 401
