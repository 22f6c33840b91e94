"""The worker's side of the sandbox: it asks, waits only so long, and starts anew what died."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import numpy as np

from contract.image_header.header import Size
from model.errors import PictureError, SandboxError, TooManyPixels, UndecodableImage
from model.sandbox.limits import EXIT_OUT_OF_MEMORY, WALL_LIMIT_S
from model.sandbox.messages import REFUSALS, REPLY, REQUEST, STATUS, Found, Refusal

if TYPE_CHECKING:
    from io import BufferedRWPair

    from model.sandbox.messages import DecodeRequest

TRIES = 2  # a reader that dies may have been ended for another reason than the picture; but not one out of time
# What a picture of so many pixels leaves behind in its reader would count as the next one's; a fork costs less than it.
FRESH_READER_AFTER_PIXELS = 1_000_000
STATUS_WAIT_S = 1.0
LONGEST_REFUSAL_BYTES = 4096

ROOT = Path(__file__).parents[2]

log = logging.getLogger(__name__)


class Sandbox:
    """A server that has the decoders loaded, and a reader forked from it. Not for several threads.

    Args:
        max_pixels: that a picture, or one within it, may have at most, width x height.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._stream: BufferedRWPair | None = None

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            # Nothing of the worker's environment, as Redis' address, is any business of a stranger's picture.
            self._server = subprocess.Popen(  # noqa: S603  our own arguments
                [sys.executable, "-m", "model.sandbox.process", str(self._max_pixels)],
                cwd=ROOT,
                env={"OPENBLAS_NUM_THREADS": "1"},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # killed as a group
            )

    def decode(self, image: bytes, request: DecodeRequest) -> Found:
        """Read one picture.

        Raises:
            DamagedImage, UnsupportedImage, TooManyPixels: the picture's fault.
            UndecodableImage: it is the end of its readers.
            SandboxError: the decoders can't be loaded.
        """
        deadline, exit_code = time.monotonic() + WALL_LIMIT_S, None
        for _ in range(TRIES):
            try:
                found = self._ask(image, request, deadline)
            except (ConnectionError, EOFError):
                exit_code = self._end_of_reader()
                if self._server is None and exit_code is not None and exit_code >= 0:
                    raise SandboxError(f"the sandbox does not run: exit code {exit_code}") from None
                log.warning("a reader of pictures died, exit code %s", exit_code)
                if exit_code == -signal.SIGXCPU or time.monotonic() >= deadline:
                    break
            except PictureError:
                self._after(request)
                raise
            except BaseException:  # the answer that is still to come would be taken for the next picture's
                self.close()
                raise
            else:
                self._after(request)
                return found
        if exit_code == EXIT_OUT_OF_MEMORY:
            raise TooManyPixels("the picture is too large: it takes more memory than others of its size")
        if exit_code == -signal.SIGXCPU or time.monotonic() >= deadline:
            raise TooManyPixels("the picture is too large: it takes more time than others of its size")
        raise UndecodableImage("the picture is damaged: it is the end of whatever reads it")

    def close(self) -> int | None:
        """End the processes; returns the exit code of the first, below zero for a signal, or None if there is none."""
        server, self._server = self._server, None
        stream, self._stream = self._stream, None
        control, self._control = self._control, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
        if server is None or control is None:
            return None
        control.close()
        _kill(server)
        return server.wait()

    def _ask(self, image: bytes, request: DecodeRequest, deadline: float) -> Found:
        stream = self._reading()
        assert self._server is not None  # noqa: S101  # _reading has started it
        limit = Timer(deadline - time.monotonic(), _kill, [self._server])  # ends what waits, in either direction
        limit.start()
        try:
            return _exchange(stream, image, request, self._max_pixels)
        finally:
            limit.cancel()

    def _reading(self) -> BufferedRWPair:
        """The stream to a reader, which is forked for the first picture and again after each that was its end."""
        if self._server is None:
            self._start()
        if self._stream is None:
            assert self._control is not None  # noqa: S101  # _start has made it
            ours, theirs = socket.socketpair()
            with ours, theirs:
                socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
                self._stream = ours.makefile("rwb")
        return self._stream

    def _after(self, request: DecodeRequest) -> None:
        if request.pixels > FRESH_READER_AFTER_PIXELS:
            self._end_of_reader()

    def _end_of_reader(self) -> int | None:
        """Its exit code, once it has seen that nothing more comes; if the server does not tell, it goes too."""
        assert self._control is not None  # noqa: S101  # there is a reader
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):  # what it did not take of the picture
                stream.close()
        self._control.settimeout(STATUS_WAIT_S)
        try:
            (exit_code,) = STATUS.unpack(self._control.recv(STATUS.size, socket.MSG_WAITALL))
        except (OSError, struct.error):  # it was killed with its reader, or is stopped
            return self.close()
        self._control.settimeout(None)
        return int(exit_code)


def _kill(server: subprocess.Popen[bytes]) -> None:
    """With its reader."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


def _exchange(stream: BufferedRWPair, image: bytes, request: DecodeRequest, max_pixels: int) -> Found:
    asked = json.dumps(asdict(request)).encode()
    stream.write(REQUEST.pack(len(asked), len(image)) + asked)
    stream.write(image)
    stream.flush()
    refusal_bytes, height, width, profile_applied, whole_height, whole_width = REPLY.unpack(_read(stream, REPLY.size))
    # Nothing is taken from the reader on trust.
    if refusal_bytes:
        raise _refusal(stream, refusal_bytes)
    whole = Size(whole_width, whole_height)
    if not 0 < height * width <= max_pixels or not 0 < whole.pixels <= max_pixels:
        raise EOFError
    pixels = np.frombuffer(_read(stream, height * width * 3), np.uint8).reshape(height, width, 3)
    return Found(pixels, profile_applied=bool(profile_applied), size=whole)


def _refusal(stream: BufferedRWPair, length: int) -> PictureError:
    if length > LONGEST_REFUSAL_BYTES:
        raise EOFError
    try:
        refusal = Refusal(*json.loads(_read(stream, length)))
        return REFUSALS[refusal.why](str(refusal.detail))
    except (ValueError, TypeError, KeyError) as error:
        raise EOFError from error


def _read(stream: BufferedRWPair, length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
