"""``python -m stress_test`` (``make stress``): users against 1 and 2 workers, a large crowd, and a report of it."""

from __future__ import annotations

import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contract.settings import load_settings
from model.errors import BundleError
from model.models_folder import choose
from model.settings import ModelSettings
from stress_test.chart import draw
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT, send_crowd
from stress_test.machine import Machine
from stress_test.report import Figures, render
from stress_test.service import running_service, wait_for_empty_queue

if TYPE_CHECKING:
    from types import FrameType

    from stress_test.measurement import Measurement

WORKERS = (1, 2)
USERS = (4, 16, 64, 256)
WARM_UP_S, MEASURED_S = 4.0, 20.0  # eight rows of these stay under four minutes

GREAT_CROWD = 1000
GREAT_CROWD_KNOWN_SHARE = 0.5
GREAT_CROWD_WARM_UP_S, GREAT_CROWD_S = 20.0, 60.0  # it takes 10 s to arrive, and refused users try again later

REPORT = Path(__file__).parent / "report.md"
CHART = Path(__file__).parent / "report" / "chart.svg"
EXIT_INTERRUPTED = 130


class StopAsked(Exception):
    """SIGINT, SIGTERM or SIGHUP was received."""


def main() -> int:
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, _raise_stop)
    try:
        figures = _measure()
    except (CannotMeasure, BundleError) as error:
        print(f"Stress test failed: {error}", file=sys.stderr)
        return 1
    except StopAsked:
        print("Stopped; no report was written.", file=sys.stderr)
        return EXIT_INTERRUPTED
    CHART.parent.mkdir(exist_ok=True)
    draw(figures.series, CHART)
    REPORT.write_text(render(figures, CHART.relative_to(REPORT.parent).as_posix()))
    print(f"Written: {REPORT.relative_to(ROOT)}")
    return 0


def _measure() -> Figures:
    """Start a service for each number of workers and send every crowd to one after the other.

    Raises:
        BundleError: there is no model.
        CannotMeasure: a service or Locust did not run.
    """
    machine = Machine.this()
    model = choose(load_settings(ModelSettings))[0]
    series: dict[int, tuple[Measurement, ...]] = dict.fromkeys(WORKERS, ())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stress-")))
        urls = {
            workers: stack.enter_context(running_service(workers, model, folder / str(workers))) for workers in WORKERS
        }
        for users in USERS:
            for workers, url in urls.items():
                seen = send_crowd(url, users, warm_up_s=WARM_UP_S, seconds=MEASURED_S)
                series[workers] += (seen,)
                print(
                    f"{users:4} users, {workers} worker(s): {seen.predictions_per_s:6.1f} predictions/s,"
                    f" p99 {seen.p99_ms:5.0f} ms, {seen.failed} failures, {seen.refused} refused",
                    flush=True,
                )
                wait_for_empty_queue(url)
        great_crowd = send_crowd(
            urls[max(WORKERS)],
            GREAT_CROWD,
            warm_up_s=GREAT_CROWD_WARM_UP_S,
            seconds=GREAT_CROWD_S,
            known_share=GREAT_CROWD_KNOWN_SHARE,
        )
        print(f"{GREAT_CROWD} users: {great_crowd.failed} failures, {great_crowd.refused} refused", flush=True)
    return Figures(
        day=datetime.now(UTC).date(),
        machine=machine,
        model=model.name,
        warm_up_s=WARM_UP_S,
        seconds=MEASURED_S,
        series=series,
        great_crowd=great_crowd,
    )


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not leave a part of it running
    raise StopAsked


if __name__ == "__main__":
    sys.exit(main())
