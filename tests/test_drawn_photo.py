"""A photo with what the project's own detector finds in it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
import requests
from PIL import Image

from model.export.errors import ExportError
from tests.pictures import odd
from tests.support.detector_bundle import detector_bundle
from tests.support.missing import skip_or_fail
from tests.support.stack import Stack
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    try:
        detector = detector_bundle(tmp_path_factory.mktemp("models"))
    except ExportError as error:
        skip_or_fail(str(error))
    with Stack(tmp_path_factory.mktemp("stack"), MODELS=str(detector), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def test_a_cat_has_a_frame_where_it_lies_and_nothing_else_is_changed(stack):
    photo, fields = odd.CHELSEA.read_bytes(), {"min_score": "0.5"}
    sides = requests.post(f"{stack.url}/detect", files={"file": photo}, data=fields, timeout=WAIT_S).json()
    (cat,) = sides["detections"]
    answer = requests.post(
        f"{stack.url}/detect", files={"file": photo}, data=fields, headers={"Accept": "image/png"}, timeout=WAIT_S
    )
    shown, sent = (np.asarray(Image.open(BytesIO(data)).convert("RGB"), np.int16) for data in (answer.content, photo))
    changed = (np.abs(shown - sent) > 40).any(axis=2)
    left, top = round(cat["box"]["x"]), round(cat["box"]["y"])
    right, bottom = round(left + cat["box"]["width"]), round(top + cat["box"]["height"])

    assert cat["label"] == "cat"
    assert answer.headers["X-Detections"] == "1"
    assert shown.shape == sent.shape
    assert changed[30:bottom, max(0, left - 6) : left + 6].any(axis=1).all()
    assert changed[30:bottom, right - 6 : right + 6].any(axis=1).all()
    assert not changed[40 : bottom - 10, left + 10 : right - 10].any()
