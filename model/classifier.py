"""Pictures → outcomes. No queue: the worker and the command line both stand on this."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from contract.messages import Classification, Failure, Timings
from model.bundle import choose_bundle, load_bundle
from model.decode import Decoder
from model.errors import BundleError, PictureError
from model.preprocess import preprocess
from model.ranking import top_k
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.bundle import Bundle


class Classifier:
    """One bundle, loaded and ready to classify.

    Args:
        bundle: the model.
        decoder: reads the pictures; who made it closes it.
        num_threads: threads of the session.
        top_k: labels in every answer.

    Raises:
        BundleError: the network is not what the bundle's manifest says.
    """

    def __init__(self, bundle: Bundle, decoder: Decoder, *, num_threads: int = 1, top_k: int = 10) -> None:
        self.bundle = bundle
        self._decoder = decoder
        self._session = Session(bundle, num_threads)
        self._top_k = top_k

    def classify(
        self, images: Sequence[bytes], *, on_progress: Callable[[], None] = lambda: None
    ) -> list[Classification | Failure]:
        """Turn a micro-batch of encoded pictures into one outcome each, in order.

        A bad picture is its sender's fault and becomes a Failure; our own faults raise. ``on_progress`` is called after
        each picture's decoding, whatever came of it.
        """
        decoded = []
        for image in images:
            decoded.append(self._decode(image))
            on_progress()
        inputs = [entry[0] for entry in decoded if not isinstance(entry, Failure)]
        if not inputs:
            return [entry for entry in decoded if isinstance(entry, Failure)]
        started = perf_counter()
        probabilities = self._session.run(np.stack(inputs))
        infer_ms = _ms_since(started)
        answers = iter(top_k(probabilities, self.bundle.labels, self._top_k))
        return [
            entry
            if isinstance(entry, Failure)
            else Classification(self.bundle.name, self.bundle.digest, next(answers), Timings(entry[1], infer_ms))
            for entry in decoded
        ]

    def verify(self) -> None:
        """Classify the bundle's golden picture, which also warms the session up; without one, only warm up.

        Raises:
            BundleError: the model gives the picture another label than the manifest does.
            ModelError: the network's answer is unusable.
        """
        golden, spec = self.bundle.golden, self.bundle.input
        if golden is None:
            sides = (spec.height, spec.width)
            shape = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
            self._session.run(np.zeros(shape, spec.dtype))
            return
        (outcome,) = self.classify([golden.picture.read_bytes()])
        if isinstance(outcome, Failure):
            raise BundleError(f"{golden.picture.name}: the golden picture can't be read: {outcome.detail}")
        if outcome.labels[0].label != golden.label:
            raise BundleError(
                f"{golden.picture.name}: the model says {outcome.labels[0].label}, "
                f"but the manifest expects {golden.label}"
            )

    def _decode(self, image: bytes) -> tuple[NDArray[np.float32 | np.uint8], float] | Failure:
        """A network input and the milliseconds that it took."""
        started = perf_counter()
        try:
            pixels = preprocess(image, self._decoder, self.bundle.preprocess, self.bundle.input)
        except PictureError as error:
            return Failure(error.kind, str(error))
        return pixels, _ms_since(started)


@contextmanager
def open_classifier(
    path: Path, labels_path: Path | None, *, max_pixels: int, num_threads: int, top_k: int
) -> Iterator[Classifier]:
    """The classifier of the model at ``path``, verified; closed with all that belongs to it when the context ends.

    Args:
        path, labels_path: as ``choose_bundle`` and ``load_bundle`` take them.
        max_pixels: the largest picture, width x height.
        num_threads, top_k: as ``Classifier`` takes them.

    Raises:
        BundleError: there is no such model, or it is not what its manifest says.
        ModelError: its answer to the golden picture is unusable.
    """
    bundle = load_bundle(choose_bundle(path), labels_path)
    with Decoder(max_pixels) as decoder:
        classifier = Classifier(bundle, decoder, num_threads=num_threads, top_k=top_k)
        classifier.verify()
        yield classifier


def _ms_since(started: float) -> float:
    return (perf_counter() - started) * 1000
