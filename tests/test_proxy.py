"""The whole service through real proxies, set up as docs/proxy.md says: at the root of a name, and under a path."""

from __future__ import annotations

import json
import re
import ssl
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
import urllib3

from classifier_client import Client
from tests.support import certificate
from tests.support.browser import WAIT_MS, NoBrowser, chromium
from tests.support.missing import skip_or_fail
from tests.support.proxies import NAME, caddy, nginx
from tests.support.stack import Stack, free_port
from tests.support.upload_page import PICTURES, card, choose, expect_cards, open_report
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Page

    from tests.support.certificate import Pair

pytestmark = pytest.mark.long

KEY = "correct-horse-battery"
AS_ADMIN = {"X-API-Key": KEY}
CAT = PICTURES / "chelsea.jpg"
CLIENT = "127.0.0.5"  # of this machine's own addresses, the one that plays a client of the proxies
TIMEOUT_S = 60

# All that a client can make up. The proxies have to overwrite it.
MADE_UP = {
    "X-Forwarded-For": "192.0.2.66",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/made-up",
    "X-Forwarded-Proto": "http",
}


@dataclass(frozen=True)
class Place:
    """Where clients find a service.

    Attributes:
        root: the path before all of its routes; empty at the root of a name.
    """

    port: int
    root: str
    service: Stack
    pair: Pair

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{self.root}"

    @property
    def named_url(self) -> str:
        return f"https://{NAME}:{self.port}{self.root}"

    @cached_property
    def _connections(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ca_certs=str(self.pair.cert_file), source_address=(CLIENT, 0), retries=False)

    def asked(
        self, method: str, url: str, headers: dict[str, str] | None = None, **how: Any
    ) -> urllib3.BaseHTTPResponse:
        """The answer at ``url``, which may be a link of an earlier answer, to a client that makes up what it can."""
        at = urljoin(f"{self.url}/", url)
        return self._connections.request(method, at, headers=MADE_UP | (headers or {}), redirect=False, **how)

    def found(self, url: str, headers: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """The answer to a link of the service's, which has to lead to this place and to something."""
        parts = urlsplit(urljoin(f"{self.url}/", url))
        assert (parts.scheme, parts.hostname, parts.port) == ("https", "localhost", self.port), url
        assert parts.path.startswith(f"{self.root}/"), url
        answer = self.asked("GET", url, headers)
        assert answer.status == 200, (url, answer.data)
        return answer


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return certificate.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stack]]:
    """A service for each root in the settings, started when it is first needed."""
    running: dict[str, Stack] = {}
    with ExitStack() as stacks:

        def start(root_path: str) -> Stack:
            if root_path not in running:
                settings = {"TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_HOSTS": NAME, "ADMIN_API_KEY": KEY, "WORKERS": "1"}
                stack = Stack(tmp_path_factory.mktemp("stack"), ROOT_PATH=root_path, **settings)
                running[root_path] = stacks.enter_context(stack)
                assert "Ready in" in stack.printed, stack.printed
            return running[root_path]

        yield start


# How a proxy shows the service: the program, the configuration of the page, ROOT_PATH, and the path that clients see.
WAYS = {
    "nginx, a name of its own": (nginx, "", "", ""),
    "nginx, the path taken off": (nginx, "taken off", "", "/classifier"),
    "nginx, the path left there": (nginx, "left there", "/classifier", "/classifier"),
    "nginx, the path taken off, and a setting": (nginx, "taken off", "/classifier", "/classifier"),
    "Caddy, a name of its own": (caddy, "a name of its own", "", ""),
    "Caddy, the path taken off": (caddy, "taken off", "", "/classifier"),
}


@pytest.fixture(scope="module", params=list(WAYS.values()), ids=list(WAYS))
def place(
    service: Callable[[str], Stack],
    pair: Pair,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Place]:
    program, way, root_path, root = request.param
    stack, port = service(root_path), free_port()
    with program(tmp_path_factory.mktemp("proxy"), pair, port, stack.port, way):
        yield Place(port, root, stack, pair)


