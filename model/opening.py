"""Opening a model: the predictor of its task, once it has shown that it is what its manifest says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from model.bundle import choose_bundle, load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.detection.detector import Detector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from model.bundle import Bundle

AnyPredictor = Classifier | Detector


def predictor_of(bundle: Bundle, decoder: Decoder, *, num_threads: int, top_k: int) -> AnyPredictor:
    """The predictor of a bundle's task.

    Args:
        decoder, num_threads: as ``Classifier`` takes them.
        top_k: labels in a classifier's answers.

    Raises:
        BundleError: the network is not what the bundle's manifest says.
    """
    if bundle.task == "detection":
        return Detector(bundle, decoder, num_threads=num_threads)
    return Classifier(bundle, decoder, num_threads=num_threads, top_k=top_k)


def verified_predictor(bundle: Bundle, decoder: Decoder, *, num_threads: int, top_k: int) -> AnyPredictor:
    """As ``predictor_of``, once it has shown that it is what its manifest says.

    Raises:
        BundleError: it is not.
        ModelError: its answer to the golden picture is unusable.
    """
    predictor = predictor_of(bundle, decoder, num_threads=num_threads, top_k=top_k)
    predictor.verify()
    return predictor


@contextmanager
def open_predictor(
    path: Path, labels_path: Path | None, *, max_pixels: int, num_threads: int, top_k: int
) -> Iterator[AnyPredictor]:
    """The verified predictor of the model at ``path``; closed with all that belongs to it when the context ends.

    Args:
        path, labels_path: as ``choose_bundle`` and ``load_bundle`` take them.
        max_pixels: the largest picture, width x height.
        num_threads, top_k: as ``predictor_of`` takes them.

    Raises:
        BundleError: there is no such model, or it is not what its manifest says.
        ModelError: its answer to the golden picture is unusable.
    """
    bundle = load_bundle(choose_bundle(path), labels_path)
    with Decoder(max_pixels) as decoder:
        yield verified_predictor(bundle, decoder, num_threads=num_threads, top_k=top_k)
