"""Pictures → outcomes. No queue: the worker and the command line both stand on this."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from contract.messages import Classification, Failure, Timings
from model.bundle import choose_bundle, load_bundle
from model.decode import Decoder
from model.errors import BundleError, DamagedImage, PictureError
from model.picture import Picture
from model.preprocess import preprocess
from model.ranking import top_k
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from contract.messages import Label
    from model.bundle import Bundle, GoldenCheck


@dataclass(frozen=True, slots=True)
class _Decoded:
    """One network input, as ``preprocess`` gives it, and the milliseconds that it took."""

    values: NDArray[np.float32 | np.uint8]
    damaged: bool
    decode_ms: float


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
        self.decoder = decoder
        self._session = Session(bundle, num_threads)
        self._top_k = top_k

    def classify(
        self, pictures: Sequence[Picture], *, on_progress: Callable[[], None] = lambda: None
    ) -> list[Classification | Failure]:
        """Turn a micro-batch of pictures into one outcome each, in order.

        A bad picture is its sender's fault and becomes a Failure; our own faults raise. ``on_progress`` is called each
        time that a picture has been decoded, whatever came of it.
        """
        decoded = [self._decode(picture, on_progress) for picture in pictures]
        inputs = [entry.values for entry in decoded if not isinstance(entry, Failure)]
        if not inputs:
            return [entry for entry in decoded if isinstance(entry, Failure)]
        started = perf_counter()
        probabilities = self._session.run(np.stack(inputs))
        infer_ms = _ms_since(started)
        answers = iter(top_k(probabilities, self.bundle.labels, self._top_k))
        return [
            entry if isinstance(entry, Failure) else self._classification(entry, next(answers), infer_ms)
            for entry in decoded
        ]

    def verify(self) -> None:
        """Warm the session up, hold what the network gives against the manifest, and classify the golden picture.

        Raises:
            BundleError: the output is of another kind than the manifest says, or the golden picture gets another label.
            ModelError: the network's answer is unusable.
        """
        self.warm_up()
        if self.bundle.golden is not None:
            self.check_golden(self.bundle.golden)

    def warm_up(self) -> NDArray[np.float32]:
        """As ``Session.warm_up``."""
        return self._session.warm_up()

    def check_golden(self, golden: GoldenCheck) -> float:
        """Classify the golden picture.

        Returns:
            The score of its label.

        Raises:
            BundleError: it can't be read, or the model gives it another label than the manifest does.
            ModelError: the network's answer is unusable.
        """
        (outcome,) = self.classify([Picture(golden.picture.read_bytes())])
        if isinstance(outcome, Failure):
            raise BundleError(f"{golden.picture.name}: the golden picture can't be read: {outcome.detail}")
        if outcome.labels[0].label != golden.label:
            raise BundleError(
                f"{golden.picture.name}: the model says {outcome.labels[0].label}, "
                f"but the manifest expects {golden.label}"
            )
        return outcome.labels[0].score

    def _decode(self, picture: Picture, on_progress: Callable[[], None]) -> _Decoded | Failure:
        started = perf_counter()
        try:
            values, damaged = self._read(picture, on_progress)
        except PictureError as error:
            return Failure(error.kind, str(error))
        finally:
            on_progress()
        return _Decoded(values, damaged, _ms_since(started))

    def _read(self, picture: Picture, on_progress: Callable[[], None]) -> tuple[NDArray[np.float32 | np.uint8], bool]:
        """A network input, and whether the picture is damaged: only then is it decoded twice."""
        decode = partial(preprocess, picture.data, self.decoder, self.bundle.preprocess, self.bundle.input)
        try:
            return decode(strict=True), False
        except DamagedImage:
            if picture.strict:
                raise
            on_progress()  # each of the two may take as long as a picture may
            return decode(strict=False), True

    def _classification(self, decoded: _Decoded, labels: tuple[Label, ...], infer_ms: float) -> Classification:
        timings = Timings(decoded.decode_ms, infer_ms)
        bundle = self.bundle
        return Classification(bundle.name, bundle.digest, labels, timings, decoded.damaged, bundle.version)


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
        yield verified_classifier(bundle, decoder, num_threads=num_threads, top_k=top_k)


def verified_classifier(bundle: Bundle, decoder: Decoder, *, num_threads: int, top_k: int) -> Classifier:
    """The classifier of a bundle, once it has shown that it is what its manifest says.

    Args:
        decoder, num_threads, top_k: as ``Classifier`` takes them.

    Raises:
        BundleError: it is not.
        ModelError: its answer to the golden picture is unusable.
    """
    classifier = Classifier(bundle, decoder, num_threads=num_threads, top_k=top_k)
    classifier.verify()
    return classifier


def _ms_since(started: float) -> float:
    return (perf_counter() - started) * 1000
