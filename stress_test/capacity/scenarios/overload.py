"""Four times more requests than the service can answer in time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from stress_test.capacity.bench import Section
from stress_test.capacity.figures import Spread, Target, percentile
from stress_test.capacity.open_loop import ANSWER_WITHIN_S, Response
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import Load, post
from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress_test.capacity.bench import Bench

DEADLINE_S = 2.0  # short, so that the queue reaches the length that admission allows within a turn
DEADLINE_MS = DEADLINE_S * 1000
TIMES_CAPACITY = 4.0
PEAK_CONCURRENCY = 32
WARM_UP_S = 2.0
END_WITHIN_S = 30.0
BUSY = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True)
class Flood:
    """One turn: peak is what 32 at once got just before; counts are of answers that came after the queue had filled.

    Attributes:
        in_time_per_s: goodput, the labels that came within the deadline.
        accepted_p50_ms, accepted_p99_ms: of all labels, late ones among them.
        late: labels after the deadline, of all responses of the turn.
        others: by status, of all responses of the turn; 0 is no answer. A 503 or 429 without Retry-After counts here.
        generator_cpu_share: of one core.
    """

    peak_per_s: float
    offered_per_s: float
    in_time_per_s: float
    refused_per_s: float
    accepted_p50_ms: float
    accepted_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    late: int
    others: dict[int, int]
    generator_cpu_share: float

    @classmethod
    def of(cls, responses: Sequence[Response], peak: Load, *, rate: float, seconds: float, cpu_s: float) -> Self:
        counted = [seen for seen in responses if DEADLINE_S <= seen.came_s < seconds]
        accepted = [seen.ms for seen in counted if seen.status == HTTPStatus.OK]
        refused = [seen.ms for seen in counted if _honest_refusal(seen)]
        odd = [seen.status for seen in responses if seen.status != HTTPStatus.OK and not _honest_refusal(seen)]
        window_s = seconds - DEADLINE_S
        return cls(
            peak_per_s=peak.per_s,
            offered_per_s=rate,
            in_time_per_s=sum(ms <= DEADLINE_MS for ms in accepted) / window_s,
            refused_per_s=len(refused) / window_s,
            accepted_p50_ms=percentile(accepted, 0.50),
            accepted_p99_ms=percentile(accepted, 0.99),
            refused_p50_ms=percentile(refused, 0.50),
            refused_p99_ms=percentile(refused, 0.99),
            late=sum(seen.status == HTTPStatus.OK and seen.ms > DEADLINE_MS for seen in responses),
            others={status: odd.count(status) for status in sorted(set(odd))},
            generator_cpu_share=cpu_s / responses[-1].came_s,
        )


@dataclass(frozen=True, slots=True)
class Overload(Section):
    rounds: tuple[Flood, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        goodput, others = (
            Spread.of(flood.in_time_per_s / flood.peak_per_s for flood in self.rounds),
            Spread.of(flood.late + sum(flood.others.values()) for flood in self.rounds),
        )
        accepted, refused = (
            _unless_none([flood.accepted_p99_ms for flood in self.rounds]),
            _unless_none([flood.refused_p99_ms for flood in self.rounds]),
        )
        return (
            Target(
                what="overload: goodput (answers in time) ÷ peak", limit=0.95, at_least=True, reached=goodput, digits=2
            ),
            Target(
                what=f"overload: p99 of the accepted, ms (deadline {DEADLINE_S:g} s)",
                limit=DEADLINE_MS,
                at_least=False,
                reached=accepted,
                digits=0,
            ),
            Target(
                what="overload: p99 of the time to a refusal, ms", limit=50, at_least=False, reached=refused, digits=0
            ),
            Target(
                what="overload: answers other than 200 in time and refusals with Retry-After",
                limit=0,
                at_least=False,
                reached=others,
                digits=0,
            ),
        )

    def markdown(self) -> str:
        rows = "\n".join(
            f"| {flood.peak_per_s:.1f} | {flood.offered_per_s:.0f} | {flood.in_time_per_s:.1f}"
            f" | {flood.refused_per_s:.1f} | {flood.accepted_p50_ms:.0f} / {flood.accepted_p99_ms:.0f}"
            f" | {flood.refused_p50_ms:.0f} / {flood.refused_p99_ms:.0f} | {flood.late} | {_others(flood.others)}"
            f" | {flood.generator_cpu_share:.0%} |"
            for flood in self.rounds
        )
        return f"""## Overload

Requests with distinct photos come evenly at {TIMES_CAPACITY:g} times the rate that {PEAK_CONCURRENCY} at once got just
before (the peak), whatever the answers; `REQUEST_TIMEOUT_S={DEADLINE_S:g}`. Counted after the first {DEADLINE_S:g} s.
Times are p50 / p99 and count from when a request was due; a label that came after the deadline is late, and late ones
and others are those of the whole turn. The generator is `stress_test/capacity/open_loop.py`.

| peak/s | offered/s | in time/s | refused/s | accepted, ms | refused, ms | late | others | generator's CPU |
|-------:|----------:|----------:|----------:|-------------:|------------:|-----:|-------:|----------------:|
{rows}"""


def measure(bench: Bench) -> Overload:
    """Raises CannotMeasure: the service or a generator did not run."""
    seen: list[Flood] = []
    settings = {"RESULT_CACHE": "off", "REQUEST_TIMEOUT_S": f"{DEADLINE_S:g}"}
    with running_service(bench.workers, bench.model, bench.scratch / "overload", **settings) as url:
        predict = f"{url}/predict"
        seconds = bench.seconds + DEADLINE_S

        def turn() -> None:
            peak = post(predict, bench.photos.files, concurrency=PEAK_CONCURRENCY, seconds=bench.seconds)
            settle(url)
            rate = TIMES_CAPACITY * peak.per_s
            responses, cpu_s = _flood(predict, bench, rate, seconds)
            settle(url)
            seen.append(Flood.of(responses, peak, rate=rate, seconds=seconds, cpu_s=cpu_s))

        post(predict, bench.photos.files, concurrency=PEAK_CONCURRENCY, seconds=WARM_UP_S)
        settle(url)
        take_turns([turn], bench.rounds)
    return Overload(tuple(seen))


def _flood(url: str, bench: Bench, rate: float, seconds: float) -> tuple[list[Response], float]:
    command = [sys.executable, "-m", "stress_test.capacity.open_loop", url, str(rate), str(seconds)]
    try:
        done = subprocess.run(
            [*command, *map(str, bench.photos.files)],
            cwd=ROOT,
            env=environment_with(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=seconds + ANSWER_WITHIN_S + END_WITHIN_S,
            start_new_session=True,  # Ctrl-C reaches only the parent, which then kills this
        )
    except subprocess.SubprocessError as error:
        raise CannotMeasure(f"the generator of overload did not come to its end: {error}") from error
    printed = json.loads(done.stdout)
    return [Response(*row) for row in printed["responses"]], printed["cpu_s"]


def _unless_none(p99_ms: Sequence[float]) -> Spread | None:
    """The spread if every round has such answers: a percentile of none would be 0, which is no figure."""
    return Spread.of(p99_ms) if all(p99_ms) else None


def _honest_refusal(seen: Response) -> bool:
    return seen.status in BUSY and (seen.retry_after or "").isdigit()


def _others(others: dict[int, int]) -> str:
    return ", ".join(f"{count} x {status or 'no answer'}" for status, count in others.items()) or "none"
