"""``python -m stress_test.costly`` (``make costly``): ordinary requests alone and beside a flood, in turns.

ROUNDS (5) says how many turns of both. Exit code 1: an ordinary request was not answered right, or their p99 beside the
flood is more than twice that alone.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from stress_test.costly.flood import Flood
from stress_test.costly.report import Figures, Turn, render
from stress_test.machine import Machine
from stress_test.site import running_site
from stress_test.traffic.open_loop import OpenLoop, capacity
from stress_test.traffic.sender import ROUTES, Sender

ROUNDS = 5
TURN_S = 15.0
SETTLE_S = 5.0  # after a flood, so that what is left of it is no part of the next turn
CAPACITY_S = 5.0
SHARE_OF_CAPACITY = 0.25
REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    rounds = int(os.environ.get("ROUNDS") or ROUNDS)
    machine = Machine.this()
    turns: list[Turn] = []
    with tempfile.TemporaryDirectory(prefix="costly-") as folder, running_site(Path(folder)) as site:
        numbers = itertools.count(ROUTES.index("/infer"), len(ROUTES))  # all of them to that route
        sender = Sender(site.stack.url, uuid.uuid4().hex[:12])
        flood = Flood(site.stack.url)
        rate = SHARE_OF_CAPACITY * capacity(sender.send, numbers, CAPACITY_S)
        for number, beside in itertools.product(range(rounds), (False, True)):
            with OpenLoop(sender.send, rate, numbers) as load:
                if beside:
                    flood.pour(TURN_S)
                else:
                    time.sleep(TURN_S)
            turns.append(Turn(number, beside, tuple(load.ended()), flood.wait()))
            print(turns[-1].line, flush=True)
            time.sleep(SETTLE_S)
    figures = Figures(datetime.now(UTC).date(), machine, rate, turns)
    REPORT.write_text(render(figures))
    print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


if __name__ == "__main__":
    sys.exit(main())
