"""What is wrong inside is for the log: an error's text names no socket, host or path."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from api.app import create_app
from api.services import Services
from api.settings import Settings
from tests.support.conformance import PROBLEM
from tests.support.scripted_worker import GIF

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

HOST = "redis-that-is-not-there.invalid"


@pytest.fixture(params=["socket", "host"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> FlaskClient:
    """No Redis, and files where the folders ought to be."""
    for name in ("uploads", "feedback"):
        (tmp_path / name).touch()
    redis_url = f"unix://{tmp_path}/redis.sock" if request.param == "socket" else f"redis://:secret@{HOST}:6399/0"
    settings = Settings(
        redis_url=redis_url,
        upload_dir=tmp_path / "uploads",
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path / "feedback",
        link_secret=SecretStr("a-secret-for-links-of-this-test-alone"),
    )
    return create_app(Services.connect(settings)).test_client()


def test_no_text_for_a_sender_says_where_anything_is(broken, tmp_path, caplog):
    def form() -> dict[str, object]:
        return {"file": (BytesIO(GIF + b"tabby"), "photo.gif"), "comment": "wrong"}

    name = "0" * 64
    answers = [
        *(broken.get(path) for path in ("/health", "/readyz", "/labels", "/metrics", f"/display/{name}")),
        *(broken.post(path, data=form()) for path in ("/predict", "/infer", "/infer/batch", "/v1/jobs", "/")),
        broken.post("/feedback", data={"comment": "wrong"}, headers={"Accept": "application/json"}),
        broken.get(f"/v1/jobs/{'0' * 32}"),
    ]
    told = [f"{answer.headers} {answer.text}" for answer in answers]

    assert sum(answer.content_type == PROBLEM for answer in answers) >= 8
    for secret in (str(tmp_path), "redis.sock", HOST, "secret", "6399"):
        assert [text for text in told if secret in text] == []
    assert str(tmp_path) in caplog.text
