from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model.bundle import CARD, LABELS, MODEL, load_bundle
from model.classifier import Classifier
from model.tests import networks

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Makes a bundle of a tiny network; ``preprocess={...}`` and the like change fields of its card."""

    def write(folder: str = "colours", **changes: Any) -> Path:
        path = tmp_path / folder
        path.mkdir()
        networks.write_uint8_network(path / MODEL)
        (path / LABELS).write_text("\n".join(networks.LABELS) + "\n")
        card = copy.deepcopy(networks.UINT8_CARD)
        for field, value in changes.items():
            if isinstance(value, dict) and isinstance(card.get(field), dict):
                card[field].update(value)
            else:
                card[field] = value
        (path / CARD).write_text(json.dumps(card, indent=2) + "\n")
        return path

    return write


@pytest.fixture(scope="session", params=["resnet50-int8", "resnet50-fp32"])
def resnet(request: pytest.FixtureRequest) -> Classifier:
    """The real model, as ``make model`` writes it."""
    path = MODELS / request.param
    if not path.is_dir():
        reason = f"no {path.name} in models/: run make model"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Classifier(load_bundle(path), top_k=5)
