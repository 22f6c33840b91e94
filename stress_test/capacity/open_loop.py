"""``python -m stress_test.capacity.open_loop URL RATE SECONDS PHOTO...``: requests at a rate, whatever comes back.

A generator that waits for answers offers an overloaded service no more than it takes. This one sends each request at
its time, over connections that it keeps open and as many as that needs, every picture different. Prints the answers as
JSON: when each was sent and came (seconds from the start), its status (0: no answer) and its Retry-After.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_WITHIN_S = 15.0
HEAD = (
    b'--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
)
END = b"\r\n--photo--\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """``retry_after`` is the header's text, None where it is missing."""

    sent_s: float
    came_s: float
    status: int
    retry_after: str | None

    @property
    def ms(self) -> float:
        return (self.came_s - self.sent_s) * 1000


class Generator:
    """Sends to one address; ``photos`` are encoded."""

    def __init__(self, url: str, photos: Sequence[bytes]) -> None:
        address = urlsplit(url)
        self._host, self._port, self._path = address.hostname or "", address.port or 80, address.path
        self._photos = photos
        self._run = uuid.uuid4().hex
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
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
        for _, writer in self._idle:
            writer.close()
        return list(responses)

    async def _request(self, number: int, due_s: float) -> Response:
        """A request's time counts from when it was due: the generator's own lateness is not the service's merit."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, retry_after = await self._exchange(number)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return Response(due_s, self._now_s(), 0, None)
        return Response(due_s, self._now_s(), status, retry_after)

    async def _exchange(self, number: int) -> tuple[int, str | None]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        photo = self._photos[number % len(self._photos)]
        tail = f"{self._run}-{number}".encode() + END
        length = len(HEAD) + len(photo) + len(tail)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: multipart/form-data; boundary=photo\r\nContent-Length: {length}\r\n\r\n"
        )
        try:
            writer.writelines((head.encode(), HEAD, photo, tail))
            await writer.drain()
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            await reader.readexactly(int(headers.get("content-length", "")))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(status_line.split()[1]), headers.get("retry-after")

    def _now_s(self) -> float:
        return time.perf_counter() - self._began


def main() -> int:
    url, rate, seconds, *photos = sys.argv[1:]
    generator = Generator(url, [Path(photo).read_bytes() for photo in photos])
    responses = asyncio.run(generator.offer(float(rate), float(seconds)))
    rows = [[round(seen.sent_s, 4), round(seen.came_s, 4), seen.status, seen.retry_after] for seen in responses]
    print(json.dumps({"cpu_s": time.process_time(), "responses": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
