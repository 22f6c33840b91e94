"""OpenCV as the workers want it. Import ``cv2`` from here and from nowhere else on the worker side."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from model.errors import DamagedImage

# Read once, while OpenCV is loaded.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a picture that can't be read is an answer, not a log line

import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike

__all__ = ["LONGEST_SIDE", "cv2", "decode"]

LONGEST_SIDE = 1 << 20  # CV_IO_MAX_IMAGE_WIDTH and _HEIGHT of OpenCV 5

cv2.setNumThreads(1)  # a worker keeps to its own core


def decode(image: bytes) -> MatLike:
    """An ordinary picture, uint8, shape (height, width, 3), channels blue, green, red; as it lies.

    Raises:
        DamagedImage: OpenCV can't read it.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        if error.code == cv2.Error.STS_NO_MEM:
            raise MemoryError from error
        raise DamagedImage("the picture is damaged") from error
    if pixels is None:
        raise DamagedImage("the picture is damaged or cut short")
    return pixels
