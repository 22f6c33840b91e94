"""``python -m stress_test.capacity.two_trees OTHER``: what a picture costs this checkout and another one, in turns.

Processor time of the API and of the worker, the model replaced by an instant answer or, with ``--model``, the real one.
Both run in this environment, so ``OTHER`` needs none of its own. It prints Markdown for a decision or a changelog.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stress_test.capacity.collection import find_photos
from stress_test.capacity.cost_table import cost_table
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.scenarios.control_plane import Cost, cost_of_a_turn, service_with_one_worker
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS, TURN_S, WARM_UP_S = 7, 8.0, 3.0
PAUSE_S = 5.0  # what clients of the warm-up did not wait for is computed before the turn, or never


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stress_test.capacity.two_trees", description=__doc__)
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--model", type=Path, help="a bundle to serve (default: a worker that answers at once)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=TURN_S, help="length of a turn (default: %(default)s)")
    options = parser.parse_args(arguments)
    ours: list[Cost] = []
    theirs: list[Cost] = []
    try:
        photos = find_photos().files
        with tempfile.TemporaryDirectory(prefix="two-trees-") as scratch:

            def turn(name: str, tree: Path, costs: list[Cost]) -> None:
                folder = Path(scratch) / f"{name}-{len(costs)}"
                with service_with_one_worker(folder, tree=tree, model=options.model) as (url, parts):
                    cost_of_a_turn(url, parts, photos, WARM_UP_S)
                    time.sleep(PAUSE_S)
                    costs.append(cost_of_a_turn(url, parts, photos, options.seconds))

            turns = [partial(turn, "this", ROOT, ours), partial(turn, "other", options.other.resolve(), theirs)]
            take_turns(turns, options.rounds)
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    print(cost_table("this tree", "the other", ours, theirs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
