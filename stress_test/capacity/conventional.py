"""Classification as it is usually written: the loop that the service is compared with, and what its peer serves.

Imports nothing of this project, because the peer runs it in an environment of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SHORTER_SIDE, SIDE = 256, 224
MEAN_BGR = np.array([103.939, 116.779, 123.68], np.float32)  # of ImageNet's training pictures, as the weights expect

cv2.setNumThreads(1)  # one process per core: more threads would only compete with each other


class ConventionalClassifier:
    """A session with the library's default options except for one thread.

    Args:
        model: an ONNX file with one input float32 (N, 3, 224, 224), BGR less its mean, and one output (N, classes).
    """

    def __init__(self, model: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def classify(self, images: Sequence[bytes]) -> list[int]:
        """Encoded photos → the class index of each."""
        batch = np.stack([preprocess(image) for image in images])
        (scores,) = self._session.run(None, {self._input: batch})
        return [int(index) for index in scores.argmax(axis=1)]


def preprocess(image: bytes) -> NDArray[np.float32]:
    """Encoded photo → float32 (3, 224, 224): shorter side to 256, the middle, less the mean, channels first."""
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None, "the photos are whole"
    height, width = pixels.shape[:2]
    scale = SHORTER_SIDE / min(height, width)
    pixels = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    top, left = (pixels.shape[0] - SIDE) // 2, (pixels.shape[1] - SIDE) // 2
    centre = pixels[top : top + SIDE, left : left + SIDE].astype(np.float32) - MEAN_BGR
    return np.ascontiguousarray(centre.transpose(2, 0, 1))
