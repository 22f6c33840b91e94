from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from flask.testing import FlaskClient

from api.openapi.document import load
from tests.support.conformance import Conformance

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from api.settings import Settings


@cache
def _conformance(settings: Settings) -> Conformance:
    return Conformance(load(settings))


@pytest.fixture(autouse=True)
def _every_answer_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer that a test here gets from the whole application must be one that OpenAPI describes."""
    plain_open = FlaskClient.open

    def checked_open(client: FlaskClient, *args: Any, **kwargs: Any) -> TestResponse:
        response = plain_open(client, *args, **kwargs)
        app = client.application
        if "services" in app.extensions:
            asked = response.request
            body = response.get_data() if response.is_json else b""  # a file in pieces is left to the test
            conformance = _conformance(app.extensions["services"].settings)
            conformance.check(asked.method, asked.path, response.status_code, dict(response.headers), body)
        return response

    monkeypatch.setattr(FlaskClient, "open", checked_open)
