"""``python -m stress_test.image_stores``: what a picture costs in a folder and in the bucket that IMAGE_STORE names.

Both are used in turns, with the same pictures of chance, by the classes that the service uses, from one thread. It
prints a table: wall time and CPU time of this process for each step. What it stores it deletes. ROUNDS (5) says how
many turns of 40 pictures of 60 kB and of 8 of 2 MB each has.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import BackendDown
from contract.image_store import ImageStore
from contract.image_store.bucket_store import BucketStore
from contract.image_store.opening import open_bucket
from contract.settings import SharedSettings, load_settings
from stress_test.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from contract.image_store import PictureStore

SIZES = {60_000: 40, 2_000_000: 8}  # bytes, and pictures of it in a turn
KEPT_FOR_S = 3600.0
EXIT_NO_STORE = 2


@dataclass(slots=True)
class Cost:
    """Milliseconds of each call, and of this process' processors for all of them."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: float = 0.0

    def measure(self, calls: Sequence[Callable[[], object]]) -> None:
        cpu_s = time.process_time()
        for call in calls:
            started = time.perf_counter()
            call()
            self.wall_ms.append((time.perf_counter() - started) * 1000)
        self.cpu_ms += (time.process_time() - cpu_s) * 1000

    def __str__(self) -> str:
        ordered = sorted(self.wall_ms)
        p99 = ordered[int(0.99 * (len(ordered) - 1))]
        return f"{statistics.median(ordered):.2f} / {p99:.2f} / {self.cpu_ms / len(ordered):.2f}"


def turn(store: PictureStore, pictures: Sequence[bytes], costs: dict[str, Cost]) -> None:
    """Store new pictures, send them again, read them, look whether they are there, delete them."""
    names = [hashlib.sha256(picture).hexdigest() for picture in pictures]
    for step in ("store a new one", "store it again"):
        costs[step].measure([partial(store.put, picture) for picture in pictures])
    costs["read"].measure([partial(store.read, name) for name in names])
    costs["look"].measure([partial(store.__contains__, name) for name in names])
    costs["delete"].measure([partial(store.delete, name) for name in names])


def main() -> int:
    settings = load_settings(SharedSettings)
    bucket = open_bucket(settings)
    if bucket is None:
        print("IMAGE_STORE names a folder: name a bucket", file=sys.stderr)
        return EXIT_NO_STORE
    rounds = int(os.environ.get("ROUNDS", "5"))
    costs: dict[tuple[int, str], dict[str, Cost]] = defaultdict(lambda: defaultdict(Cost))
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, PictureStore] = {
            "folder": ImageStore(Path(folder)),
            "bucket": BucketStore(bucket, renewed_after_s=KEPT_FOR_S / 2),
        }
        try:
            for store in stores.values():
                store.check_writable()
            for _ in range(rounds):
                for size, number in SIZES.items():
                    pictures = [os.urandom(size) for _ in range(number)]
                    for where, store in stores.items():
                        turn(store, pictures, costs[size, where])
        except BackendDown as error:
            print(f"{error} ({error.cause})", file=sys.stderr)
            return EXIT_NO_STORE
    machine = Machine.this()
    print(f"{machine.cores} cores, {machine.processor}; {rounds} rounds\n")
    print(table(costs))
    return 0


def table(costs: dict[tuple[int, str], dict[str, Cost]]) -> str:
    lines = ["| p50 ms / p99 ms / CPU ms | size | folder | bucket |", "|---|---|---|---|"]
    for size in SIZES:
        lines += [
            f"| {step} | {size // 1000} kB | {cost} | {costs[size, 'bucket'][step]} |"
            for step, cost in costs[size, "folder"].items()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
