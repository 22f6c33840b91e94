"""What browsers are kept from, as they tell of their requests; in Chromium it is in tests/test_browser_origins.py."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import MagicMock

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.core.errors import NoWorker
from api.core.host_names import HostNames
from api.core.live_workers import Fleet
from api.services import Services
from api.settings import Settings
from contract.errors import JobNotFound
from contract.redis_memory import RedisMemory
from contract.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient

    from api.core.async_jobs import AsyncInference
    from api.core.inference import Inference

ADMIN_KEY = "the-admin-key-of-this-test"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
FRIEND = "https://app.example.org"
FROM_FRIEND = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": FRIEND}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PREFLIGHT = FROM_FRIEND | {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "x-api-key"}

# Of a request from elsewhere, or of one of our own: the service is http://localhost here.
FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another port of this machine, or another name of our domain
    {"Sec-Fetch-Site": "new-word"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},  # the browser knows better
    {"Origin": "http://elsewhere.example"},
    {"Origin": "http://localhost:8001"},
    {"Origin": "https://localhost"},
    {"Origin": "null"},  # a page in a sandbox, or from a file
    {"Origin": ""},
]
OUR_OWN = [
    {},  # a program
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},  # typed, or a bookmark
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": "http://localhost"},
]

WRONG_NAMES = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[evil]",
    "a b",
    "",
]
ADDRESSES = ["127.0.0.1", "127.0.0.1:8000", "10.1.2.3", "[::1]", "[2001:DB8::1]:8000", "localhost:3", "LOCALHOST."]


@pytest.fixture(scope="module")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flask]:
    """The application with no workers: what gets through is answered with an error of its own, or a page."""

    def make(**settings: Any) -> Flask:
        folder = tmp_path_factory.mktemp("api")
        services = Services.connect(
            Settings(
                upload_dir=folder / "uploads",
                feedback_dir=folder / "feedback",
                admin_api_key=SecretStr(ADMIN_KEY),
                **settings,
            )
        )
        jobs = MagicMock(**{"read.side_effect": JobNotFound("-"), "cancel.side_effect": JobNotFound("-")})
        return create_app(
            replace(
                services,
                inference=cast("Inference", MagicMock()),
                async_inference=cast("AsyncInference", jobs),
                queue=MagicMock(**{"depths.return_value": [], "async_depths.return_value": []}),
                labels=MagicMock(**{"of_or_none.return_value": None}),
                live_workers=MagicMock(
                    **{
                        "pool.side_effect": NoWorker("-"),
                        "default_pool.side_effect": NoWorker("-"),
                        "fleet.return_value": Fleet((), {}, {}, RedisMemory(0, 0, "noeviction")),
                    }
                ),
            )
        )

    return make


@pytest.fixture(scope="module")
def client(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture(scope="module")
def friendly(make_app: Callable[..., Flask]) -> FlaskClient:
    """With CORS for one origin."""
    return make_app(cors_origins=(FRIEND,)).test_client()


def every_route(app: Flask) -> Iterator[tuple[str, str]]:
    """Method and path of each, and of one that there is not."""
    yield "GET", "/nowhere"
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, app.url_map.bind("here").build(rule.endpoint, dict.fromkeys(rule.arguments, "page.css"))


def error_type(path: str) -> str:
    """Under /v2 the Open Inference Protocol's errors, elsewhere problem documents."""
    return "application/json" if path.startswith("/v2") else "application/problem+json"


CHANGING = [("POST", "/predict"), ("POST", "/infer"), ("POST", "/infer/batch"), ("POST", "/"), ("POST", "/feedback"),
            ("POST", "/v1/jobs"), ("GET", "/v1/jobs/0"), ("DELETE", "/v1/jobs/0")]  # fmt: skip
FOR_ADMINS = [("GET", "/admin/feedback"), ("GET", "/admin/feedback.csv"), ("GET", "/admin/feedback.zip")]


# Other origins' pages


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_route_serves_a_page_of_another_origin(client, headers):
    """A route that is added later is closed as well."""
    for method, path in every_route(client.application):
        refused = client.open(path, method=method, headers=AS_ADMIN | headers)

        assert (method, path, refused.status_code) == (method, path, 403)
        assert refused.mimetype == error_type(path)


@pytest.mark.parametrize("headers", OUR_OWN, ids=str)
def test_programs_and_the_services_own_pages_are_served(client, headers):
    for method, path in CHANGING + FOR_ADMINS:
        assert client.open(path, method=method, headers=AS_ADMIN | headers).status_code in {200, 303, 400, 404}


