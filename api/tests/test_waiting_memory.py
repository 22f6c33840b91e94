"""While a request waits for its answer, its picture is on the disk and no longer in memory."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from api.app import create_app
from api.core.errors import NoWorker
from api.tests.test_inspections import BRACKET, PHOTO, Detector, services_of
from contract.image_store import ImageStore
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from pathlib import Path

    from api.core.inference import Inference

LARGE = PHOTO + bytes(8_000_000)


class Waiting:
    """Has stored the picture and waits; ``held_bytes`` is what all others have allocated since the request came."""

    held_bytes = -1

    def admit(self, *_asked: Any) -> None:
        """Never busy."""

    def task(self, _model: Any) -> ModelTask:
        return ModelTask.CLASSIFICATION

    def infer(self, image: bytes, *_asked: Any) -> NoReturn:
        assert len(image) == len(LARGE)
        del image
        self.held_bytes = tracemalloc.get_traced_memory()[0]
        raise NoWorker("enough was seen", 1)

    answered = infer


@pytest.mark.parametrize("route", ["/", "/predict", "/infer", "/detect", "/inference", "/v1/inspections", "/main"])
def test_a_picture_takes_no_memory_while_its_request_waits(tmp_path: Path, route: str) -> None:
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "bracket.yaml").write_text(BRACKET)
    waiting = Waiting()
    services = services_of(Detector(ImageStore(tmp_path / "uploads")), tmp_path / "patterns", tmp_path)
    client = create_app(replace(services, inference=cast("Inference", waiting))).test_client()
    body = io.BytesIO(LARGE)
    tracemalloc.start()
    try:
        client.post(route, input_stream=body, content_length=len(LARGE), content_type="image/jpeg")
    finally:
        tracemalloc.stop()

    assert 0 <= waiting.held_bytes < len(LARGE) / 2
