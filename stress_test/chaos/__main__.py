"""``python -m stress_test.chaos`` (``make chaos``): MINUTES (10) bounds it, FAULTS names some by parts of their names.

Exit code 1: a request was lost or wrongly answered, or the service did not recover.
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
from typing import TYPE_CHECKING

from stress_test.chaos.faults import FAULTS
from stress_test.chaos.report import NEVER, Figures, render
from stress_test.chaos.rounds import run_round
from stress_test.errors import CannotMeasure
from stress_test.machine import Machine
from stress_test.site import running_site
from stress_test.traffic.open_loop import capacity
from stress_test.traffic.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stress_test.chaos.faults import Fault
    from stress_test.chaos.rounds import Round

MINUTES = 10.0
CAPACITY_S = 5.0
SHARE_OF_CAPACITY = 0.5
REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    until = time.monotonic() + 60 * float(os.environ.get("MINUTES") or MINUTES)
    wanted = [name.strip() for name in (os.environ.get("FAULTS") or "").split(",") if name.strip()]
    faults = [fault for fault in FAULTS if not wanted or any(name in fault.name for name in wanted)]
    machine = Machine.this()
    rounds: list[Round] = []
    broken_off = ""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, running_site(Path(folder)) as site:
        possible = [fault for fault in faults if site.disk is not None or not fault.needs_mount]
        numbers = itertools.count()
        sender = Sender(site.stack.url, uuid.uuid4().hex[:12])
        rate = SHARE_OF_CAPACITY * capacity(sender.send, numbers, CAPACITY_S)
        try:
            for fault in _in_turns(possible, until):
                rounds.append(run_round(site, sender, fault, rate, numbers))
                _print(rounds[-1])
        except CannotMeasure as error:
            broken_off = f"{fault.name}: {error}"
            print(broken_off, file=sys.stderr)
    left_out = [fault.name for fault in faults if fault not in possible]
    figures = Figures(datetime.now(UTC).date(), machine, rate, rounds, left_out, broken_off)
    if wanted:
        print(render(figures))
    else:
        REPORT.write_text(render(figures))
        print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


def _in_turns(faults: Sequence[Fault], until: float) -> Iterator[Fault]:
    """The faults again and again until the time is over; every one once in any case."""
    yield from faults
    for fault in itertools.cycle(faults):
        if time.monotonic() > until:
            return
        yield fault


def _print(seen: Round) -> None:
    fates = ", ".join(f"{number} {fate}" for fate, number in seen.fates.items() if number)
    print(f"{seen.fault}: {fates}", flush=True)
    for sent in seen.requests:
        if sent.fate in NEVER:
            print(f"  {sent.fate}: {sent.name} {sent.route}: {sent.why}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
