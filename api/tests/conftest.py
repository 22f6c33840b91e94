from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache

from api.openapi.document import load
from api.services import Services
from api.settings import Settings
from tests.support.conformance import Conformance
from tests.support.operated_site import KEY, OperatedSite
from tests.support.workers import ScriptedWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jinja2.bccache import Bucket
    from redis import Redis
    from werkzeug.test import TestResponse

    from tests.support.server import Server

PLACES = ("redis_url", "image_store", "copies_dir", "feedback_dir", "api_keys_file")


class CompiledTemplates(BytecodeCache):
    """Compiled once for all the applications that tests make, a new one each."""

    def __init__(self) -> None:
        self._by_name_and_source: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if known := self._by_name_and_source.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._by_name_and_source[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


@pytest.fixture(scope="session", autouse=True)
def _templates_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {"bytecode_cache": CompiledTemplates()})
        yield


def _conformance(settings: Settings) -> Conformance:
    """With the document of these settings, read once: where a test keeps its files is nothing that it tells of."""
    return _conformance_to(settings.model_copy(update={name: Settings.model_fields[name].default for name in PLACES}))


@cache
def _conformance_to(settings: Settings) -> Conformance:
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


@pytest.fixture
def scripted_workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    """On a server with nothing in it."""
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def open_site(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[Callable[..., OperatedSite]]:
    """Opens the API of these settings beside them."""
    opened: list[Services] = []

    def open_site(**settings: object) -> OperatedSite:
        places = {"redis_url": valkey.api_url, "upload_dir": tmp_path / "uploads", "feedback_dir": tmp_path}
        usual = {"admin_api_key": KEY, "result_cache": False}
        opened.append(Services.connect(Settings(**{**places, **usual, **settings})))  # type: ignore[arg-type]
        return OperatedSite(opened[-1], redis)

    yield open_site
    for services in opened:
        services.queue.close()
