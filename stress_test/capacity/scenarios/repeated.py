"""One photo again and again, served from the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.capacity.bench import Section
from stress_test.capacity.figures import Spread, Target
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.wrk import Load, post
from stress_test.service import running_service

if TYPE_CHECKING:
    from stress_test.capacity.bench import Bench

CONCURRENCY = 32
WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Repeated(Section):
    rounds: tuple[Load, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(
                what="a repeated photo, requests/s",
                limit=1000,
                at_least=True,
                reached=Spread.of(load.per_s for load in self.rounds),
                digits=0,
            ),
            Target(
                what="a repeated photo, p99 ms",
                limit=100,
                at_least=False,
                reached=Spread.of(load.p99_ms for load in self.rounds),
                digits=0,
            ),
        )

    def markdown(self) -> str:
        return f"""## A repeated photo

{CONCURRENCY} at once, the answer cache on, the photo classified before.

| requests/s | p50 ms | p99 ms | failed | wrk's CPU |
|-----------:|-------:|-------:|-------:|----------:|
| {Spread.of(load.per_s for load in self.rounds).text(0)} \
| {Spread.of(load.p50_ms for load in self.rounds).text(1)} \
| {Spread.of(load.p99_ms for load in self.rounds).text(1)} \
| {sum(load.failed for load in self.rounds)} \
| {Spread.of(load.generator_cpu_share for load in self.rounds).median:.0%} |"""


def measure(bench: Bench) -> Repeated:
    """Raises CannotMeasure: the service or wrk did not run."""
    seen: list[Load] = []
    with running_service(bench.workers, bench.model, bench.scratch / "repeated", RESULT_CACHE="on") as url:

        def turn(seconds: float = bench.half_s) -> Load:
            photo = bench.photos.files[:1]
            return post(f"{url}/predict", photo, concurrency=CONCURRENCY, seconds=seconds, distinct=False)

        turn(WARM_UP_S)
        take_turns([lambda: seen.append(turn())], bench.rounds)
    return Repeated(tuple(seen))
