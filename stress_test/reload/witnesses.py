"""Senders beside the load that look at who has answered them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import requests

from stress_test.traffic.photos import marked

if TYPE_CHECKING:
    from pathlib import Path

OF_THE_NAME, OF_A_VERSION = 3, 1
PINNED = "1"
ANSWER_WITHIN_S = 40.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer.

    Attributes:
        pinned: whether version ``PINNED`` was asked for.
        at_s: when it came, of ``time.monotonic``.
        status: 0 for a connection that broke, or an answer that did not come.
        version, model: what has answered, as the headers name it.
    """

    pinned: bool
    at_s: float
    status: int
    version: str = ""
    model: str = ""


class Witnesses:
    """They send while the context lasts, each the next picture when it has its answer; ``seen`` is whole after it.

    Args:
        url: of the service.
        name: of the model that they ask for.
        photo: a JPEG, of which each request has a copy that is new to the service.
    """

    def __init__(self, url: str, name: str, photo: Path) -> None:
        self._url, self._name, self._photo = url, name, photo.read_bytes()
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(OF_THE_NAME + OF_A_VERSION)
        self.seen: list[Seen] = []

    def __enter__(self) -> Self:
        self._sending = [
            self._threads.submit(self._send, number, number < OF_A_VERSION)
            for number in range(OF_THE_NAME + OF_A_VERSION)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._threads.shutdown()
        self.seen = [seen for sending in self._sending for seen in sending.result()]

    def _send(self, witness: int, pinned: bool) -> list[Seen]:
        seen: list[Seen] = []
        model = f"{self._name}@{PINNED}" if pinned else self._name
        with requests.Session() as session:
            while not self._over.is_set():
                photo = marked(self._photo, f"{time.time_ns()}-{witness}")
                try:
                    answer = session.post(
                        f"{self._url}/infer", params={"model": model}, files={"file": photo}, timeout=ANSWER_WITHIN_S
                    )
                except requests.RequestException:
                    seen.append(Seen(pinned, time.monotonic(), 0))
                    continue
                version, made_by = (answer.headers.get(name, "") for name in ("X-Model-Version", "X-Model"))
                seen.append(Seen(pinned, time.monotonic(), answer.status_code, version, made_by))
        return seen
