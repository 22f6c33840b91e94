"""Pictures → outcomes, whatever the model's task. No queue: the worker and the command lines stand on this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

from contract.messages import Classification, Detection, Failure, Timings
from model.errors import BundleError, DamagedImage, PictureError
from model.picture import Picture
from model.preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from contract.messages import PictureJob
    from model.bundle import Bundle, GoldenCheck
    from model.decode import Decoder
    from model.preprocess import Prepared, Window

A = TypeVar("A", Classification, Detection)


@dataclass(frozen=True, slots=True)
class Ready:
    """A picture that is ready for the network, and how many milliseconds that took."""

    prepared: Prepared
    damaged: bool
    decode_ms: float

    @property
    def window(self) -> Window:
        return self.prepared.window

    def timings(self, infer_ms: float) -> Timings:
        return Timings(self.decode_ms, infer_ms)


class Predictor(ABC, Generic[A]):
    """One bundle, loaded and ready to answer.

    Args:
        bundle: the model.
        decoder: reads the pictures; who made it closes it.

    Attributes:
        job: what asks for its answers.
    """

    job: ClassVar[type[PictureJob]]

    def __init__(self, bundle: Bundle, decoder: Decoder) -> None:
        self.bundle = bundle
        self.decoder = decoder

    def predict(
        self, pictures: Sequence[Picture], *, on_progress: Callable[[], None] = lambda: None
    ) -> list[A | Failure]:
        """Turn a micro-batch of pictures into one outcome each, in order.

        A bad picture is its sender's fault and becomes a Failure; our own faults raise. ``on_progress`` is called each
        time that a picture has been decoded, whatever came of it.
        """
        read = [self._read(picture, on_progress) for picture in pictures]
        ready = [entry for entry in read if not isinstance(entry, Failure)]
        answers = iter(self._answers(ready) if ready else [])
        return [entry if isinstance(entry, Failure) else next(answers) for entry in read]

    def verify(self) -> None:
        """Warm the session up, hold what the network gives against the manifest, and show it the golden picture.

        Raises:
            BundleError: the output is of another kind than the manifest says, or so is the golden picture's answer.
            ModelError: the network's answer is unusable.
        """
        self.warm_up()
        if self.bundle.golden is not None:
            self.check_golden(self.bundle.golden)

    @abstractmethod
    def warm_up(self) -> NDArray[np.float32]:
        """As the session's own."""

    @abstractmethod
    def check_golden(self, golden: GoldenCheck) -> float:
        """Show the model the golden picture.

        Returns:
            The score of what it must say; of several things the lowest.

        Raises:
            BundleError: the picture can't be read, or the model does not say what the manifest does.
            ModelError: the network's answer is unusable.
        """

    @abstractmethod
    def _answers(self, ready: Sequence[Ready]) -> list[A]:
        """What the model says of a batch of at least one picture, in order."""

    def _golden_answer(self, golden: GoldenCheck) -> A:
        """Raises BundleError: the picture can't be read."""
        (outcome,) = self.predict([Picture(golden.picture.read_bytes())])
        if isinstance(outcome, Failure):
            raise BundleError(f"{golden.picture.name}: the golden picture can't be read: {outcome.detail}")
        return outcome

    def _read(self, picture: Picture, on_progress: Callable[[], None]) -> Ready | Failure:
        started = perf_counter()
        try:
            prepared, damaged = self._prepare(picture, on_progress)
        except PictureError as error:
            return Failure(error.kind, str(error))
        finally:
            on_progress()
        return Ready(prepared, damaged, ms_since(started))

    def _prepare(self, picture: Picture, on_progress: Callable[[], None]) -> tuple[Prepared, bool]:
        """A network input, and whether the picture is damaged: only then is it decoded twice."""
        decode = partial(preprocess, picture.data, self.decoder, self.bundle.preprocess, self.bundle.input)
        try:
            return decode(strict=True), False
        except DamagedImage:
            if picture.strict:
                raise
            on_progress()  # each of the two may take as long as a picture may
            return decode(strict=False), True


def stacked(ready: Sequence[Ready]) -> NDArray[np.float32 | np.uint8]:
    """The network's input of a batch."""
    return np.stack([entry.prepared.values for entry in ready])


def ms_since(started: float) -> float:
    """Since a moment of ``perf_counter``."""
    return (perf_counter() - started) * 1000
