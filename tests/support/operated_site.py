"""The whole API, without a server of HTTP, with scripted workers behind it: as its clients and its operator have it."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from api.app import create_app
from contract.model_state import ModelState, read_state
from contract.shadow import Comparison
from contract.shadow import ask as ask_shadow
from tests.support.scripted_worker import GIF, MODEL

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from redis import Redis
    from werkzeug.test import TestResponse

    from api.services import Services

KEY = "correct-horse-battery"
OPERATOR = {"Authorization": f"Bearer {KEY}"}
SECOND = f"{MODEL}@2"
PICTURES = [f"cat {number}" for number in range(40)]


class OperatedSite:
    """``KEY`` is its operator's."""

    def __init__(self, services: Services, redis: Redis) -> None:
        self.services = services
        self.client: FlaskClient = create_app(services).test_client()
        self._redis = redis

    def send(self, script: str, **query: str) -> TestResponse:
        """A picture to ``/infer``; the response's text is kept in memory only."""
        file = (io.BytesIO(GIF + script.encode()), "photo.gif")
        return self.client.post("/infer", data={"file": file}, query_string=query)

    def version(self, script: str, **query: str) -> str:
        """Of the model that has answered a picture."""
        response = self.send(script, **query)
        assert response.status_code == HTTPStatus.OK, response.text
        return response.headers["X-Model-Version"]

    def versions(self, **query: str) -> dict[str, str]:
        return {script: self.version(script, **query) for script in PICTURES}

    def operate(self, method: str, path: str, /, **fields: Any) -> TestResponse:
        """What an operator asks below ``/admin/models/<name>``."""
        return self.client.open(f"/admin/models/{MODEL}{path}", method=method, json=fields, headers=OPERATOR)

    def candidate(self, version: str = "2", **part: int) -> None:
        response = self.operate("PUT", "/candidate", version=version, **part)
        assert response.status_code == HTTPStatus.OK, response.text
        self.look_again()

    def look_again(self) -> None:
        """What this process has read of the registry is read anew."""
        self.services.live_workers._looked_at = float("-inf")

    @property
    def state(self) -> ModelState:
        state = read_state(self._redis, MODEL)
        assert state is not None
        return state

    @property
    def comparison(self) -> Comparison:
        with self._redis.pipeline() as pipe:
            ask_shadow(pipe, SECOND)
            return Comparison.parse(*pipe.execute())

    def history(self) -> list[tuple[str, str]]:
        """What was changed, and by which key; the latest first."""
        changes = self.services.model_changes.history(MODEL)
        return [(recorded.change.action, recorded.change.by) for recorded in changes]

    def metric(self, name: str) -> str:
        lines = self.client.get("/metrics", headers=OPERATOR).text.splitlines()
        return next(line.partition(" ")[2] for line in lines if line.startswith(f"{name} "))
