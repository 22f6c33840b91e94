"""The load generator: wrk, which takes little of the processor time that it measures."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.senders import WITHOUT_KEYS, Senders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SCRIPT = Path(__file__).with_name("post_photos.lua")
ANSWER_WITHIN_S = 40
END_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk measured in one turn.

    Attributes:
        answered: responses of status 200 to 399, within ``seconds``.
        failed: other statuses, broken connections and requests without an answer in time.
        p50_ms, p90_ms, p99_ms, max_ms: of all responses, as wrk states them: those that took more than twice the
            mean are counted again for the requests that they kept from being sent, so p99 is rather too high.
        generator_cpu_s: processor time that wrk itself took.
    """

    concurrency: int
    seconds: float
    answered: int
    failed: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    generator_cpu_s: float

    @property
    def per_s(self) -> float:
        return self.answered / self.seconds

    @property
    def generator_cpu_share(self) -> float:
        """Of one core; 1.0 is all of it."""
        return self.generator_cpu_s / self.seconds


def find_wrk() -> str:
    """The path of wrk.

    Raises:
        CannotMeasure: it is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise CannotMeasure("wrk, the load generator, is not installed: apt-get install wrk")
    return found


def post(
    url: str,
    photos: Sequence[Path],
    *,
    concurrency: int,
    seconds: float,
    distinct: bool = True,
    senders: Senders = WITHOUT_KEYS,
) -> Load:
    """Post photos to ``url`` for ``seconds`` over ``concurrency`` connections, each the next when it has its answer.

    The senders' keys are used in turns.

    Raises:
        CannotMeasure: wrk is not there or failed, or nothing was answered.
    """
    with posting(url, photos, concurrency=concurrency, seconds=seconds, distinct=distinct, senders=senders) as load:
        return load()


@contextmanager
def posting(
    url: str,
    photos: Sequence[Path],
    *,
    concurrency: int,
    seconds: float,
    distinct: bool = True,
    senders: Senders = WITHOUT_KEYS,
) -> Iterator[Callable[[], Load]]:
    """Post, at the longest while the context lasts; yields a function that waits for the end and returns the figures.

    Raises:
        CannotMeasure: wrk is not there or failed, or nothing was answered.
    """
    cpu_before = _children_cpu_s()
    process = subprocess.Popen(
        [
            *(find_wrk(), "-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", f"--timeout={ANSWER_WITHIN_S}s"),
            *("-s", str(SCRIPT), url, "--", "distinct" if distinct else "repeated", uuid.uuid4().hex),
            *map(str, photos),
        ],
        env=environment_with(**senders.environment),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only the parent, which then kills this
    )

    def load() -> Load:
        try:
            printed, _ = process.communicate(timeout=seconds + END_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise CannotMeasure("wrk did not come to its end") from error
        if process.returncode:
            raise CannotMeasure(f"wrk ended with code {process.returncode}: {printed.strip()}")
        return parse(printed, concurrency, _children_cpu_s() - cpu_before)

    try:
        yield load
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def parse(printed: str, concurrency: int, cpu_s: float) -> Load:
    """Read the line of JSON with which post_photos.lua ends.

    Raises:
        CannotMeasure: nothing was answered; times, memory and processor time of refusals would look splendid.
    """
    seen = json.loads(printed.strip().splitlines()[-1])
    if seen["requests"] <= seen["refused"]:
        raise CannotMeasure(f"wrk got no answer but {seen['refused']} refusals or errors")
    return Load(
        concurrency=concurrency,
        seconds=seen["duration_us"] / 1e6,
        answered=seen["requests"] - seen["refused"],
        failed=seen["refused"] + seen["unanswered"],
        p50_ms=seen["p50_us"] / 1000,
        p90_ms=seen["p90_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
        max_ms=seen["max_us"] / 1000,
        generator_cpu_s=cpu_s,
    )


def _children_cpu_s() -> float:
    """Processor time of children that have ended; while wrk runs no other child does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
