"""Grey of 16 bits, which Pillow keeps and converts to nothing else."""

from __future__ import annotations

import numpy as np
from PIL import Image

from model.sandbox.strips import strips


def eight_bits(picture: Image.Image) -> Image.Image:
    """From mode I;16 to mode L: scaled, so that 65535 becomes 255; without what is in ``info``."""
    grey = np.empty((picture.height, picture.width), np.uint8)
    for rows, strip in strips(picture):
        grey[rows] = (np.asarray(strip, np.uint32) * 255 + 32767) // 65535
    return Image.fromarray(grey)
