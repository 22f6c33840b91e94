"""What ``/health`` says to people and to programs, without Redis and workers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from api import VERSION
from api.app import create_app
from api.services import Services
from api.settings import Settings
from contract.errors import BackendDown
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
WELL = {
    "status": "ok", "version": VERSION, "model_loaded": True, "workers": 2,
    "model": "resnet50", "model_version": "2", "digest": "d" * 64, "queued": 3,
}  # fmt: skip


class Workers:
    """Two of them; or ``trouble``, as if Redis were away."""

    trouble: Exception | None = None

    def default_pool(self) -> Any:
        if self.trouble is not None:
            raise self.trouble
        return SimpleNamespace(
            model="resnet50@2", version=ModelVersion("resnet50", "2"), digest="d" * 64, workers=[1, 2]
        )


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def client(tmp_path: Path, workers: Workers) -> FlaskClient:
    settings = Settings(
        upload_dir=tmp_path / "uploads", copies_dir=tmp_path / "copies", feedback_dir=tmp_path / "feedback"
    )
    queue = SimpleNamespace(depth=lambda _model: 3)
    services = replace(Services.connect(settings), live_workers=cast("Any", workers), queue=cast("Any", queue))
    return create_app(services).test_client()


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.9"])
def test_a_program_gets_json(client, accept):
    """curl, health checks and libraries ask for nothing, or for anything."""
    response = client.get("/health", headers={} if accept is None else {"Accept": accept})

    assert response.get_json() == WELL


def test_a_browser_gets_a_page(client, workers):
    """With what is wrong, if anything is, in words, and the same status."""
    page = client.get("/health", headers={"Accept": BROWSER})
    workers.trouble = BackendDown("Redis does not answer")
    degraded = client.get("/health", headers={"Accept": BROWSER})

    assert page.mimetype == "text/html"
    assert ">Ready</h1>" in page.text
    assert all(f">{value}<" in page.text for value in ("resnet50", "d" * 64, 2, 3, VERSION))
    assert degraded.status_code == 200
    assert ">Not ready</h1>" in degraded.text
    assert 'role="alert">Redis does not answer<' in degraded.text
