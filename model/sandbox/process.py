"""``python -m model.sandbox.process MAX_PIXELS``: reads strangers' pictures, each within its limits.

The server loads the decoders once. Asked on standard input, a socket, it forks a reader, which reads pictures from
another socket, one after the other, and tells how that ended. So a picture that is the end of its reader costs a fork.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
from PIL import AvifImagePlugin, Image, PngImagePlugin, TiffImagePlugin

from model.errors import PictureError
from model.png import MAX_PROFILE_BYTES
from model.sandbox import picture
from model.sandbox.limits import EXIT_OUT_OF_MEMORY, limits
from model.sandbox.messages import REFUSALS, REPLY, REQUEST, STATUS, DecodeRequest, Refusal

if TYPE_CHECKING:
    from io import BufferedRWPair

_KINDS = {error: kind for kind, error in REFUSALS.items()}


def serve(max_pixels: int) -> None:
    """Fork a reader for each descriptor that comes, until no more can come."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    load_decoders()
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    with suppress(ConnectionError):  # the worker is gone
        _serve(control, max_pixels)


def _serve(control: socket.socket, max_pixels: int) -> None:
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        reader = os.fork()
        if not reader:
            control.close()
            _be_silent()
            Reader(max_pixels).serve(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])
        _, status = os.waitpid(reader, 0)
        control.sendall(STATUS.pack(os.waitstatus_to_exitcode(status)))


def _be_silent() -> None:
    """Decoders write a line for each oddity of a picture; that is no entry for a worker's log."""
    with Path(os.devnull).open("r+b") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdin.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())


def load_decoders() -> None:
    """All that a reader needs, set up as it needs it."""
    pillow_heif.options.DECODE_THREADS = 1  # a worker keeps to its own core
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.init()
    TiffImagePlugin.READ_LIBTIFF = True  # Pillow's own reader is wrong about planes of 16 bits and chroma subsampling
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES  # a profile's, too
    Image.MAX_IMAGE_PIXELS = None  # ``picture`` holds them against the service's own limit


class Reader:
    """Reads pictures, each within the limits that its header's size allows it."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._start_bytes = _addresses_in_use()

    def serve(self, connection: socket.socket) -> None:
        """Answer requests until the other side closes ``connection``."""
        with connection, connection.makefile("rwb") as stream:
            while header := stream.read(REQUEST.size):
                request_bytes, image_bytes = REQUEST.unpack(header)
                request = DecodeRequest(**json.loads(stream.read(request_bytes)))
                self._answer(stream, stream.read(image_bytes), request)
                stream.flush()

    def _answer(self, stream: BufferedRWPair, image: bytes, request: DecodeRequest) -> None:
        self._limit(request, len(image))
        try:
            found = picture.read(image, request, self._max_pixels)
        except PictureError as error:
            refusal = json.dumps(Refusal(_KINDS[type(error)], str(error))).encode()
            stream.write(REPLY.pack(len(refusal), 0, 0, False, 0, 0) + refusal)
        except MemoryError:
            os._exit(EXIT_OUT_OF_MEMORY)  # what earlier pictures left behind may be the reason: a new reader tells
        else:
            height, width = found.pixels.shape[:2]
            stream.write(REPLY.pack(0, height, width, found.profile_applied, found.size.height, found.size.width))
            stream.write(np.ascontiguousarray(found.pixels).data)

    def _limit(self, request: DecodeRequest, file_bytes: int) -> None:
        """Addresses beyond those at the start, and the processor's time from now on, at whose end the process ends."""
        allowed = limits(request.media_type, request.pixels, file_bytes)
        if self._start_bytes is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (self._start_bytes + allowed.memory_bytes, hard))
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + allowed.cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _addresses_in_use() -> int | None:
    """In bytes; None on macOS, which does not heed the limit either."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else None


if __name__ == "__main__":
    serve(int(sys.argv[1]))
