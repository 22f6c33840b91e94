"""``python -m stress_test.capacity.bare_loop conventional|own MODEL BATCH CORE FOLDER``: classify without a server.

Says in a line of JSON how many photos it labels right, once it is warm. Then each line on standard input is a number
of seconds: it goes through the photos for that long and says what it did.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from contract.limits import DEFAULT_MAX_PIXELS
from contract.messages import Classification
from model.bundle import load_bundle
from model.classifier import Classifier
from model.decode import Decoder
from model.export import photos
from model.picture import Picture
from stress_test.capacity.conventional import ConventionalClassifier
from stress_test.capacity.figures import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    ClassIndices = Callable[[Sequence[bytes]], list[int]]


def conventional(model: Path) -> ClassIndices:
    return ConventionalClassifier(model).classify


def own(model: Path) -> ClassIndices:
    """The service's core, as its worker calls it."""
    bundle = load_bundle(model)
    classifier = Classifier(bundle, Decoder(DEFAULT_MAX_PIXELS))  # the photos are JPEGs: it has nothing to close
    classes = {label: index for index, label in enumerate(bundle.labels)}

    def classify(images: Sequence[bytes]) -> list[int]:
        outcomes = classifier.predict([Picture(image) for image in images])
        return [classes[seen.labels[0].label] if isinstance(seen, Classification) else -1 for seen in outcomes]

    return classify


KINDS = {"conventional": conventional, "own": own}


def main() -> int:
    kind, model, batch, core, folder = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    collection = photos.read(Path(folder))
    images = [file.read_bytes() for file in collection.files]
    classify, size = KINDS[kind](Path(model)), int(batch)
    found = [index for start in range(0, len(images), size) for index in classify(images[start : start + size])]
    right = sum(index == truth for index, truth in zip(found, collection.classes.tolist(), strict=True))
    _say({"photos": len(images), "right": right})
    endless = islice(cycle(images), int(core) * len(images) // 2, None)  # processes are not all at the same photo
    for line in sys.stdin:
        _say(_turn(classify, endless, size, float(line)))
    return 0


def _turn(classify: ClassIndices, endless: islice[bytes], size: int, seconds: float) -> dict[str, float]:
    took_ms: list[float] = []
    began = now = time.perf_counter()
    while now - began < seconds:
        batch_began = now
        classify(list(islice(endless, size)))
        now = time.perf_counter()
        took_ms.append((now - batch_began) * 1000)
    return {
        "per_s": size * len(took_ms) / (now - began),
        "p50_ms": percentile(took_ms, 0.50),
        "p99_ms": percentile(took_ms, 0.99),
    }


def _say(line: dict[str, int] | dict[str, float]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