def only(*ways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", [WAYS[way] for way in ways], ids=ways, indirect=True, scope="module")


def targets(page: str) -> set[str]:
    """Whatever a page loads, links to or sends forms to."""
    return {
        target.replace("&amp;", "&")
        for target in re.findall(r'(?:src|href|action|spec-url|data-document)="([^"#][^"]*)"', page)
    }


def test_every_link_of_every_page_leads_somewhere(place):
    pages = ["./", "feedback", "docs", "redoc", "admin/feedback", "admin/usage"]
    links = set.union(*(targets(place.found(page, AS_ADMIN).data.decode()) for page in pages))

    assert len(links) > 12
    for link in links:
        place.found(link, AS_ADMIN)


def test_a_program_follows_what_answers_say(place):
    accepted = place.asked("POST", "v1/jobs", fields={"file": ("cat.jpg", CAT.read_bytes())})
    assert accepted.status == 202
    job = eventually(lambda: _done(place, accepted.headers["Location"]), "the job is done")
    shown = place.asked("POST", "./", {"Accept": "application/json"}, fields={"file": ("cat.jpg", CAT.read_bytes())})

    assert job["links"]["self"] == accepted.headers["Location"]
    assert place.found(job["links"]["display"]).headers["Content-Type"] == "image/jpeg"
    assert place.found(shown.json()["display"]).headers["Content-Type"] == "image/jpeg"
    assert place.asked("DELETE", job["links"]["self"]).status == 409


def _done(place: Place, link: str) -> dict[str, Any] | None:
    job: dict[str, Any] = place.found(link).json()
    return job if job["state"] == "done" else None


def test_the_signature_of_a_link_is_good_at_every_address(place):
    answer = place.asked("POST", "./", {"Accept": "application/json"}, fields={"file": ("cat.jpg", CAT.read_bytes())})
    elsewhere = f"{place.service.url}{answer.json()['display'].removeprefix(place.root)}"

    assert urllib3.request("GET", elsewhere, headers={"Connection": "close", "X-Forwarded-For": CLIENT}).status == 200


def test_who_sent_no_picture_is_led_back_to_the_page_which_says_so(place):
    moved = place.asked("POST", "./", {"Accept": "text/html"}, fields={"file": ("", b"")})

    assert moved.status == 303
    assert "There was no picture in that form" in place.found(moved.headers["Location"]).data.decode()


def test_the_document_says_where_the_routes_are(place):
    document = place.found("openapi.json")
    server = urljoin(f"{place.url}/openapi.json", document.json()["servers"][0]["url"])

    assert json.loads(place.found(f"{server.rstrip('/')}/health").data)["status"] == "ok"


@only("nginx, the path taken off", "nginx, the path left there", "Caddy, the path taken off")
def test_the_path_without_a_slash_leads_to_the_page(place):
    moved = place.asked("GET", place.url)

    assert moved.status in {301, 308}
    place.found(moved.headers["Location"])


def test_a_client_can_not_make_up_who_it_is_nor_where_the_service_is(place):
    assert place.found("labels").status == 200
    usage = place.found("admin/usage", AS_ADMIN).data.decode()
    page = place.found("./").data.decode()

    assert CLIENT in usage
    assert MADE_UP["X-Forwarded-For"] not in usage
    assert f"{place.url}/predict" in page
    assert "made-up" not in page
    assert "evil" not in page


def test_a_name_of_somebody_elses_is_refused_through_the_proxy(place):
    """A browser sends it after a stranger's domain was pointed at the proxy; Caddy does not even know it."""
    answer = place.asked("GET", "livez", {"Host": "evil.example", "X-Forwarded-Host": NAME})

    assert answer.status == 421 or answer.data == b""


@only("nginx, a name of its own")
def test_what_is_too_large_is_refused_in_the_services_own_words(place):
    """Through Caddy, which hands on the refusal while the body still comes, tests/containers/test_public.py does it."""
    refused = place.asked("POST", "infer", {"Content-Type": "image/jpeg"}, body=bytes(20_500_000))

    assert refused.status == 413
    assert refused.headers["Content-Type"] == "application/problem+json"


@only("nginx, a name of its own")
def test_a_slow_upload_holds_nothing_of_the_service(place):
    """The proxy handles what comes one after the other: when it has asked for the numbers, it has seen the upload."""
    body, content_type = urllib3.encode_multipart_formdata({"file": ("cat.jpg", CAT.read_bytes())})
    with connected(place) as connection:
        connection.putrequest("POST", "/predict")
        connection.putheader("Content-Type", content_type)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[: len(body) // 2])
        assert in_flight(place) == 1  # the one that asks

        connection.send(body[len(body) // 2 :])
        assert connection.getresponse().status == 200


def test_a_client_that_hangs_up_at_the_proxy_is_not_worked_for(place):
    (worker,) = place.service.parts("model.worker")[-1:]
    before = abandoned(place)
    unknown = CAT.read_bytes() + str(place.port).encode()
    body, content_type = urllib3.encode_multipart_formdata({"file": ("cat.jpg", unknown)})
    worker.suspend()
    try:
        with connected(place) as connection:
            connection.request("POST", f"{place.root}/infer", body, {"Content-Type": content_type})
            eventually(lambda: in_flight(place) > 1, "the service has it")
        eventually(lambda: abandoned(place) > before, "the service notices")
    finally:
        worker.resume()


def connected(place: Place) -> AbstractContextManager[HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(place.pair.cert_file))
    return closing(HTTPSConnection("localhost", place.port, context=context, timeout=TIMEOUT_S))


def number(place: Place, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", place.found("metrics", AS_ADMIN).data.decode(), re.MULTILINE)
    assert found
    return float(found[1])


def in_flight(place: Place) -> float:
    return number(place, "classifier_http_requests_in_flight")


def abandoned(place: Place) -> float:
    return number(place, "classifier_abandoned_total")


def test_the_python_client_takes_the_path_in_its_address(place, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(place.pair.cert_file))
    with Client(place.url) as client:
        assert client.classify(CAT).best.label == "Egyptian_cat"
        assert client.submit(CAT).result().best.label == "Egyptian_cat"


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
            yield browser
    except NoBrowser as error:
        skip_or_fail(str(error))


@contextmanager
def visit(browser: Browser, place: Place, **context: Any) -> Iterator[Page]:
    """A page of which nothing may fail to load, and nothing may come from beside the service."""
    with browser.new_context(ignore_https_errors=True, **context) as opened:
        opened.set_default_timeout(WAIT_MS)
        page = opened.new_page()
        broken: list[str] = []
        page.on("response", lambda answer: _listen(answer.status, answer.url, place, broken))
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if "Content Security Policy" in said.text else None)
        yield page
        assert broken == []


def _listen(status: int, url: str, place: Place, broken: list[str]) -> None:
    ours = url == place.named_url or url.startswith((f"{place.named_url}/", "blob:", "data:"))
    if status >= 400 or not ours:
        broken.append(f"{status} {url}")


@only("nginx, the path taken off", "nginx, the path left there")
def test_a_person_classifies_and_reports_and_the_operator_looks_at_it(place, browser):
    with visit(browser, place) as page:
        page.goto(place.named_url)
        assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
        choose(page, CAT)
        expect_cards(page, "done", 1)
        assert "Egyptian cat" in card(page, "done").inner_text()
        open_report(page)
        page.get_by_role("option", name="tiger cat").click()
        page.get_by_role("button", name="Send report").click()
        page.get_by_text("Thank you").wait_for()
        page.get_by_role("link", name="Feedback").click()
        page.get_by_role("heading", name="A wrong answer?").wait_for()
        page.get_by_role("link", name="Image classifier").click()
        page.get_by_role("heading", name="What is in the picture?").wait_for()

    with visit(browser, place, http_credentials={"username": "admin", "password": KEY, "send": "always"}) as page:
        page.goto(f"{place.named_url}/admin/feedback")
        page.get_by_text("tiger cat").first.wait_for()
        picture = page.locator(".entry-picture img").first
        eventually(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 0"), "it is loaded")


@only("nginx, the path left there")
def test_scripts_find_the_service_from_a_page_without_a_slash_at_its_end(place, browser):
    """So it is past the proxy, and behind one that takes the path off without leading to the slash."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{place.service.url}{place.root}")
        choose(page, CAT)
        expect_cards(page, "done", 1)


@only("nginx, a name of its own")
def test_a_person_without_scripts_classifies(place, browser):
    with visit(browser, place, java_script_enabled=False) as page:
        page.goto(f"{place.named_url}/")
        choose(page, CAT)
        page.get_by_role("button", name="Classify").click()
        page.get_by_text("Egyptian cat").first.wait_for()


@only("nginx, the path taken off")
def test_the_reference_tries_routes_where_they_are(place, browser):
    with visit(browser, place) as page:
        page.goto(f"{place.named_url}/docs")
        route = page.locator("#operations-Classification-pages_labels")
        route.get_by_role("button").first.click()
        route.get_by_role("button", name="Try it out").click()
        with page.expect_response(f"{place.named_url}/labels") as answered:
            route.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200

        page.goto(f"{place.named_url}/redoc")
        page.get_by_role("heading", name="Image classifier").first.wait_for()
