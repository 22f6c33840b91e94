from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract.limits import DEFAULT_MAX_PIXELS
from model.bundle import load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.sandbox.process import load_decoders
from model.tests import networks
from tests.support.missing import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session", autouse=True)
def _decoders() -> None:
    """Set up as a reader in the sandbox has them: some tests ask its modules without its process."""
    load_decoders()


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    with Decoder(DEFAULT_MAX_PIXELS) as decoder:
        yield decoder


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Makes a bundle of a tiny network; ``preprocess={...}`` and the like change fields of its manifest."""

    def write(folder: str = "colours", **changes: Any) -> Path:
        return networks.write_bundle(tmp_path / folder, **changes)

    return write


@pytest.fixture(scope="session", params=["resnet50-int8", "resnet50-fp32"])
def resnet(request: pytest.FixtureRequest, decoder: Decoder) -> Classifier:
    """The real model, as ``make model`` writes it."""
    path = MODELS / request.param
    if not path.is_dir():
        skip_or_fail(f"no {path.name} in models/: run make model")
    return Classifier(load_bundle(path), decoder, top_k=5)
