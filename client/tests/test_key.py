"""Where the client's key comes from, where it goes, and where it is never seen."""

from __future__ import annotations

import logging
import traceback

import pytest

from classifier_client import ClassifierError, Client, OverLimit, Unauthorized
from client.tests.scripted_service import JOB_ID, Answer, Request, ScriptedService, job_answer, problem

KEY = "a-key-of_43-characters-as-the-service-makes"
PHOTO = b"\xff\xd8 the bytes of a photo"


def sent_keys(service: ScriptedService) -> list[str | None]:
    return [request.headers.get("Authorization") for request in service.requests]


def test_every_request_carries_the_key():
    """A picture's, its second try's, and those about a job."""
    busy = problem(429, Retry_After="0")
    script = [busy, Answer(), job_answer("queued"), job_answer("running"), job_answer("cancelled")]
    with ScriptedService(*script) as service, Client(service.url, key=KEY) as client:
        client.classify(PHOTO)
        client.submit(PHOTO)
        client.job(JOB_ID).state()
        client.job(JOB_ID).cancel()

        assert sent_keys(service) == [f"Bearer {KEY}"] * 5


def test_the_environments_key_is_read_when_a_client_is_made(monkeypatch):
    """Not when the package is imported: a program may read its secrets later. An empty key is none, whoever says so."""
    with ScriptedService() as service:
        monkeypatch.setenv("CLASSIFIER_KEY", KEY)
        for key in (None, "another", ""):
            with Client(service.url, key=key) as client:
                client.classify(PHOTO)
        monkeypatch.setenv("CLASSIFIER_KEY", "")
        with Client(service.url) as client:
            client.classify(PHOTO)

        assert sent_keys(service) == [f"Bearer {KEY}", "Bearer another", None, None]


def test_the_key_does_not_follow_a_redirect():
    """Whoever answers at an address could otherwise have it sent to a host of his own."""
    with ScriptedService() as elsewhere:
        moved = [Answer(status, b"", {"Location": f"{elsewhere.url}/infer"}) for status in (301, 302, 303, 307, 308)]
        with ScriptedService(*moved) as service, Client(service.url, key=KEY) as client:
            for _ in moved:
                with pytest.raises(ClassifierError):
                    client.classify(PHOTO)

            assert len(service.requests) == len(moved)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    "url", ["http://classifier:8000", "http://192.168.1.7", "http://localhost.evil.example", "http://[2001:db8::1]"]
)
def test_the_key_does_not_travel_to_another_machine_in_clear(url):
    """Everybody on the way could read it, and use it from then on. Who knows that nobody is there says so."""
    with pytest.raises(ValueError, match="unencrypted") as error:
        Client(url, key=KEY)

    assert KEY not in str(error.value)
    Client(url, key=KEY, allow_plain_http=True).close()
    Client(url.replace("http:", "https:"), key=KEY).close()
    Client(url).close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://127.1.2.3", "http://LOCALHOST", "http://[::1]:8000"])
def test_on_this_machine_the_key_may_travel_in_clear(url):
    Client(url, key=KEY).close()


@pytest.mark.parametrize("key", ["two words", f"{KEY}\n", f"{KEY}\r\nX-Other: 1", "clé", "\0"])
def test_what_can_be_no_key_is_refused_at_once_and_not_repeated(key):
    """A line's end, as a file leaves it, would be a second header."""
    with pytest.raises(ValueError, match="printable ASCII") as error:
        Client("http://127.0.0.1:8000", key=key)

    assert key.strip() not in str(error.value)


def test_a_key_in_the_address_is_refused_and_not_repeated():
    """It would end in every error's text, since the address does."""
    for url in (f"https://:{KEY}@classifier.example", f"ftp://{KEY}@classifier.example"):
        with pytest.raises(ValueError, match="not in the address") as error:
            Client(url)

        assert KEY not in str(error.value)


def test_the_key_is_in_no_error_and_no_log(caplog):
    """Not even if what stands at the address answers with what it was sent, and not in a traceback with variables."""
    caplog.set_level(logging.DEBUG)

    def echo(request: Request) -> Answer:
        said = request.headers["Authorization"]
        if request.method == "GET":
            return Answer(200, f"you sent {said}".encode())
        return problem(401, f"unknown: {said}")

    with ScriptedService(play=echo) as service, Client(service.url, key=KEY) as client:
        job = client.job(JOB_ID)
        seen = [repr(client), repr(job)]
        for ask in (lambda: client.classify(PHOTO), job.state, job.result):
            with pytest.raises(ClassifierError) as error:
                ask()
            shown = traceback.TracebackException.from_exception(error.value, capture_locals=True)
            ours = [frame for frame in shown.stack if "classifier_client" in frame.filename]
            seen += [str(error.value), repr(error.value), *(str(frame.locals) for frame in ours)]

        assert len(service.requests) == 3
        assert [text for text in [*seen, caplog.text] if KEY in text] == []


def test_a_wrong_key_is_not_tried_again():
    """Each try would count against the address, until the service no longer listens to it."""
    with ScriptedService(problem(401, "no such key")) as service, Client(service.url, key=KEY) as client:
        with pytest.raises(Unauthorized, match="no such key"):
            client.classify(PHOTO)

        assert len(service.requests) == 1


def test_a_job_over_the_limit_is_an_error_only_when_the_time_is_over():
    """A program that waits for a job asks again as long as it was told to."""
    script = [problem(429, Retry_After="0"), job_answer("running"), problem(429, Retry_After="3600")]
    with ScriptedService(*script) as service, Client(service.url, key=KEY) as client:
        with pytest.raises(OverLimit):
            client.job(JOB_ID).result(timeout_s=20)

        assert len(service.requests) == 3
