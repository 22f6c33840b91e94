"""HEIC photos are decoded by a process of their own, which may take only so much time and memory, and may die.

OpenCV does not read HEIC. libheif does, and what a hostile file can make it do can't be told from a header: why and
what it costs stands in docs/decisions/0024-heic-photos.md.
"""

from __future__ import annotations

import logging
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import IO, TYPE_CHECKING

import numpy as np

from model.errors import UndecodableImage

if TYPE_CHECKING:
    from cv2.typing import MatLike
    from numpy.typing import NDArray

TRIES = 2  # a process that dies may have been ended for another reason than the picture; but not one out of time
# For all tries of a picture, by the clock: the process's own limit counts the processor's time, of which a busy machine
# may give it little. Less than COMPUTE_LIMIT_S of model/serving/lease.py, at which the worker would end itself instead.
WALL_LIMIT_S = 12.0

REQUEST = struct.Struct(">QB")  # bytes of the picture that follows, and the factor by which it is wanted smaller
REPLY = struct.Struct(">II")  # height and width of the pixels that follow; 0 and 0 for a picture that can't be read

ROOT = Path(__file__).parents[1]

log = logging.getLogger(__name__)


class HeicDecoder:
    """The process, started by the first picture and again after each that was its end. Not for several threads.

    Args:
        max_pixels: the largest picture, width x height; what the process may use is measured by it.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, image: bytes, reduction: int) -> MatLike:
        """Pixels as ``model.decode.Decoder`` gives them, averaged over squares of ``reduction`` pixels.

        Raises:
            UndecodableImage: libheif can't read it, or not within the limits.
        """
        deadline = time.monotonic() + WALL_LIMIT_S
        for _ in range(TRIES):
            try:
                pixels = self._ask(image, reduction, deadline)
            except (BrokenPipeError, EOFError):
                exit_code = self.close()
                log.warning("the decoder of HEICs died, exit code %s", exit_code)
                if exit_code == -signal.SIGXCPU or time.monotonic() >= deadline:
                    break
            except BaseException:  # the answer that is still to come would be taken for the next picture's
                self.close()
                raise
            else:
                if not pixels.size:
                    raise UndecodableImage("the HEIC is damaged or cut short")
                return pixels
        raise UndecodableImage("the HEIC is damaged, or takes more time or memory than a photo does")

    def close(self) -> int | None:
        """End the process; returns its exit code, below zero for a signal, or None if there is none."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        process.communicate()  # closes the pipes, whatever is still in them, and waits
        return process.returncode

    def _ask(self, image: bytes, reduction: int, deadline: float) -> NDArray[np.uint8]:
        process = self._running()
        limit = Timer(deadline - time.monotonic(), process.kill)  # ends what waits for its pipes, in either direction
        limit.start()
        try:
            return _exchange(process, image, reduction, self._max_pixels)
        finally:
            limit.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # Nothing of the worker's environment, as the address of Redis, is any business of a stranger's picture.
            self._process = subprocess.Popen(  # noqa: S603  our own arguments
                [sys.executable, "-m", "model.heic_process", str(self._max_pixels)],
                cwd=ROOT,
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process


def _exchange(process: subprocess.Popen[bytes], image: bytes, reduction: int, max_pixels: int) -> NDArray[np.uint8]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(REQUEST.pack(len(image), reduction))
    process.stdin.write(image)
    process.stdin.flush()
    height, width = REPLY.unpack(_read(process.stdout, REPLY.size))
    if height * width > max_pixels:  # nothing is taken from the process on trust
        raise EOFError
    return np.frombuffer(_read(process.stdout, height * width * 3), np.uint8).reshape(height, width, 3)


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
