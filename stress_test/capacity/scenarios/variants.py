"""The same service run in other ways, side by side: whether its defaults are the fastest here."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stress_test.capacity.bench import Section
from stress_test.capacity.figures import Spread, ratios
from stress_test.capacity.loops import loop
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.stock_model import stock_model
from stress_test.capacity.wrk import post
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Callable

    from stress_test.capacity.bench import Bench
    from stress_test.capacity.figures import Target

CONCURRENCY = 32
BATCH = 8  # the loop's
WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Variants(Section):
    """Photos a second, round by round, of the conventional loop and of each way to run the service."""

    loop: tuple[float, ...]
    ways: dict[str, tuple[float, ...]]

    @property
    def targets(self) -> tuple[Target, ...]:
        return ()  # the targets are with the distinct photos

    def markdown(self) -> str:
        rows = "\n".join(
            f"| {way} | {Spread.of(per_s).text(1)} | {ratios(per_s, self.loop).text(2)} |"
            for way, per_s in self.ways.items()
        )
        return f"""## Other ways to run it

{CONCURRENCY} distinct photos at once, answer cache off; the services wait side by side and take turns, with the
conventional loop among them.

| the service | photos/s | ÷ conventional loop |
|:------------|---------:|--------------------:|
{rows}"""


def measure(bench: Bench) -> Variants:
    """Raises CannotMeasure: a service, the loop or wrk did not run."""
    ways: dict[str, tuple[int, dict[str, str]]] = {
        "as it comes": (bench.workers, {}),
        "one API process": (bench.workers, {"WEB_CONCURRENCY": "1"}),
        "batches of 16": (bench.workers, {"BATCH_MAX": "16"}),
        "requests wait in threads": (bench.workers, {"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 128"}),
        f"one worker with {bench.workers} threads": (1, {"NUM_THREADS": str(bench.workers)}),
    }
    seen: dict[str, list[float]] = {way: [] for way in ways}
    looped: list[float] = []
    with ExitStack() as stack:
        conventional = stack.enter_context(
            loop("conventional", stock_model(bench.cache), bench.photo_folder, batch=BATCH, processes=bench.workers)
        )
        urls = {
            way: stack.enter_context(
                running_service(workers, bench.model, bench.scratch / f"way-{number}", RESULT_CACHE="off", **settings)
            )
            for number, (way, (workers, settings)) in enumerate(ways.items())
        }

        def serve(way: str, seconds: float = bench.seconds) -> None:
            load = post(f"{urls[way]}/predict", bench.photos.files, concurrency=CONCURRENCY, seconds=seconds)
            settle(urls[way])
            seen[way].append(load.per_s)

        for way in ways:
            serve(way, WARM_UP_S)
            seen[way].clear()
        turns: list[Callable[[], None]] = [partial(serve, way) for way in ways]
        turns.append(lambda: looped.append(conventional.run(bench.seconds).per_s))
        take_turns(turns, bench.rounds)
    return Variants(loop=tuple(looped), ways={way: tuple(per_s) for way, per_s in seen.items()})
