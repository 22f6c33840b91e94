from __future__ import annotations

import errno

import pytest
from flask import Flask

from api.core import errors as api_errors
from api.http.problems import STATUS, Problems
from contract import errors


def client_of_a_view_that_raises(error: Exception):
    app = Flask(__name__)
    Problems(count_refusal=lambda _: None).register(app)

    @app.get("/")
    def view() -> str:
        raise error

    return app.test_client()


def family(kind: type[errors.ServiceError]) -> list[type[errors.ServiceError]]:
    return [kind, *(member for child in kind.__subclasses__() for member in family(child))]


def test_every_error_that_is_raised_has_a_status():
    """The base classes are only caught; all others are raised."""
    branches = {errors.ServiceError, errors.TemporarilyUnavailable, api_errors.InvalidUpload, api_errors.AccessRefused}

    assert set(STATUS) == set(family(errors.ServiceError)) - branches


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE])
def test_a_machine_without_room_says_when_to_try_again(number):
    """A full temporary folder, or no descriptor left, is temporary: it is not a bug, and the sender may try again."""
    response = client_of_a_view_that_raises(OSError(number, "no room")).get("/")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


def test_a_bug_shows_no_trace():
    """The log says what went wrong; the client learns only that something did."""
    response = client_of_a_view_that_raises(RuntimeError("secret path /srv/x")).get("/")

    assert response.status_code == 500
    assert response.content_type == "application/problem+json"
    assert "secret" not in response.text
