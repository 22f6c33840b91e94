"""Sends all inputs to a service, several at a time."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from api.openapi.document import load
from api.settings import Settings
from stress_test.fuzz import pictures, requests
from stress_test.fuzz.exchange import exchange
from stress_test.fuzz.report import Seen
from stress_test.fuzz.verdict import fault
from tests.support.conformance import Conformance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from stress_test.fuzz.shape import Shape

AT_ONCE = 8
TELL_EVERY = 1000


def inputs(seed: int, count: int) -> Iterator[Shape]:
    """``count`` pictures, then ``count`` requests."""
    return itertools.chain(pictures.shapes(seed, count), requests.shapes(seed, count))


def send_all(url: str, shapes: Iterable[Shape], kept: Path) -> list[Seen]:
    """Send them and judge the answers; what revealed a fault is written to the folder ``kept``, by its number."""
    conformance = Conformance(load(Settings()))
    numbered, taking = enumerate(shapes), threading.Lock()
    seen: list[Seen] = []

    def one_after_the_other(_: int) -> None:
        while True:
            with taking:
                number, shape = next(numbered, (0, None))
            if shape is None:
                return
            if number % TELL_EVERY == 0:
                print(f"input {number}", flush=True)
            reply = exchange(url, number, shape)
            wrong = fault(shape, reply, conformance)
            if wrong is not None:
                (kept / str(number)).write_bytes(shape.raw)
            target = f"{shape.method} {shape.path}" if shape.method else ""
            seen.append(Seen(number, shape.kind, target, reply.status, reply.ms, wrong))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(one_after_the_other, range(AT_ONCE)))
    return sorted(seen, key=lambda one: one.number)
