"""The session of one detector's bundle: batches in, candidates out. No image code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.detection.candidates import choose, read_rows
from model.detection.outputs import outputs_of
from model.detection.plausibility import check_boxes, check_scores
from model.detection.spec import SsdSpec
from model.errors import BundleError, ModelError
from model.manifest import OutputSpec
from model.network import Network, has_shape
from model.warm_up import warm_up_inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.bundle import Bundle
    from model.detection.candidates import Candidates, Rows
    from model.network import Step


class DetectionSession:
    """A loaded network that was found to be what its bundle's manifest says.

    Args:
        bundle: the model.
        num_threads: threads that share one operator's work.

    Attributes:
        spec: the manifest's ``detection``.

    Raises:
        BundleError: the file can't be loaded, or its input or outputs are not the manifest's.
    """

    def __init__(self, bundle: Bundle, num_threads: int = 1) -> None:
        if isinstance(bundle.output, OutputSpec):
            raise BundleError(f"{bundle.model} is no detector")
        self.spec = bundle.output
        self._network = Network(bundle, num_threads)
        self._input, self._classes = bundle.input, len(bundle.labels)
        self._outputs = outputs_of(self.spec, self._classes, one_by_one=self._network.one_by_one)
        for output in self._outputs:
            self._network.check_output(output.name, output.shapes, output.meaning)

    def warm_up(self) -> NDArray[np.float32]:
        """Run the network on inputs of no picture, and hold its outputs against the manifest.

        Returns:
            The score of each row that is finite, float32 (rows,).

        Raises:
            BundleError: the scores are no probabilities, or the boxes are of another kind than the manifest says.
            ModelError: as ``run``.
        """
        found = [rows for batch in warm_up_inputs(self._input) for rows in self._rows(batch)]
        finite = [rows.finite for rows in found]
        scores = np.concatenate([rows.scores[sound] for rows, sound in zip(found, finite, strict=True)])
        boxes = np.concatenate([rows.boxes[sound] for rows, sound in zip(found, finite, strict=True)])
        check_scores(scores, self._network.file)
        check_boxes(boxes, self.spec, self._network.file)
        for rows in found:
            self._chosen(rows)
        return scores

    def run(self, batch: NDArray[np.float32 | np.uint8]) -> list[Candidates]:
        """What may be an object in preprocessed pictures, as the network says, in order.

        Args:
            batch: shape (N, height, width, 3) or (N, 3, height, width) and dtype as the manifest states; N may be 0.

        Raises:
            ModelError: the network's answer has another shape than the manifest says, no finite row, or a class that
                has no label.
        """
        return [self._chosen(rows) for rows in self._rows(batch)]

    def _chosen(self, rows: Rows) -> Candidates:
        return choose(rows, self.spec, self._input, self._classes)

    def _rows(self, batch: NDArray[np.float32 | np.uint8]) -> list[Rows]:
        steps = self._network.steps([output.name for output in self._outputs], batch)
        return [rows for step in steps for rows in self._rows_of(step)]

    def _rows_of(self, step: Step) -> list[Rows]:
        for output, values in zip(self._outputs, step.outputs, strict=True):
            if not any(has_shape(values, shape, step.pictures) for shape in output.shapes):
                raise ModelError(
                    f"the network's output {output.name} has shape {values.shape}, but the manifest says "
                    f"{output.meaning}"
                )
        counted = [values.shape[1] for values in step.outputs]
        if isinstance(self.spec, SsdSpec) and len(set(counted)) > 1:
            raise ModelError(f"the network gives {counted[0]} boxes, and scores for {counted[1]}")
        return read_rows(step.outputs, self.spec, step.pictures)
