"""`python -m model.export.speed`: int8 beside fp32 on one core, images a second, in turns within one run."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

import numpy as np

from model.bundle import load_bundle
from model.session import Session

ROUNDS, SECONDS_EACH = 15, 1.0


def main() -> None:
    """Print medians over the rounds, and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(prog="python -m model.export.speed", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sessions = {name: Session(load_bundle(options.models / f"resnet50-{name}")) for name in ("fp32", "int8")}
    rates: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            rates[name].append(images_per_second(session))
    for name, values in rates.items():
        print(f"{name}: {statistics.median(values):.1f} images/s (median of {ROUNDS} rounds, one thread, batch 1)")
    ratios = [fast / slow for fast, slow in zip(rates["int8"], rates["fp32"], strict=True)]
    print(f"int8 / fp32: {statistics.median(ratios):.2f} (rounds from {min(ratios):.2f} to {max(ratios):.2f})")


def images_per_second(session: Session) -> float:
    """Classify one picture again and again for a second; the first time is not counted."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    session.run(picture)
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS_EACH:
        session.run(picture)
        count += 1
    return count / elapsed


if __name__ == "__main__":
    main()
