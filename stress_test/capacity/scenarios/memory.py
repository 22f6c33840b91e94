"""Memory of each process: at the start, after thousands of pictures, and its trend."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.capacity.bench import Section
from stress_test.capacity.collection import small_and_large
from stress_test.capacity.figures import Spread, Target, slope
from stress_test.capacity.processes import Part, service_parts
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import Load, posting
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from stress_test.capacity.bench import Bench

CONCURRENCY = 32
API_PROCESSES = 1
TURNS = 16  # at 8 s each the second half begins when the first results (kept for a minute) expire: a steady state
SAMPLE_EVERY_S = 0.5
AFTER_PICTURES = 5000
WORKER_LIMIT_MB, API_LIMIT_MB = 250, 120
SLOPE_LIMIT_MB = 0.1  # per 1,000 pictures: the noise of pages on a flat line


@dataclass(frozen=True, slots=True)
class Course:
    """One process's resident memory in MB: ``samples`` are (pictures answered so far, MB)."""

    name: str
    start_mb: float
    samples: tuple[tuple[float, float], ...]
    large_peak_mb: float

    @property
    def after_mb(self) -> float | None:
        """After 5,000 pictures; None if there were fewer."""
        return next((mb for pictures, mb in self.samples if pictures >= AFTER_PICTURES), None)

    @property
    def peak_mb(self) -> float:
        return max(mb for _, mb in self.samples)

    @property
    def slope_mb(self) -> float:
        """MB per 1,000 pictures over the second half of the run."""
        second_half = self.samples[len(self.samples) // 2 :]
        return 1000 * slope(second_half)

    def row(self) -> str:
        after = "-" if self.after_mb is None else f"{self.after_mb:.0f}"
        return (
            f"| {self.name} | {self.start_mb:.0f} | {after} | {self.samples[-1][1]:.0f} | {self.peak_mb:.0f}"
            f" | {self.slope_mb:+.2f} | {self.large_peak_mb:.0f} |"
        )


@dataclass(frozen=True, slots=True)
class Memory(Section):
    load: Load
    courses: tuple[Course, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        workers = [course for course in self.courses if course.name.startswith("worker")]
        api = [course for course in self.courses if course.name.startswith("api")]
        return (
            Target(
                what="worker, most memory, MB",
                limit=WORKER_LIMIT_MB,
                at_least=False,
                reached=_most(course.peak_mb for course in workers),
                digits=0,
            ),
            Target(
                what="API process with 32 requests waiting, most memory, MB",
                limit=API_LIMIT_MB,
                at_least=False,
                reached=_most(course.peak_mb for course in api),
                digits=0,
            ),
            Target(
                what="memory's slope, API and workers, MB per 1,000 pictures",
                limit=SLOPE_LIMIT_MB,
                at_least=False,
                reached=_most(course.slope_mb for course in [*workers, *api]),
                digits=2,
            ),
        )

    def markdown(self) -> str:
        rows = "\n".join(course.row() for course in self.courses)
        return f"""## Memory

Resident memory in MB while {CONCURRENCY} distinct photos wait all the time in one API process
(`WEB_CONCURRENCY={API_PROCESSES}`), {self.load.answered} photos in {self.load.seconds:.0f} s ({self.load.failed}
failed); answer cache off. The slope is that of the straight line through the second half of the run. The last column
is the most while {CONCURRENCY} photos of 12 megapixels wait, after that run.

| process | at the start | after 5,000 | at the end | most | slope per 1,000 | most, 12 MP |
|:--------|-------------:|------------:|-----------:|-----:|----------------:|------------:|
{rows}"""


def measure(bench: Bench) -> Memory:
    """Raises CannotMeasure: the service or wrk did not run."""
    photos = tuple(bench.photos.files)
    folder = bench.scratch / "large-for-memory"
    folder.mkdir()
    _, large = small_and_large(bench.photos, folder)
    settings = {"RESULT_CACHE": "off", "WEB_CONCURRENCY": str(API_PROCESSES)}
    with running_service(bench.workers, bench.model, bench.scratch / "memory", **settings) as url:
        parts = service_parts(workers=bench.workers, api_processes=API_PROCESSES)
        start = {part.name: part.rss_mb() for part in parts}
        load, watched = _watch(f"{url}/predict", photos, TURNS * bench.seconds, parts)
        settle(url)
        _, with_large = _watch(f"{url}/predict", large, bench.seconds, parts)
        settle(url)
    per_s = load.per_s
    return Memory(
        load,
        tuple(
            Course(
                part.name,
                start[part.name],
                tuple((moment * per_s, mb) for moment, mb in watched[part.name]),
                max(mb for _, mb in with_large[part.name]),
            )
            for part in parts
        ),
    )


def _watch(
    url: str, photos: Sequence[Path], seconds: float, parts: list[Part]
) -> tuple[Load, dict[str, list[tuple[float, float]]]]:
    """Memory by process as (seconds since the start, MB) while photos are posted."""
    watched: dict[str, list[tuple[float, float]]] = {part.name: [] for part in parts}
    with posting(url, photos, concurrency=CONCURRENCY, seconds=seconds) as load:
        began = time.monotonic()
        while (moment := time.monotonic() - began) < seconds:
            for part in parts:
                watched[part.name].append((moment, part.rss_mb()))
            time.sleep(SAMPLE_EVERY_S)
        return load(), watched


def _most(values: Iterable[float]) -> Spread:
    return Spread.of([max(values)])
