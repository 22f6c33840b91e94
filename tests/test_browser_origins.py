"""What pages of other origins can do to the service, in a real browser: nothing, unless ``CORS_ORIGINS`` names them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import requests

from contract.copy_store import CopyStore
from tests.support.api import Api
from tests.support.browser import WAIT_MS, NoBrowser, chromium
from tests.support.missing import skip_or_fail
from tests.support.scripted_worker import GIF
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Response

    from tests.support.server import Server

pytestmark = pytest.mark.long

KEY = "correct-horse-battery"
TIMEOUT_S = 60
OUR_NAME = "classifier.test"  # to a browser no loopback: without TLS it sends no Sec-Fetch-Site to it
PICTURE = (Path(__file__).parent / "pictures" / "chelsea.jpg").read_bytes()

# What a page can try: whether its script got an answer to read, or why not.
FETCH = """async ([url, options]) => {
    if (options.form) {
        options.body = new FormData();
        options.body.append("comment", "wrong");
        options.body.append("file", new Blob([options.form]), "photo.gif");
    }
    try {
        const answer = await fetch(url, options);
        const model = answer.headers.get("X-Model");
        return {type: answer.type, status: answer.status, model, text: await answer.text()};
    } catch (error) {
        return {failed: String(error)};
    }
}"""
LOAD_PICTURE = """url => new Promise(done => {
    const picture = new Image();
    picture.onload = () => done(true);
    picture.onerror = () => done(false);
    picture.src = url;
})"""
SEND_FORM = """([url, encoding]) => {
    document.body.innerHTML = `<form method="post" action="${url}" enctype="${encoding}">
        <input name="comment" value="wrong"><input name="correct_label" value="lynx"></form>`;
    document.forms[0].submit();
}"""
FRAME = """url => new Promise(done => {
    const frame = document.createElement("iframe");
    frame.onload = () => done();
    frame.src = url;
    document.body.append(frame);
})"""
REFUSED = {"failed": "TypeError: Failed to fetch"}


class EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title><body>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[int]:
    """The port of another web server on this machine, whose pages are empty: tests run scripts in them."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def stranger() -> Iterator[int]:
    with elsewhere() as port:
        yield port


@pytest.fixture(scope="module")
def friend() -> Iterator[str]:
    """The one origin that CORS_ORIGINS names."""
    with elsewhere() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def api(valkey: Server, tmp_path_factory: pytest.TempPathFactory, friend: str) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    workers = ScriptedWorkers(valkey, folder)
    workers.start()
    settings = {"CORS_ORIGINS": friend, "ALLOWED_HOSTS": OUR_NAME, "ADMIN_API_KEY": KEY}
    with Api(valkey.api_url, folder, processes=1, **settings) as api:
        yield api
    workers.close()


@pytest.fixture(scope="module")
def service(api: Api) -> str:
    return "http://{}:{}".format(*api.address)


