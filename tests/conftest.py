"""The running service, for tests that use it as its users do."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.structures import CaseInsensitiveDict

from api.openapi.document import load
from api.settings import Settings
from stress_test.senders import Senders
from tests.support.browser import WAIT_MS, NoBrowser, chromium
from tests.support.conformance import Conformance
from tests.support.missing import skip_or_fail
from tests.support.stack import Stack
from tests.support.workers import ScriptedWorkers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

    from tests.support.server import Server

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture(autouse=True)
def _every_answer_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test here asks of a service by ``requests``, the answer has to be one that OpenAPI tells of.

    A service that BASE_URL names is asked with the key in CLASSIFIER_KEY, if there is one.
    """
    key = Senders.of_environment().headers(0)
    plain_send = requests.Session.send

    def checked_send(session: requests.Session, asked: requests.PreparedRequest, **how: Any) -> requests.Response:
        if key and str(asked.url).startswith(os.environ["BASE_URL"]):
            asked.headers = CaseInsensitiveDict({**key, **asked.headers})
        response = plain_send(session, asked, **how)
        if not how.get("stream"):
            answered = response.request  # after a redirect another than was asked first
            path = urlsplit(answered.url or "").path
            body = response.content if "json" in response.headers.get("Content-Type", "") else b""
            _conformance().check(answered.method or "GET", path, response.status_code, response.headers, body)
        return response

    monkeypatch.setattr(requests.Session, "send", checked_send)


@cache
def _conformance() -> Conformance:
    return Conformance(load(Settings()))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service with the real model, as ``make run`` starts it."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture(scope="session")
def service_url(stack: Stack) -> str:
    return stack.url


@pytest.fixture
def workers(any_server: Server, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    """Scripted workers and the sender's side of the queue, on a server with nothing in it."""
    workers = ScriptedWorkers(any_server, tmp_path)
    workers.redis.flushall()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def feedback_csv(stack: Stack) -> Path:
    return stack.data_dir / "feedback" / "feedback.csv"


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest) -> str:
    """Any running stack: the one that BASE_URL names, or our own."""
    named = os.environ.get("BASE_URL")
    return named.rstrip("/") if named else str(request.getfixturevalue("service_url"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as browser:
            yield browser
    except NoBrowser as error:
        skip_or_fail(str(error))


@pytest.fixture
def page(browser: Browser, service_url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The upload page in a browser of its own; the test fails if its script does, or if its policy forbids a part.

    An indirect parameter is the browser's context: its window, colours, scripts.
    """
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    broken: list[Any] = []

    def listen(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            broken.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: broken.append(error))  # noqa: PLW0108 # playwright writes on what it is handed
    page.goto(service_url)
    yield page
    context.close()
    assert broken == []
