"""``python -m stress_test.soak`` (``make soak``): MINUTES (20) of load, kills and samples.

Exit code 1: something grows, or a request was lost or wrongly answered.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.machine import Machine
from stress_test.site import kill, running_site
from stress_test.soak.chart import draw
from stress_test.soak.report import Figures, render
from stress_test.soak.samples import sample
from stress_test.traffic.fates import counts
from stress_test.traffic.open_loop import OpenLoop, capacity
from stress_test.traffic.sender import Sender

if TYPE_CHECKING:
    from stress_test.site import Site
    from stress_test.soak.trend import Samples
    from stress_test.traffic.fates import Sent

MINUTES = 20.0
WARM_UP_SHARE = 0.25
CAPACITY_S = 20.0  # long enough for what else the machine does
SHARE_OF_CAPACITY = 0.7
KNOWN_EVERY, KNOWN_PICTURES = 4, 48
SAMPLE_EVERY_S, KILL_EVERY_SAMPLES = 5.0, 12
SETTINGS = {"RESULT_TTL_S": "30", "JOB_TTL_S": "240", "UPLOADS_MB": "25"}
REPORT = Path(__file__).parent / "report.md"
CHART = Path(__file__).parent / "chart.svg"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    minutes = float(os.environ.get("MINUTES") or MINUTES)
    machine = Machine.this()
    series: dict[str, Samples] = {}
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, running_site(Path(folder), **SETTINGS) as site:
        sender, numbers = Sender(site.stack.url, uuid.uuid4().hex[:12]), itertools.count()

        def send(number: int) -> Sent:
            return sender.send(number, picture=number % KNOWN_PICTURES if number % KNOWN_EVERY == 0 else number)

        rate = SHARE_OF_CAPACITY * capacity(send, numbers, CAPACITY_S)
        with OpenLoop(send, rate, numbers) as load:
            kills = _watch(site, 60 * minutes, series)
        fates = counts(load.ended())
    day, warm_up_s = datetime.now(UTC).date(), 60 * minutes * WARM_UP_SHARE
    figures = Figures(day, machine, minutes, warm_up_s, rate, kills, SETTINGS, fates, series)
    draw(series, warm_up_s, CHART)
    REPORT.write_text(render(figures, CHART.name))
    print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


def _watch(site: Site, seconds: float, series: dict[str, Samples]) -> int:
    """Sample for so long, and kill now and then.

    Returns:
        How often.
    """
    dice, kills = random.Random(0), 0  # noqa: S311 - no secret
    began = time.monotonic()
    for number in itertools.count(1):
        time.sleep(max(0.0, began + number * SAMPLE_EVERY_S - time.monotonic()))
        now_s = time.monotonic() - began
        if now_s > seconds:
            return kills
        for name, value in sample(site).items():
            series.setdefault(name, []).append((now_s, value))
        if number % KILL_EVERY_SAMPLES == 0:
            kill(dice.choice([*site.workers(), *site.api_processes()]))
            kills += 1
    return kills


if __name__ == "__main__":
    sys.exit(main())