@pytest.fixture(scope="module")
def job(service: str) -> str:
    """The address of a job."""
    made = requests.post(f"{service}/v1/jobs", files={"file": ("photo.gif", GIF + b"tabby")}, timeout=TIMEOUT_S)
    return service + made.headers["Location"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """All names ending in .test lead to this machine."""
    try:
        with chromium("--host-resolver-rules=MAP *.test 127.0.0.1") as browser:
            yield browser
    except NoBrowser as error:
        skip_or_fail(str(error))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """In a browser that would give the admin's password to the service, as after a visit of its pages."""
    context = browser.new_context(http_credentials={"username": "admin", "password": KEY, "send": "always"})
    context.set_default_timeout(WAIT_MS)
    yield context.new_page()
    context.close()


def fetch(page: Page, url: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(FETCH, [url, options])
    return found


def refusals(api: Api, path: str) -> int:
    """How often the log says that a page of another origin has posted something to ``path``."""
    return (api.folder / "api.log").read_text().count(f"refused: POST {path} ")


def answer_after(page: Page, script: str, argument: Any, url: str) -> Response:
    """The service's answer to the request for ``url`` that ``script`` makes."""
    with page.expect_response(url) as answered:
        page.evaluate(script, argument)
    return answered.value


@pytest.fixture(params=["http://127.0.0.1:{}", "http://localhost:{}", "http://evil.test:{}"])
def strange_page(page: Page, stranger: int, request: pytest.FixtureRequest) -> Page:
    """Of the same site by another port, of another site, and of one that is not on this machine to the browser."""
    page.goto(request.param.format(stranger))
    return page


def test_a_strangers_script_reads_nothing_and_changes_nothing(strange_page, api, service, job):
    for path in ("/predict", "/infer", "/v1/jobs", "/feedback"):
        assert fetch(strange_page, service + path, method="POST", form="GIF") == REFUSED
        refused = refusals(api, path)
        assert fetch(strange_page, service + path, method="POST", mode="no-cors", form="GIF") == REFUSED
        assert refusals(api, path) == refused + 1  # it was sent all the same
    assert fetch(strange_page, job) == REFUSED
    assert fetch(strange_page, job, method="DELETE") == REFUSED
    assert fetch(strange_page, f"{service}/admin/feedback", mode="no-cors", credentials="include") == REFUSED

    eventually(lambda: requests.get(job, timeout=TIMEOUT_S).json()["state"] == "done", "it was not cancelled")
    assert not (api.folder / "feedback.csv").exists()


@pytest.mark.parametrize("path", ["/", "/feedback"])
def test_a_strangers_form_is_refused(strange_page, api, service, path):
    url = service + path
    answer = answer_after(strange_page, SEND_FORM, [url, "multipart/form-data"], url)

    assert answer.status == 403
    assert not (api.folder / "feedback.csv").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", OUR_NAME], ids=["refused", "thrown away"])
def test_no_page_of_the_service_is_shown_inside_a_strangers(strange_page, api, host):
    """Without TLS the service can't tell, but the browser does not show what it gets."""
    for path in ("/", "/admin/feedback"):
        url = f"http://{host}:{api.address[1]}{path}"
        with strange_page.expect_event("framenavigated", lambda frame: frame.url.startswith("chrome-error:")):
            answer = answer_after(strange_page, FRAME, url, url)
        assert answer.status == 403 or host == OUR_NAME


def test_a_stored_picture_is_shown_on_the_services_own_page_only(strange_page, api, service):
    name = requests.post(
        service,
        files={"file": ("photo.gif", GIF + b"tabby")},
        headers={"Accept": "application/json"},
        timeout=TIMEOUT_S,
    ).json()["image"]
    CopyStore(api.folder / "copies").put(name, PICTURE)  # these workers make none
    url = f"{service}/display/{name}"

    assert strange_page.evaluate(LOAD_PICTURE, url) is False
    assert strange_page.evaluate(LOAD_PICTURE, f"{service}/static/logo.svg") is False
    strange_page.goto(service)
    assert strange_page.evaluate(LOAD_PICTURE, f"{service}/static/logo.svg") is True
    assert fetch(strange_page, url)["status"] == 200


def test_a_strangers_link_leads_to_the_page_but_not_to_the_admins(strange_page, service):
    here = strange_page.url
    answers = []
    for path in ("/", "/admin/feedback"):
        strange_page.goto(here)
        strange_page.evaluate("url => { document.body.innerHTML = `<a href='${url}'>there</a>` }", service + path)
        with strange_page.expect_response(service + path) as answered:
            strange_page.get_by_role("link").click()
        answers.append(answered.value.status)

    assert answers == [200, 403]


def test_the_admin_opens_the_page_by_its_address(page, service):
    assert page.goto(f"{service}/admin/feedback").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", OUR_NAME], ids=["told by Sec-Fetch-Site", "told by Origin"])
def test_the_services_own_forms_and_scripts_work(browser, api, host):
    """The page needs no script, and no TLS: without either its form has to be known as its own."""
    own = f"http://{host}:{api.address[1]}"
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{own}/feedback")
        with page.expect_response(f"{own}/feedback") as answered:
            page.get_by_role("button", name="Send report").click()
        assert answered.value.status == 200
        assert "sec-fetch-site" in answered.value.request.all_headers() or host == OUR_NAME
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(own)

        assert fetch(page, f"{own}/predict", method="POST", form="text")["status"] == 400
        assert fetch(page, f"{own}/v1/jobs/0", method="DELETE")["status"] == 404


def test_a_name_that_was_pointed_here_reads_nothing(page, api):
    """To the browser all of evil.test is the stranger's own, who may read what it shows."""
    for path in ("/health", "/admin/feedback"):
        shown = page.goto(f"http://evil.test:{api.address[1]}{path}")

        assert shown.status == 421
        assert shown.json()["detail"].startswith("this service does not answer to the name")


def test_scripts_of_an_allowed_origin_use_the_api_but_not_the_admins_pages(page, friend, service, job):
    page.goto(friend)
    with_key = {"Authorization": "Bearer -", "X-API-Key": "-", "Idempotency-Key": "1"}
    answer = fetch(page, f"{service}/v1/jobs", method="POST", headers=with_key, form="GIF")
    gone = fetch(page, f"{service}/v1/jobs/0", method="DELETE", headers=with_key)
    labels = fetch(page, f"{service}/labels")

    assert (answer["status"], gone["status"], labels["status"]) == (415, 404, 200)
    assert json.loads(labels["text"])["labels"] == ["tabby", "lynx"]
    assert fetch(page, job)["status"] == 200
    assert fetch(page, f"{service}/labels", credentials="include") == REFUSED
    assert fetch(page, f"{service}/admin/feedback", headers={"Authorization": f"Bearer {KEY}"}) == REFUSED
