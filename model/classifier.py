"""A classifier's bundle: the best labels of each picture."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from contract.messages import Classification, ClassifyJob
from model.errors import BundleError
from model.predictor import Predictor, ms_since, stacked
from model.ranking import top_k
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from model.bundle import Bundle, GoldenCheck
    from model.decode import Decoder
    from model.predictor import Ready


class Classifier(Predictor[Classification]):
    """One bundle, loaded and ready to classify.

    Args:
        bundle, decoder: as of a ``Predictor``.
        num_threads: threads of the session.
        top_k: labels in every answer.

    Raises:
        BundleError: the network is not what the bundle's manifest says.
    """

    job = ClassifyJob

    def __init__(self, bundle: Bundle, decoder: Decoder, *, num_threads: int = 1, top_k: int = 10) -> None:
        super().__init__(bundle, decoder)
        self._session = Session(bundle, num_threads)
        self._top_k = top_k

    def warm_up(self) -> NDArray[np.float32]:
        return self._session.warm_up()

    def check_golden(self, golden: GoldenCheck) -> float:
        best, *_ = self._golden_answer(golden).labels
        if best.label != golden.label:
            raise BundleError(
                f"{golden.picture.name}: the model says {best.label}, but the manifest expects {golden.label}"
            )
        return best.score

    def _answers(self, ready: Sequence[Ready]) -> list[Classification]:
        started = perf_counter()
        probabilities = self._session.run(stacked(ready))
        infer_ms = ms_since(started)
        name, digest, version = self.bundle.name, self.bundle.digest, self.bundle.version
        return [
            Classification(name, digest, labels, entry.timings(infer_ms), entry.damaged, version)
            for entry, labels in zip(ready, top_k(probabilities, self.bundle.labels, self._top_k), strict=True)
        ]
