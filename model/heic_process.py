"""``python -m model.heic_process MAX_PIXELS``: reads HEICs from standard input, writes their pixels, until it ends."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import pillow_heif

from model.decode import on_white
from model.heic import REPLY, REQUEST
from model.opencv import cv2

if TYPE_CHECKING:
    from cv2.typing import MatLike

# Measured: docs/decisions/0024-heic-photos.md.
CPU_LIMIT_S = 10
BYTES_PER_PIXEL = 16
WORKING_BYTES = 128 * 1024 * 1024

_UNREADABLE = (ValueError, EOFError, SyntaxError, RuntimeError, OSError, MemoryError, cv2.error)


def main(max_pixels: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which finishes what it has begun
    answers = _only_our_own_output()
    pillow_heif.options.DECODE_THREADS = 1  # a worker keeps to its own core
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(max_pixels)
    while request := sys.stdin.buffer.read(REQUEST.size):
        length, reduction = REQUEST.unpack(request)
        image = sys.stdin.buffer.read(length)
        _limit_time()
        try:
            pixels = decode(image, reduction)
        except _UNREADABLE:
            answers.write(REPLY.pack(0, 0))
        else:
            answers.write(REPLY.pack(*pixels.shape[:2]) + np.ascontiguousarray(pixels).data)
        answers.flush()


def decode(image: bytes, reduction: int) -> MatLike:
    """The primary picture, uint8, shape (height, width, 3), channels blue, green, red; turned as its boxes say.

    EXIF data are not asked: in a HEIC they repeat what ``irot`` and ``imir`` say, and libheif has heeded those.
    """
    picture = pillow_heif.open_heif(image, bgr_mode=True)
    pixels = np.asarray(picture)
    if pixels.dtype == np.uint16:  # grey of more than 8 bits
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    if pixels.ndim == 3 and pixels.shape[2] == 2:  # noqa: PLR2004 - grey and alpha
        grey, alpha = cv2.split(pixels)
        pixels = cv2.merge([grey, grey, grey, alpha])
    pixels = on_white(pixels)
    if reduction == 1:
        return pixels
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)


def _limit_time() -> None:
    """Of the processor's, from now on; the process ends at the limit."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + CPU_LIMIT_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _limit_memory(max_pixels: int) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return  # macOS, which does not heed the limit either
    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    limit = used + WORKING_BYTES + BYTES_PER_PIXEL * max_pixels
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _only_our_own_output() -> IO[bytes]:
    """Standard output for us alone; what libraries print goes nowhere."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return ours


if __name__ == "__main__":
    main(int(sys.argv[1]))
