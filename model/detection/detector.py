"""A detector's bundle: the objects in each picture."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from contract.messages import Detection, DetectJob
from contract.overlap import iou
from model.detection.objects import objects_in
from model.detection.session import DetectionSession
from model.detection.spec import EndToEndSpec
from model.detection.suppression import suppress
from model.errors import BundleError
from model.predictor import Predictor, ms_since, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from contract.messages import Box, DetectedObject
    from model.bundle import Bundle, GoldenCheck
    from model.decode import Decoder
    from model.detection.candidates import Candidates
    from model.manifest import GoldenObject
    from model.predictor import Ready

# What of the golden picture counts as found.
GOLDEN_SCORE, GOLDEN_IOU = 0.5, 0.7


class Detector(Predictor[Detection]):
    """One bundle, loaded and ready to detect.

    Args:
        bundle, decoder: as of a ``Predictor``.
        num_threads: threads of the session.

    Attributes:
        spec: what the manifest says of the outputs, and which boxes are answers.

    Raises:
        BundleError: the network is not what the bundle's manifest says.
    """

    job = DetectJob

    def __init__(self, bundle: Bundle, decoder: Decoder, *, num_threads: int = 1) -> None:
        super().__init__(bundle, decoder)
        self._session = DetectionSession(bundle, num_threads)
        self.spec = self._session.spec

    def warm_up(self) -> NDArray[np.float32]:
        return self._session.warm_up()

    def check_golden(self, golden: GoldenCheck) -> float:
        found = self._golden_answer(golden).objects
        return min(_score_of(wanted, found, golden.picture.name) for wanted in golden.objects)

    def _answers(self, ready: Sequence[Ready]) -> list[Detection]:
        started = perf_counter()
        found = self._session.run(stacked(ready))
        infer_ms = ms_since(started)
        return [self._detection(entry, candidates, infer_ms) for entry, candidates in zip(ready, found, strict=True)]

    def _detection(self, ready: Ready, found: Candidates, infer_ms: float) -> Detection:
        if not isinstance(self.spec, EndToEndSpec):
            found = suppress(found, self.spec.iou)
        objects = objects_in(found, ready.window, self.bundle.labels)[: self.spec.max_objects]
        width, height = ready.window.size
        return Detection(
            self.bundle.name,
            self.bundle.digest,
            tuple(objects),
            width,
            height,
            ready.timings(infer_ms),
            ready.damaged,
            self.bundle.version,
        )


def _score_of(wanted: GoldenObject, found: Sequence[DetectedObject], picture: str) -> float:
    """Raises BundleError: nothing that was found is it."""
    scores = [
        entry.score
        for entry in found
        if entry.label == wanted.label and entry.score >= GOLDEN_SCORE and iou(entry.box, wanted.box) >= GOLDEN_IOU
    ]
    if not scores:
        told = "; ".join(f"{entry.label} {entry.score:.2f} at {_told(entry.box)}" for entry in found[:5]) or "nothing"
        raise BundleError(
            f"{picture}: the manifest expects {wanted.label} at {_told(wanted.box)}, but the model finds {told}"
        )
    return max(scores)


def _told(box: Box | tuple[float, float, float, float]) -> str:
    return str([round(side) for side in box])
