"""``python -m stress_test.fairness`` (``make fairness``): requests for one model alone, and beside a flood for another.

ROUNDS (5) says how many turns of both. It needs wrk, photos (IMAGENET_SAMPLE) and both networks' bundles. Exit code 1:
a request for the model that keeps within its share was not answered, or their p99 beside the flood is more than twice
that alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.capacity.collection import find_photos
from stress_test.capacity.open_loop import ANSWER_WITHIN_S, Response
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import post
from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.fairness.report import Figures, Turn, render
from stress_test.load import ROOT
from stress_test.machine import Machine
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FLOODED, STEADY = "resnet50", "efficientnet-lite2"
WORKERS = 2
ROUNDS = 5
TURN_S = 30.0
PEAK_S, PEAK_CONCURRENCY = 8.0, 8  # none of which is refused
TIMES_PEAK = 4.0
OF_ITS_SHARE = 0.2  # and its share of two models' is half of the workers' time
DEADLINE_S = 2.0  # short, so that the flood's queue soon reaches the length that admission allows
LEAD_S = 5.0  # until it has
END_WITHIN_S = 60.0
REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    machine = Machine.this()
    turns: list[Turn] = []
    settings = {"MODELS": f"{FLOODED},{STEADY}", "MODELS_DIR": str(ROOT / "models"), "RESULT_CACHE": "off"}
    settings["REQUEST_TIMEOUT_S"] = f"{DEADLINE_S:g}"
    try:
        photos = find_photos().files
        with (
            tempfile.TemporaryDirectory(prefix="fairness-") as scratch,
            running_service(WORKERS, None, Path(scratch) / "service", **settings) as url,
        ):
            flooded, steady = (f"{url}/infer?model={name}" for name in (FLOODED, STEADY))
            peaks: list[float] = []
            for address in (flooded, steady):
                peaks.append(peak_per_s(address, photos))
                settle(url)
            flood_rate, rate = TIMES_PEAK * peaks[0], OF_ITS_SHARE * peaks[1] / 2

            def alone() -> None:
                with offering(steady, rate, TURN_S, photos) as responses:
                    turn_of(responses(), [])

            def beside() -> None:
                with offering(flooded, flood_rate, LEAD_S + TURN_S, photos) as flood:
                    time.sleep(LEAD_S)
                    with offering(steady, rate, TURN_S, photos) as responses:
                        turn_of(responses(), flood())

            def turn_of(responses: list[Response], flood: list[Response]) -> None:
                turns.append(Turn(tuple(responses), tuple(flood)))
                print(turns[-1].row, flush=True)
                settle(url)

            take_turns([alone, beside], int(os.environ.get("ROUNDS") or ROUNDS))
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    figures = Figures(
        day=datetime.now(UTC).date(),
        machine=machine,
        flooded=FLOODED,
        steady=STEADY,
        flood_rate=flood_rate,
        rate=rate,
        turns=turns,
    )
    REPORT.write_text(render(figures))
    print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


def peak_per_s(url: str, photos: Sequence[Path]) -> float:
    """What the workers do of one model alone.

    Raises:
        CannotMeasure: a request failed.
    """
    peak = post(url, photos, concurrency=PEAK_CONCURRENCY, seconds=PEAK_S)
    if peak.failed:
        raise CannotMeasure(f"{peak.failed} requests failed while the workers did what they can")
    return peak.per_s


@contextmanager
def offering(url: str, rate: float, seconds: float, photos: Sequence[Path]) -> Iterator[Callable[[], list[Response]]]:
    """Send at a fixed rate, in a process of its own; yields what waits for the end and returns the responses.

    Raises:
        CannotMeasure: the generator did not come to its end.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "stress_test.capacity.open_loop", url, str(rate), str(seconds), *map(str, photos)],
        cwd=ROOT,
        env=environment_with(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches only the parent, which then kills this
    )

    def responses() -> list[Response]:
        try:
            printed, _ = process.communicate(timeout=seconds + ANSWER_WITHIN_S + END_WITHIN_S)
            return [Response(*row) for row in json.loads(printed)["responses"]]
        except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
            raise CannotMeasure(f"the generator did not come to its end: {error}") from error

    try:
        yield responses
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
