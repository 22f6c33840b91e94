"""OpenCV as the workers want it. Import ``cv2`` from here and from nowhere else on the worker side."""

from __future__ import annotations

import os

from contract.limits import DEFAULT_MAX_PIXELS
from model.opencv_limit import VARIABLE

__all__ = ["cv2"]

# Both are read once, while OpenCV is loaded; a program that takes larger pictures has said so before.
os.environ.setdefault(VARIABLE, str(DEFAULT_MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # a picture that can't be read is an answer, not a log line

import cv2

cv2.setNumThreads(1)  # a worker keeps to its own core