def test_a_refused_report_is_not_stored(make_app):
    """A form needs no script and no preflight: any page can make its visitors send one."""
    form = {"comment": "wrong", "correct_label": "lynx"}
    app = make_app()
    app.test_client().post("/feedback", data=form, headers={"Sec-Fetch-Site": "cross-site"})

    assert not app.extensions["services"].feedback.path.exists()


@pytest.mark.parametrize("path", ["/", "/feedback", "/docs", "/redoc", "/openapi.json", "/livez"])
def test_a_link_to_what_people_read_may_be_followed_from_anywhere(client, path):
    assert client.get(path, headers=LINK).status_code == 200


@pytest.mark.parametrize(("method", "path"), [*FOR_ADMINS, ("GET", "/v1/jobs/0"), ("POST", "/"), ("POST", "/feedback")])
def test_no_link_and_no_form_of_elsewhere_leads_to_the_rest(client, method, path):
    """Behind such a link an admin's browser would send its password along, and fetch every picture."""
    assert client.open(path, method=method, headers=AS_ADMIN | LINK).status_code == 403


@pytest.mark.parametrize("destination", ["iframe", "frame", "embed", "object"])
def test_no_page_is_a_part_of_another_origins(client, destination):
    assert client.get("/", headers=LINK | {"Sec-Fetch-Dest": destination}).status_code == 403


def test_a_person_who_is_refused_an_admins_page_reads_why_on_a_page(client):
    refused = client.get("/admin/feedback", headers=AS_ADMIN | LINK | {"Accept": "text/html"})

    assert (refused.status_code, refused.mimetype) == (403, "text/html")
    assert "open the address itself" in refused.text


# Names


@pytest.mark.parametrize("host", WRONG_NAMES)
def test_no_route_answers_to_a_strangers_name(client, host):
    """Not even those that orchestrators ask: they ask by address, and what these tell is nobody else's business."""
    for method, path in every_route(client.application):
        refused = client.open(path, method=method, headers={"Host": host} | AS_ADMIN)

        assert (method, path, refused.status_code) == (method, path, 421)
        assert refused.mimetype == error_type(path)


@pytest.mark.parametrize("host", ADDRESSES)
def test_an_address_as_host_is_always_answered(client, host):
    """As probes and Prometheus ask: nobody's name server gives an address another meaning."""
    for path in ("/livez", "/health", "/metrics", "/"):
        assert client.get(path, headers={"Host": host}).status_code == 200


def test_a_request_without_a_host_is_a_programs(client):
    assert client.get("/livez", environ_overrides={"HTTP_HOST": None}).status_code == 200


@pytest.mark.parametrize(
    ("setting", "host", "answered"),
    [
        ("api", "api:8000", True),
        ("cats.example.org", "CATS.example.org.", True),
        ("cats.example.org", "dogs.cats.example.org", False),
        ("cats.example.org", "example.org", False),
        (".example.org", "example.org", True),
        (".example.org", "a.b.example.org:80", True),
        (".example.org", "badexample.org", False),
        (".example.org", ".example.org.evil.example", False),
        ("cats.example.org", "localhost", True),
        ("*", "evil.example", True),
    ],
)
def test_names_are_those_of_the_setting(setting, host, answered):
    assert (host in HostNames([setting])) == answered


def test_the_name_that_it_listens_on_is_its_name(make_app):
    """``HOST=gpu-box make run`` prints an address that has to work."""
    client = make_app(host="GPU-box", allow_anonymous=True).test_client()

    assert client.get("/livez", headers={"Host": "gpu-box:8000"}).status_code == 200


# CORS


@pytest.mark.parametrize("headers", [FROM_FRIEND, {"Origin": FRIEND}], ids=["with TLS", "without"])
def test_scripts_of_an_allowed_origin_use_the_api_and_read_its_answers_and_errors(friendly, headers):
    for method, path in [*CHANGING, ("GET", "/livez"), ("GET", "/nowhere")]:
        answer = friendly.open(path, method=method, headers=headers)

        assert answer.status_code not in {403, 421}
        assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
        assert {"X-Model", "X-Model-Version", "Location", "Retry-After", "RateLimit"} <= set(
            answer.headers["Access-Control-Expose-Headers"].split(", ")
        )
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/predict", "/v1/jobs/0", "/nowhere"])
def test_a_browser_that_asks_first_is_told_what_may_be_sent(friendly, path):
    """Before a DELETE, or a key; the question itself carries no key."""
    answer = friendly.options(path, headers=PREFLIGHT)

    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
    assert (
        answer.headers["Access-Control-Allow-Headers"]
        == "Authorization, X-API-Key, Content-Type, Idempotency-Key, X-Request-Id, Inference-Header-Content-Length"
    )


