"""OpenCV as the workers want it. Import ``cv2`` from here and from nowhere else on the worker side.

OpenCV reads its limits from the environment once, while it is loaded, so they are set before.
"""

from __future__ import annotations

import os

from contract.settings import SharedSettings, load_settings

__all__ = ["MAX_PIXELS", "cv2"]

# Width x height. What a picture of that size costs in memory stands in docs/decisions/0023.
MAX_PIXELS = load_settings(SharedSettings).max_pixels

os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a picture that can't be read is an answer, not a log line

import cv2  # noqa: E402 - see above

cv2.setNumThreads(1)  # a worker keeps to its own core
