"""``python -m stress_test.capacity.open_loop URL RATE SECONDS PHOTO...``: requests at a fixed rate.

A generator that waits for answers offers an overloaded service no more than it takes. This one sends each request at
its time, over connections that it keeps open and as many as that needs, from many addresses, every picture different.
Prints the answers as
JSON: when each was sent and came (seconds from the start), its status (0: no answer) and its Retry-After. The keys in
CLASSIFIER_KEY, if there are any, are sent in turns.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit, urlunsplit

from stress_test.senders import WITHOUT_KEYS, Senders

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_WITHIN_S = 15.0
HEAD = (
    b'--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
)
END = b"\r\n--photo--\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """``retry_after`` is the header's text, None if it is missing."""

    sent_s: float
    came_s: float
    status: int
    retry_after: str | None

    @property
    def ms(self) -> float:
        return (self.came_s - self.sent_s) * 1000


class _Connection(asyncio.Protocol):
    """One request at a time. Streams would cost the generator twice as much, and it shares the machine."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._answer: asyncio.Future[tuple[int, str | None]] | None = None
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def ask(self, *pieces: bytes) -> asyncio.Future[tuple[int, str | None]]:
        """Send a request; the future becomes its status and Retry-After, or raises OSError or ValueError."""
        assert self._transport is not None
        self._received, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.writelines(pieces)
        return self._answer

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return
        try:
            status, headers = _parse(head)
            if len(body) < int(headers["content-length"]):
                return
        except (KeyError, ValueError, IndexError):
            self._answer.set_exception(ValueError("no HTTP answer of a known length"))
            self.close()
            return
        if headers.get("connection", "").lower() == "close":
            self.close()
        self._answer.set_result((status, headers.get("retry-after")))

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("closed without an answer") if exc is None else exc)


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status_line.split()[1]), headers


class Generator:
    """Sends to one address; ``photos`` are encoded, and the senders' keys are used in turns."""

    def __init__(self, url: str, photos: Sequence[bytes], senders: Senders = WITHOUT_KEYS) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._path = urlunsplit(("", "", address.path, address.query, ""))
        self._photos, self._senders = photos, senders
        self._run = uuid.uuid4().hex
        self._idle: list[_Connection] = []
        self._opened = 0
        self._began = 0.0

    async def offer(self, rate: float, seconds: float) -> list[Response]:
        """Send ``rate`` requests a second for ``seconds``, evenly, then wait for the last answers."""
        self._began = time.perf_counter()
        tasks: list[asyncio.Task[Response]] = []
        for number in range(round(rate * seconds)):
            due_s = number / rate
            await asyncio.sleep(max(0.0, due_s - self._now_s()))
            tasks.append(asyncio.create_task(self._request(number, due_s)))
        responses = await asyncio.gather(*tasks)
        for connection in self._idle:
            connection.close()
        return list(responses)

    async def _request(self, number: int, due_s: float) -> Response:
        """A request's time counts from when it was due, so that a late generator does not improve the figures."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, retry_after = await self._exchange(number)
        except (OSError, TimeoutError, ValueError):
            return Response(due_s, self._now_s(), 0, None)
        return Response(due_s, self._now_s(), status, retry_after)

    async def _exchange(self, number: int) -> tuple[int, str | None]:
        connection = await self._connection()
        photo = self._photos[number % len(self._photos)]
        tail = f"{self._run}-{number}".encode() + END
        length = len(HEAD) + len(photo) + len(tail)
        own = "".join(f"{name}: {value}\r\n" for name, value in self._senders.headers(number).items())
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{own}"
            f"Content-Type: multipart/form-data; boundary=photo\r\nContent-Length: {length}\r\n\r\n"
        )
        try:
            answer = await connection.ask(head.encode(), HEAD, photo, tail)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        self._opened += 1
        source = self._senders.address(self._opened)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port, local_addr=source)
        return connection

    def _now_s(self) -> float:
        return time.perf_counter() - self._began


def main() -> int:
    url, rate, seconds, *photos = sys.argv[1:]
    generator = Generator(url, [Path(photo).read_bytes() for photo in photos], Senders.of_environment())
    responses = asyncio.run(generator.offer(float(rate), float(seconds)))
    rows = [[round(seen.sent_s, 4), round(seen.came_s, 4), seen.status, seen.retry_after] for seen in responses]
    print(json.dumps({"cpu_s": time.process_time(), "responses": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
