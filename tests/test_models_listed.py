"""``GET /v1/models``, with real workers on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.core.errors import UnknownModel
from api.services import Services
from api.settings import Settings
from contract.model_changes import Change
from contract.model_state import change, read_state
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

WHY = Change(action="test", by="a test", words="")


@pytest.fixture
def services(any_server: Server, tmp_path: Path) -> Iterator[Services]:
    services = Services.connect(
        Settings(
            redis_url=any_server.api_url,
            upload_dir=tmp_path / "uploads",
            copies_dir=tmp_path / "copies",
            feedback_dir=tmp_path,
        )
    )
    yield services
    services.queue.close()


def test_every_model_is_listed_with_its_versions_and_who_serves_them(services, workers):
    workers.start(MODELS="scripted,scripted@2,other")
    scripted, other = sorted(services.models.all(), key=lambda model: model.name, reverse=True)

    assert (scripted.name, scripted.default, scripted.current) == ("scripted", True, ModelVersion("scripted"))
    assert (other.name, other.default) == ("other", False)
    assert [(one.version.version, one.role, one.workers) for one in scripted.versions] == [
        ("1", "current", 1),
        ("2", "served", 1),
    ]
    assert scripted.versions[0].description is not None
    assert scripted.versions[0].description.labels == 2
    assert list(scripted.versions[0].digests.values()) == ["fp32"]


def test_what_waits_is_counted_where_it_waits(services, workers):
    worker = workers.start(MODELS="scripted,scripted@2")
    worker.kill()
    worker.wait()
    workers.queue.submit("scripted@2", workers.request("tabby").queued_job(cache=True), 60)
    first, second = services.models.of("scripted").versions

    assert (first.queued, second.queued) == (0, 1)


def test_a_version_that_nobody_serves_is_listed_if_something_points_at_it(services, workers):
    workers.start()
    state = read_state(workers.redis, "scripted")
    assert state is not None
    change(workers.redis, "scripted", state, state.with_candidate("9", share=5), WHY)
    status = services.models.of("scripted")

    assert [(one.version.version, one.role, one.workers) for one in status.versions] == [
        ("1", "current", 1),
        ("9", "candidate", 0),
    ]
    assert status.state is not None
    assert status.state.share == 5


def test_an_unknown_model_is_told_as_such(services, workers):
    workers.start()
    with pytest.raises(UnknownModel, match="scripted@1"):
        services.models.of("nonsense")
