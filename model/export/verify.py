"""The last look at a finished bundle, through the same door as every worker: what it refuses is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.limits import DEFAULT_MAX_PIXELS
from model.bundle import load_bundle
from model.decode import Decoder
from model.errors import BundleError, ModelError
from model.export.errors import ExportError
from model.opening import verified_predictor

if TYPE_CHECKING:
    from pathlib import Path


def check(folder: Path) -> None:
    """Load a bundle as a worker would and give it its golden picture.

    Raises:
        ExportError: a checksum, a shape, the labels or the golden picture's answer is wrong.
    """
    try:
        with Decoder(DEFAULT_MAX_PIXELS) as decoder:
            verified_predictor(load_bundle(folder), decoder, num_threads=1, top_k=1)
    except (BundleError, ModelError) as error:
        msg = f"{folder.name} failed its check and was not installed: {error}"
        raise ExportError(msg) from error
