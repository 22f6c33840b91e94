"""``python -m stress_test.capacity.with_keys``: what keys and limits cost a picture, in turns with neither.

Processor time of the API and of the worker, the model replaced by an instant answer or, with ``--model``, the real one.
The limits are so high that nobody meets them. With ``--cache`` pictures come again, and most are answered from memory:
then a picture costs the least beside its key. It prints Markdown for a decision or a changelog.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.capacity.collection import find_photos
from stress_test.capacity.figures import Spread, ratios
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.scenarios.control_plane import Cost, cost_of_a_turn, service_with_one_worker
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stress_test.capacity.processes import Role

ROUNDS, TURN_S, WARM_UP_S = 7, 8.0, 3.0
PAUSE_S = 5.0  # what clients of the warm-up did not wait for is computed before the turn, or never
LIMITS = {
    "REQUESTS_PER_MINUTE": "10000000",
    "REQUESTS_PER_DAY": "1000000000",
    "MB_PER_MINUTE": "10000000",
    "MB_PER_DAY": "1000000000",
}
_ROWS: dict[str, tuple[Role, ...]] = {
    "API": ("api",),
    "worker": ("worker",),
    "API and worker": ("api", "worker"),
    "queue": ("queue",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stress_test.capacity.with_keys", description=__doc__)
    parser.add_argument("--model", type=Path, help="a bundle to serve (default: a worker that answers at once)")
    parser.add_argument("--cache", action="store_true", help="the answer cache is on, and the pictures come again")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=TURN_S, help="length of a turn (default: %(default)s)")
    options = parser.parse_args(arguments)
    guarded: list[Cost] = []
    bare: list[Cost] = []
    cache = {"RESULT_CACHE": "on" if options.cache else "off"}
    try:
        photos = find_photos().files
        with tempfile.TemporaryDirectory(prefix="with-keys-") as scratch:
            file = Path(scratch) / "keys"
            key = _new_key(file)

            def turn(name: str, settings: dict[str, str], key: str | None, costs: list[Cost]) -> None:
                folder = Path(scratch) / f"{name}-{len(costs)}"
                with service_with_one_worker(folder, model=options.model, settings=settings) as (url, parts):
                    post = partial(cost_of_a_turn, url, parts, photos, key=key, distinct=not options.cache)
                    post(WARM_UP_S)
                    time.sleep(PAUSE_S)
                    costs.append(post(options.seconds))

            turns = [
                partial(turn, "guarded", cache | LIMITS | {"API_KEYS_FILE": str(file)}, key, guarded),
                partial(turn, "bare", cache, None, bare),
            ]
            take_turns(turns, options.rounds)
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    print(_markdown(guarded, bare))
    return 0


def _new_key(file: Path) -> str:
    """A key that may classify, in a keys file of its own."""
    command = [sys.executable, "-m", "api.keys", "--file", str(file), "new", "bench", "--scope", "classify"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        raise CannotMeasure(f"no key was made: {made.stderr.strip()}")
    return made.stdout.strip()


def _markdown(guarded: Sequence[Cost], bare: Sequence[Cost]) -> str:
    rows = [
        _row(name, *([cost.ms_per_picture(*roles) for cost in costs] for costs in (guarded, bare)))
        for name, roles in _ROWS.items()
    ]
    head = "| CPU ms per picture | keys and limits | neither | with ÷ without |\n|---|--:|--:|--:|"
    machine, failed = Machine.this(), sum(cost.load.failed for cost in (*guarded, *bare))
    where = f"{machine.processor}, {machine.cores} cores, load {machine.load:.1f}, Python {machine.software['Python']}"
    return "\n".join([head, *rows, "", f"{where}; {len(guarded)} rounds in turns; {failed} requests failed."])


def _row(name: str, guarded: Sequence[float], bare: Sequence[float]) -> str:
    quotient = ratios(guarded, bare).text(3) if all(bare) else "-"
    return f"| {name} | {Spread.of(guarded).text(2)} | {Spread.of(bare).text(2)} | {quotient} |"


if __name__ == "__main__":
    sys.exit(main())
