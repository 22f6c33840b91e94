"""``python -m stress_test.fuzz`` (``make fuzz``): COUNT (20000) pictures and as many requests.

SEED (1) makes the same again.

Exit code 1: something was wrong; the inputs that showed it are in the folder that is printed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from stress_test.fuzz.detection import with_detection
from stress_test.fuzz.report import Figures, render
from stress_test.fuzz.run import inputs, send_all
from stress_test.fuzz.watch import Watch
from stress_test.machine import Machine
from stress_test.site import running_site

COUNT, SEED = 20_000, 1
REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    count, seed = int(os.environ.get("COUNT") or COUNT), int(os.environ.get("SEED") or SEED)
    print(f"{count} pictures and as many requests, SEED={seed}", flush=True)
    machine = Machine.this()
    kept = Path(tempfile.mkdtemp(prefix="fuzz-inputs-"))
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        tempfile.TemporaryDirectory(prefix="fuzz-detector-") as parts,
        running_site(Path(folder), **with_detection(Path(parts))) as site,
    ):
        with Watch(site) as watch:
            seen = send_all(site.stack.url, inputs(seed, count), kept)
        faults = watch.faults()
    figures = Figures(datetime.now(UTC).date(), machine, seed, seen, watch.most_mb, faults)
    REPORT.write_text(render(figures))
    print(f"Written: {REPORT}")
    if figures.passed:
        kept.rmdir()
        return 0
    print(f"Faults: see the report; the inputs are in {kept}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
