"""``python -m stress_test.capacity.with_keys``: what a picture costs with keys and limits, and without, in turns.

Processor time of the API and of the worker, the model replaced by an instant answer or, with ``--model``, the real one.
As many senders as there are requests at once have keys whose limits are counted and never met. It prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from api.keys.key import Key, Scope, digest_of, new_secret
from api.keys.key_file import LARGEST_LIMIT, line_of
from api.keys.limits import LIMIT_NAMES, Limits
from stress_test.capacity.collection import find_photos
from stress_test.capacity.cost_table import cost_table
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.scenarios.control_plane import CONCURRENCY, Cost, cost_of_a_turn, service_with_one_worker
from stress_test.errors import CannotMeasure
from stress_test.senders import WITHOUT_KEYS, Senders

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS, TURN_S, WARM_UP_S = 7, 8.0, 3.0
PAUSE_S = 5.0  # what clients of the warm-up did not wait for is computed before the turn, or never
OWNER_ONLY = 0o600


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m stress_test.capacity.with_keys", description=__doc__)
    parser.add_argument("--model", type=Path, help="a bundle to serve (default: a worker that answers at once)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=TURN_S, help="length of a turn (default: %(default)s)")
    options = parser.parse_args(arguments)
    shut: list[Cost] = []
    open_to_all: list[Cost] = []
    try:
        photos = find_photos().files
        with tempfile.TemporaryDirectory(prefix="with-keys-") as scratch:
            keys_file = Path(scratch) / "keys"
            keys = write_keys(keys_file, CONCURRENCY)

            def turn(name: str, costs: list[Cost], keys_file: Path | None, senders: Senders) -> None:
                folder = Path(scratch) / f"{name}-{len(costs)}"
                with service_with_one_worker(folder, model=options.model, keys=keys_file) as (url, parts):
                    cost_of_a_turn(url, parts, photos, WARM_UP_S, senders)
                    time.sleep(PAUSE_S)
                    costs.append(cost_of_a_turn(url, parts, photos, options.seconds, senders))

            turns = [
                partial(turn, "shut", shut, keys_file, keys),
                partial(turn, "open", open_to_all, None, WITHOUT_KEYS),
            ]
            take_turns(turns, options.rounds)
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    print(cost_table("with keys and limits", "without", shut, open_to_all))
    return 0


def write_keys(path: Path, number: int) -> Senders:
    """Write a keys file for so many senders, all limits of which are counted; returns them."""
    limits = Limits(**dict.fromkeys(LIMIT_NAMES, LARGEST_LIMIT))
    secrets = [new_secret() for _ in range(number)]
    scopes = frozenset({Scope.CLASSIFY})
    path.touch(OWNER_ONLY)
    path.write_text(
        "".join(f"{line_of(Key(f's-{n}', digest_of(secret), scopes, limits))}\n" for n, secret in enumerate(secrets))
    )
    return Senders(tuple(secrets))


if __name__ == "__main__":
    sys.exit(main())
