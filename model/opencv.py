"""OpenCV as the workers want it. Import ``cv2`` from here and from nowhere else on the worker side.

OpenCV reads its limits from the environment once, while it is loaded, so they are set before.
"""

from __future__ import annotations

import os

__all__ = ["MAX_PIXELS", "cv2"]

# Width x height. Lets the 48 megapixels of today's phones through; decoded, that is at most 400 MB (16-bit RGBA).
MAX_PIXELS = int(os.environ.get("MAX_PIXELS") or 50_000_000)

os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MAX_PIXELS)
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a picture that can't be read is an answer, not a log line

import cv2  # noqa: E402 - see above

cv2.setNumThreads(1)  # a worker keeps to its own core
