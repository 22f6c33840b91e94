"""A camera's photo beside one of the usual size, from end to end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stress_test.capacity.bench import Section
from stress_test.capacity.collection import LARGE, QUALITY, SMALL, small_and_large
from stress_test.capacity.figures import Spread, Target, ratios
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import Load, post
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stress_test.capacity.bench import Bench

LIMIT = 2.5


@dataclass(frozen=True, slots=True)
class LargePhoto(Section):
    """Round by round, one request at a time; sizes are means in bytes."""

    small: tuple[Load, ...]
    large: tuple[Load, ...]
    small_bytes: int
    large_bytes: int

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(
                what="12 MP photo ÷ 500 x 375 photo, p50 end to end",
                limit=LIMIT,
                at_least=False,
                reached=self._ratio(),
                digits=2,
            ),
        )

    def markdown(self) -> str:
        return f"""## A large photo

The same photos as they are ({SMALL[0]} x {SMALL[1]}) and blown up to {LARGE[0]} x {LARGE[1]} (JPEG, quality {QUALITY}),
one request at a time, answer cache off.

| photo | mean size | p50 ms | p99 ms | failed |
|:------|----------:|-------:|-------:|-------:|
| {SMALL[0]} x {SMALL[1]} | {self.small_bytes / 1e6:.2f} MB | {_times(self.small)} |
| {LARGE[0]} x {LARGE[1]} | {self.large_bytes / 1e6:.2f} MB | {_times(self.large)} |

The large one takes {self._ratio().text(2)} times as long."""

    def _ratio(self) -> Spread:
        return ratios([load.p50_ms for load in self.large], [load.p50_ms for load in self.small])


def measure(bench: Bench) -> LargePhoto:
    """Raises CannotMeasure: the service or wrk did not run."""
    folder = bench.scratch / "large"
    folder.mkdir()
    photos = dict(zip(("small", "large"), small_and_large(bench.photos, folder), strict=True))
    seen: dict[str, list[Load]] = {name: [] for name in photos}
    with running_service(bench.workers, bench.model, bench.scratch / "large-photo", RESULT_CACHE="off") as url:

        def turn(name: str) -> None:
            seen[name].append(post(f"{url}/predict", photos[name], concurrency=1, seconds=bench.half_s))
            settle(url)

        take_turns([partial(turn, name) for name in photos], bench.rounds)
    return LargePhoto(
        small=tuple(seen["small"]),
        large=tuple(seen["large"]),
        small_bytes=_mean_size(photos["small"]),
        large_bytes=_mean_size(photos["large"]),
    )


def _mean_size(files: Sequence[Path]) -> int:
    return round(sum(file.stat().st_size for file in files) / len(files))


def _times(loads: tuple[Load, ...]) -> str:
    p50, p99 = (
        Spread.of(values).text(1) for values in ([load.p50_ms for load in loads], [load.p99_ms for load in loads])
    )
    return f"{p50} | {p99} | {sum(load.failed for load in loads)}"