@pytest.mark.parametrize(("method", "path"), [*FOR_ADMINS, ("POST", "/reload"), ("POST", "/admin/reload")])
def test_an_allowed_origin_has_no_part_in_the_admins_pages(friendly, method, path):
    refused = friendly.open(path, method=method, headers=AS_ADMIN | FROM_FRIEND)
    asked = friendly.options(path, headers=PREFLIGHT)

    assert refused.status_code == asked.status_code == 403
    assert not {"Access-Control-Allow-Origin", "Access-Control-Allow-Methods"} & {
        *refused.headers.keys(),
        *asked.headers.keys(),
    }


@pytest.mark.parametrize(
    "origin", ["https://app.example.org.evil.example", "http://app.example.org", "null", "https://x.app.example.org"]
)
def test_any_other_origin_is_refused_without_a_word_of_cors(friendly, origin):
    headers = FROM_FRIEND | {"Origin": origin}
    answers = [friendly.post("/predict", headers=headers), friendly.options("/predict", headers=PREFLIGHT | headers)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)


def test_caches_learn_that_answers_differ_by_origin_and_only_where_they_do(friendly, client):
    assert friendly.get("/livez").headers["Vary"] == "Origin"
    assert "Vary" not in client.get("/livez").headers


# Headers


def test_data_may_load_nothing_and_pages_only_what_is_theirs(client):
    data = client.get("/livez").headers["Content-Security-Policy"]
    page = client.get("/").headers["Content-Security-Policy"]

    assert data == "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    assert page.startswith("default-src 'none'; ")
    for policy in (page, client.get("/docs").headers["Content-Security-Policy"]):
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/", "/livez", "/static/page.css", "/nowhere", "/admin/feedback"])
def test_every_answer_is_for_its_own_origin(client, path):
    headers = client.get(path, buffered=True).headers

    assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_may_use_none_of_a_visitors_devices(client):
    assert "camera=(), " in client.get("/").headers["Permissions-Policy"]


def test_forms_of_our_own_pages_say_where_they_come_from(client):
    """With ``no-referrer`` browsers send ``Origin: null``, and without TLS nothing else that tells them apart."""
    assert client.get("/").headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://cats.example.org", True),
        ("http://cats.example.org", False),
        ("https://localhost:8443", False),
        ("https://192.0.2.1", False),
        ("https://[2001:db8::1]", False),
    ],
)
def test_browsers_stay_with_tls_where_a_name_is_reached_by_it(make_app, url, sent):
    client = make_app(allowed_hosts=("cats.example.org",)).test_client()

    assert ("Strict-Transport-Security" in client.get("/livez", base_url=url).headers) == sent


# Settings


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("allowed_hosts", "", ()),
        ("allowed_hosts", "API, .Example.org,10.0.0.1,[::1],my_api",
         ("api", ".example.org", "10.0.0.1", "[::1]", "my_api")),
        ("allowed_hosts", "*", ("*",)),
        ("cors_origins", "https://App.example.org:443, http://127.0.0.1:3000,http://[::1]:80",
         ("https://app.example.org", "http://127.0.0.1:3000", "http://[::1]")),
    ],
)  # fmt: skip
def test_names_and_origins_are_lists(monkeypatch, name, value, read):
    monkeypatch.setenv(name.upper(), value)

    assert getattr(load_settings(Settings), name) == read


@pytest.mark.parametrize(
    ("name", "wrong", "advice"),
    [
        ("ALLOWED_HOSTS", "https://example.org", "without scheme, port or path"),
        ("ALLOWED_HOSTS", "example.org:8000", "without scheme, port or path"),
        ("ALLOWED_HOSTS", "*.example.org", ".example.org for it and all names below it"),
        ("ALLOWED_HOSTS", "k\u00e4tzchen.example", "is not a host name"),
        ("ALLOWED_HOSTS", ".", "is not a host name"),
        ("CORS_ORIGINS", "*", "each origin in full"),
        ("CORS_ORIGINS", "null", "is not an origin"),
        ("CORS_ORIGINS", "app.example.org", "write https://app.example.org"),
        ("CORS_ORIGINS", "https://app.example.org/", "without a path"),
        ("CORS_ORIGINS", "https://*.example.org", "each origin in full"),
        ("CORS_ORIGINS", "https://me@app.example.org", "is not an origin"),
        ("CORS_ORIGINS", "https://app.example.org:99999", "is not an origin"),
    ],
)
def test_what_no_request_could_match_ends_the_start_with_one_line(monkeypatch, capsys, name, wrong, advice):
    monkeypatch.setenv(name, f"good.example, {wrong}" if name == "ALLOWED_HOSTS" else f"https://good.example,{wrong}")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    said = capsys.readouterr().err

    assert said.startswith(f"{name}=")
    assert f"{wrong!r} is not a" in said
    assert advice in said
    assert said.count("\n") == 1
