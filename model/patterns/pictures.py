"""The objects in files of pictures, by the detector that is served, without a service."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tqdm import tqdm

from contract.messages import Failure
from contract.wording import nearest
from model.bundle import load_bundle
from model.classify import BATCH, printable
from model.cpu import usable_cpus
from model.detection.detector import Detector
from model.errors import BundleError
from model.models_folder import choose
from model.opening import open_predictor
from model.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from contract.messages import Detection
    from model.settings import ModelSettings


class Wanted(NamedTuple):
    """Which objects of a picture count.

    Attributes:
        min_score: those with a lower score do not.
        labels: those of other labels do not; empty: of all.
    """

    min_score: float
    labels: tuple[str, ...] = ()

    def check(self, detector: Detector) -> None:
        """Raises BundleError: the detector has no such objects."""
        bundle = detector.bundle
        floor = detector.spec.min_score
        if self.min_score < floor:
            raise BundleError(f"{bundle.model} tells no object with a score below {floor:g}: --min-score is lower")
        for label in self.labels:
            if label not in bundle.labels:
                meant = nearest(label, bundle.labels)
                hint = f"; {meant!r} may be meant" if meant else ""
                raise BundleError(f"{bundle.model} has no label {label!r}{hint}")

    def of(self, detection: Detection) -> Detection:
        """The same picture with those objects alone."""
        kept = (
            found
            for found in detection.objects
            if found.score >= self.min_score and (not self.labels or found.label in self.labels)
        )
        return replace(detection, objects=tuple(kept))


@contextmanager
def open_detector(settings: ModelSettings, model: str | None) -> Iterator[Detector]:
    """The detector that ``model`` names, as MODELS does, or the first one that is served; closed at the end.

    Raises:
        BundleError: there is none, or it is not what its manifest says.
        ModelError: its answer to the golden picture is unusable.
    """
    if model is not None:
        settings = settings.model_copy(update={"models": (model,), "model_path": None})
    paths = choose(settings)
    path = next((path for path in paths if load_bundle(path, settings.labels_path).task == "detection"), None)
    if path is None:
        names = ", ".join(path.name for path in paths)
        raise BundleError(f"{names}: no detector is among the models that are served; name one with --model")
    with open_predictor(
        path, settings.labels_path, max_pixels=settings.max_pixels, num_threads=usable_cpus(), top_k=1
    ) as detector:
        assert isinstance(detector, Detector)  # noqa: S101  its bundle's task says so
        yield detector


class SeenPicture(NamedTuple):
    path: Path
    detection: Detection


class Looking:
    """Shows pictures to a detector, one batch after the other, and counts those that can't be read, or are damaged."""

    def __init__(self, detector: Detector, pictures: Sequence[Path], wanted: Wanted) -> None:
        self._detector = detector
        self._pictures = pictures
        self._wanted = wanted
        self.failed = 0

    def seen(self) -> Iterator[SeenPicture]:
        with tqdm(total=len(self._pictures), unit="picture", disable=None if len(self._pictures) > 1 else True) as bar:
            for start in range(0, len(self._pictures), BATCH):
                batch = self._pictures[start : start + BATCH]
                seen = self._look(batch)
                with tqdm.external_write_mode():  # the bar makes room while the answers are written
                    yield from seen
                bar.update(len(batch))

    def _look(self, batch: Sequence[Path]) -> list[SeenPicture]:
        readable = [(path, data) for path in batch if (data := self._read(path)) is not None]
        outcomes = self._detector.predict([Picture(data) for _, data in readable])
        seen = []
        for (path, _), outcome in zip(readable, outcomes, strict=True):
            if isinstance(outcome, Failure):
                self._skip(path, outcome.detail)
            else:
                seen.append(SeenPicture(path, self._wanted.of(outcome)))
        return seen

    def _read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except OSError as error:
            self._skip(path, error.strerror or str(error))
            return None

    def _skip(self, path: Path, reason: str) -> None:
        self.failed += 1
        tqdm.write(f"skipped {printable(path)}: {reason}", file=sys.stderr)
