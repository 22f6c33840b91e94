"""OpenCV's own limit for a picture's pixels, behind the one that ``model.decode`` holds against the header.

Two readers of one file may disagree: of a TIFF that states its width twice libtiff takes the first, and a sequence of
AVIFs has its size in two places. OpenCV reads the limit from the environment, once, while it is loaded; so a program
sets it before it imports what decodes.
"""

from __future__ import annotations

import os
import sys

VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"


def limit_opencv(max_pixels: int) -> None:
    """Have OpenCV refuse pictures of more than ``max_pixels``; for the whole process.

    Raises:
        RuntimeError: OpenCV is loaded already.
    """
    if "cv2" in sys.modules:
        raise RuntimeError("OpenCV is loaded, and has read its limit")
    os.environ[VARIABLE] = str(max_pixels)
