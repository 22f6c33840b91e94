"""Links and rules behind a proxy; with real proxies they are in tests/test_proxy.py."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from api.app import create_app
from api.http.public_address import PublicAddress
from api.services import Services
from api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from flask.testing import FlaskClient

PROXY = "192.0.2.9"
STRANGER = "192.0.2.66"
TRUSTED = (ip_network("192.0.2.8/30"),)
NAME = "pictures.example.org"
UNDER_CLASSIFIER = {"X-Forwarded-Host": NAME, "X-Forwarded-Prefix": "/classifier"}


@pytest.fixture
def behind(tmp_path: Any) -> Callable[..., FlaskClient]:
    """Makes a client that is the proxy, or who claims to be."""

    def make(peer: str = PROXY, **settings: Any) -> FlaskClient:
        folders = {"upload_dir": tmp_path / "uploads", "feedback_dir": tmp_path / "feedback"}
        known = {"trusted_proxies": TRUSTED, "allowed_hosts": (NAME,), **settings}
        client = create_app(Services.connect(Settings(**folders, **known))).test_client()
        client.environ_base["REMOTE_ADDR"] = peer
        return client

    return make


# What an application sees


def seen(peer: str, root_path: str, path: str, **headers: str) -> tuple[str, str, str]:
    """Host, root and path of a request as they come through."""
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": "api:8000", "SCRIPT_NAME": "", "PATH_INFO": path}
    environ |= {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()}

    def application(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
        return ()

    PublicAddress(application, TRUSTED, root_path)(environ, lambda *_: print)
    return environ["HTTP_HOST"], environ["SCRIPT_NAME"], environ["PATH_INFO"]


@pytest.mark.parametrize(
    ("headers", "host", "root"),
    [
        ({}, "api:8000", ""),
        ({"host": "a.example:8443", "prefix": "/classifier"}, "a.example:8443", "/classifier"),
        ({"host": "made-up, a.example", "prefix": "/made-up, /classifier/"}, "a.example", "/classifier"),
        ({"host": " ", "prefix": "/"}, "api:8000", ""),
        ({"prefix": "//evil.example"}, "api:8000", ""),
        ({"prefix": "/a/../b"}, "api:8000", ""),
        ({"prefix": "https://evil.example"}, "api:8000", ""),
        ({"prefix": '/"><script>'}, "api:8000", ""),
    ],
)
def test_what_a_trusted_proxy_says_counts_and_what_it_has_added_last(headers, host, root):
    """What a client has made up stands before it; and nothing that is no path gets into links."""
    assert seen(PROXY, "", "/labels", **headers) == (host, root, "/labels")


@pytest.mark.parametrize("peer", [STRANGER, "", "unix"])
def test_what_others_say_counts_nothing(peer):
    assert seen(peer, "", "/labels", host="a.example", prefix="/classifier") == ("api:8000", "", "/labels")
    assert seen(peer, "/of/ours", "/labels", host="a.example", prefix="/x") == ("api:8000", "/of/ours", "/labels")


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/labels", "/labels"),  # a proxy has taken the root off, or there is none, as for a probe
        ("/of/ours/labels", "/labels"),
        ("/of/ours/", "/"),
        ("/of/ours", "/"),
        ("/of/ours-too/labels", "/of/ours-too/labels"),
        ("/of/ours/of/ours/labels", "/of/ours/labels"),
    ],
)
def test_a_root_of_the_settings_is_taken_off_a_path_if_it_is_there(path, rest):
    assert seen(PROXY, "/of/ours", path, prefix="/of") == ("api:8000", "/of/ours", rest)


def test_a_root_that_a_header_tells_is_looked_for_in_no_path():
    """A proxy may pass on a header that the client has made up, and refuse some paths itself."""
    assert seen(PROXY, "", "/x/admin/feedback", prefix="/x")[2] == "/x/admin/feedback"


@pytest.mark.parametrize(
    ("text", "path"), [("", ""), ("/", ""), ("/classifier", "/classifier"), ("/a/b-c_d.e~f/", "/a/b-c_d.e~f")]
)
def test_a_root_is_a_path(text, path):
    assert Settings(root_path=text).root_path == path


@pytest.mark.parametrize(
    "text", ["classifier", "//a", "/a//b", "/a/..", "/./a", "/a b", "/ä", "/a?b", "/%61", "https://a.example/b", "/a\n"]
)
def test_nothing_else_is_a_root(text):
    with pytest.raises(ValidationError, match="must be a path such as /classifier, without scheme or host"):
        Settings(root_path=text)


# What clients get


@pytest.mark.parametrize(
    ("settings", "headers"),
    [({}, UNDER_CLASSIFIER), ({"root_path": "/classifier"}, {"X-Forwarded-Host": NAME})],
    ids=["a header", "a setting"],
)
def test_whatever_leads_on_leads_to_below_the_root(behind, settings, headers):
    client = behind(**settings)
    page = client.get("/", headers=headers).text
    moved = client.get("/docs//redoc.js", headers=headers)
    document = client.get("/openapi.json", headers=headers).get_json()

    targets = re.findall(r'(?:src|href|action)="([^"#][^"]*)"', page)
    assert len(targets) > 8
    assert [target for target in targets if not target.startswith("/classifier/")] == []
    assert f"http://{NAME}/classifier/predict" in page
    assert moved.headers["Location"] == f"http://{NAME}/classifier/docs/redoc.js"
    assert document["servers"] == [{"url": "/classifier"}]


def test_two_roots_at_a_time_do_not_get_into_each_others_answers(behind):
    """One process may be shown at several places, and keeps what it made once."""
    client = behind()
    servers = [
        client.get("/openapi.json", headers={"X-Forwarded-Prefix": root}).get_json()["servers"][0]["url"]
        for root in ("/a", "/b", "")
    ]
    scripts = {client.get("/docs/redoc.js", headers={"X-Forwarded-Prefix": root}).data for root in ("/a", "/b")}

    assert servers == ["/a", "/b", "/"]
    assert len(scripts) == 1


@pytest.mark.parametrize("path", ["/", "/feedback", "/docs", "/redoc", "/openapi.json", "/livez", "/labels//"])
def test_a_strangers_headers_change_no_byte(behind, path):
    client = behind(peer=STRANGER)
    named = {"X-Request-Id": "the-same"}
    made_up = named | UNDER_CLASSIFIER | {"X-Forwarded-Host": "evil.example"}
    plain, answer = (client.get(path, base_url=f"http://{NAME}", headers=headers) for headers in (named, made_up))
    for each in (plain, answer):
        each.headers.remove("Date")

    assert (answer.status, answer.data, answer.headers) == (plain.status, plain.data, plain.headers)


@pytest.mark.parametrize(
    ("host", "forwarded", "status"),
    [
        ("192.0.2.1:8000", NAME, 200),
        ("192.0.2.1:8000", "evil.example", 421),
        ("evil.example", NAME, 421),  # a page of a stranger's domain that is pointed at the proxy has written this
        ("192.0.2.1:8000", 'a"><script>', 421),
    ],
)
def test_the_service_has_to_know_both_names_of_a_request(behind, host, forwarded, status):
    answer = behind().get("/livez", base_url=f"http://{host}", headers={"X-Forwarded-Host": forwarded})

    assert answer.status_code == status


@pytest.mark.parametrize(("peer", "status"), [(PROXY, 200), (STRANGER, 403)], ids=["proxy", "stranger"])
def test_the_services_own_origin_is_the_one_that_clients_see(behind, peer, status):
    """Browsers that send no Sec-Fetch-Site tell only the origin of the page that they show."""
    headers = UNDER_CLASSIFIER | {"Origin": f"http://{NAME}"}

    assert behind(peer).post("/feedback", headers=headers).status_code == status
