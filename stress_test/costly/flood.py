"""One sender of small legal pictures that each take a worker a second or more."""

from __future__ import annotations

import http.client
import itertools
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from stress_test.traffic.photos import marked
from tests.pictures.costly import interlaced_png, jpeg_of_empty_scans

SIDE = 7000  # pixels, 49 million of them: just within MAX_PIXELS
PER_SECOND = 2.0
SOURCE = "127.0.3.1"
MOST_AT_ONCE = 100
ANSWER_WITHIN_S = 60.0
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Poured:
    """``status`` is 0 if the connection broke."""

    status: int
    took_s: float


class Flood:
    """Sends at a fixed rate, whatever becomes of it."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._jpeg, self._png = jpeg_of_empty_scans(SIDE, SIDE), interlaced_png(SIDE, SIDE)
        self._numbers = itertools.count()
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE)
        self._pending: list[Future[Poured]] = []

    def pour(self, seconds: float) -> None:
        """Send for so long."""
        began = time.monotonic()
        for number in range(round(seconds * PER_SECOND)):
            time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
            self._pending.append(self._threads.submit(self._send, next(self._numbers)))
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    def wait(self) -> tuple[Poured, ...]:
        """How each picture ended that was sent since the last call, once all have."""
        ended = tuple(future.result() for future in self._pending)
        self._pending.clear()
        return ended

    def _send(self, number: int) -> Poured:
        picture = marked(self._jpeg, f"flood-{number}") if number % 2 else _with_text(self._png, number)
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="flood"\r\n\r\n'
        began = time.monotonic()
        connection = http.client.HTTPConnection(self._host, self._port, ANSWER_WITHIN_S, source_address=(SOURCE, 0))
        try:
            headers = {"Content-Type": "multipart/form-data; boundary=b", "Connection": "close"}
            connection.request("POST", "/infer", head + picture + b"\r\n--b--\r\n", headers)
            response = connection.getresponse()
            response.read()
            status = response.status
        except (OSError, http.client.HTTPException):
            status = NO_ANSWER
        finally:
            connection.close()
        return Poured(status, time.monotonic() - began)


def _with_text(png: bytes, number: int) -> bytes:
    """The same picture under another hash: a chunk of text before the last chunk."""
    text = b"tEXt" + b"Comment\0%d" % number
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    return png[:-12] + chunk + png[-12:]
