"""``python -m stress_test.tasks`` (``make tasks``): classification alone, detection alone, and both at once, in turns.

ROUNDS (5) says how many turns of each. It needs wrk, photos (IMAGENET_SAMPLE) and the bundles that ``make model``
builds. Exit code 1: a request was not answered, or at once one of the two got less than ``report.LEAST`` of what it
gets alone.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.capacity.collection import find_photos
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import posting
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.machine import Machine
from stress_test.service import running_service
from stress_test.tasks.report import ROUTES, Figures, Turn, render

if TYPE_CHECKING:
    from collections.abc import Sequence

MODELS = "resnet50,ssdlite-mobilenetv2"
WORKERS = 2
ROUNDS = 5
TURN_S = 15.0
WARM_UP_S = 3.0
CONCURRENCY = 8  # of each route: more than the workers take at once, less than admission refuses
REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    machine = Machine.this()
    turns: list[Turn] = []
    settings = {"MODELS": MODELS, "MODELS_DIR": str(ROOT / "models"), "RESULT_CACHE": "off"}
    try:
        photos = find_photos().files
        with (
            tempfile.TemporaryDirectory(prefix="tasks-") as scratch,
            running_service(WORKERS, None, Path(scratch) / "service", **settings) as url,
        ):
            load(url, ROUTES, WARM_UP_S, photos)

            def turn(routes: Sequence[str]) -> None:
                turns.append(load(url, routes, TURN_S, photos))
                print(turns[-1].row, flush=True)

            which = [*((route,) for route in ROUTES), ROUTES]
            take_turns([partial(turn, routes) for routes in which], int(os.environ.get("ROUNDS") or ROUNDS))
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    figures = Figures(day=datetime.now(UTC).date(), machine=machine, concurrency=CONCURRENCY, turns=turns)
    REPORT.write_text(render(figures))
    print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


def load(url: str, routes: Sequence[str], seconds: float, photos: Sequence[Path]) -> Turn:
    """Post to all ``routes`` at once, and wait until the service has nothing left to do.

    Raises:
        CannotMeasure: wrk failed, or a route answered nothing.
    """
    with ExitStack() as generators:
        running = {
            route: generators.enter_context(posting(f"{url}{route}", photos, concurrency=CONCURRENCY, seconds=seconds))
            for route in routes
        }
        loads = {route: wait() for route, wait in running.items()}
    settle(url)
    return Turn(loads)


if __name__ == "__main__":
    sys.exit(main())
