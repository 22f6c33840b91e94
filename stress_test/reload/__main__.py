"""``python -m stress_test.reload`` (``make reloads``): versions changed under load.

The load is that of the bench of throughput; MINUTES (2) says how long. It needs wrk, photos (IMAGENET_SAMPLE) and
ResNet-50's bundle. Exit code 1: a request failed, or was answered by another version than the one that it named, or one
of two versions never answered.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from model.bundle import MANIFEST
from stress_test.capacity.collection import find_photos
from stress_test.capacity.processes import service_parts
from stress_test.capacity.settling import settle
from stress_test.capacity.wrk import post, posting
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.machine import Machine
from stress_test.reload.report import Changed, Figures, render
from stress_test.reload.witnesses import Witnesses
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "resnet50"
WORKERS, CONCURRENCY = 2, 32
MINUTES = 2
STEADY_S = 20.0
BETWEEN_S = 5.0  # two changes
UNLOADED_AFTER_S = 25.0  # and its memory is free: 5 s without work, then 10 s, and two heartbeats
CHANGED_WITHIN_S = 120.0  # workers may load for 90 s
KEY = "the-operators-key-of-this-bench"
REPORT = Path(__file__).parent / "report.md"
CHANGES: tuple[tuple[str, str, str, dict[str, str | int]], ...] = (
    ("reload", "POST", "/admin/reload", {"model": NAME, "path": f"{NAME}-2"}),
    ("rollback", "POST", f"/admin/models/{NAME}/rollback", {}),
    ("candidate, 50% of the pictures", "PUT", f"/admin/models/{NAME}/candidate", {"version": "2", "share": 50}),
    ("promotion", "POST", f"/admin/models/{NAME}/promote", {"force": "a bench; the versions differ in their names"}),
    ("rollback", "POST", f"/admin/models/{NAME}/rollback", {}),
)


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the service in order
    machine = Machine.this()
    seconds = 60 * float(os.environ.get("MINUTES") or MINUTES)
    try:
        photos = find_photos().files
        with tempfile.TemporaryDirectory(prefix="reload-") as scratch, _service(Path(scratch)) as url:
            workers = [part for part in service_parts(workers=WORKERS) if part.role == "worker"]

            def megabytes() -> float:
                return max(worker.rss_mb() for worker in workers)

            predict, changes = f"{url}/predict", list[Changed]()
            steady = post(predict, photos, concurrency=CONCURRENCY, seconds=STEADY_S)
            settle(url)
            alone_mb = both_mb = megabytes()
            until_s = time.monotonic() + seconds
            with (
                posting(predict, photos, concurrency=CONCURRENCY, seconds=seconds) as load,
                Witnesses(url, NAME, photos[0]) as witnesses,
            ):
                for what, method, path, fields in itertools.cycle(CHANGES):
                    time.sleep(BETWEEN_S)
                    if time.monotonic() > until_s - BETWEEN_S:
                        break
                    changes.append(Changed(what, _change(method, f"{url}{path}", fields)))
                    both_mb = max(both_mb, megabytes())
                    print(f"{what}: {changes[-1].seconds:.2f} s", flush=True)
                during = load()
            time.sleep(UNLOADED_AFTER_S)
            after_mb = megabytes()
    except CannotMeasure as error:
        print(f"Bench failed: {error}", file=sys.stderr)
        return 1
    figures = Figures(
        day=datetime.now(UTC).date(),
        machine=machine,
        steady=steady,
        during=during,
        changes=changes,
        seen=witnesses.seen,
        alone_mb=alone_mb,
        both_mb=both_mb,
        after_mb=after_mb,
    )
    REPORT.write_text(render(figures))
    print(f"Written: {REPORT}")
    return 0 if figures.passed else 1


@contextmanager
def _service(scratch: Path) -> Iterator[str]:
    """With a models' folder of its own, in which the network stands twice."""
    folder = scratch / "models"
    for version in ("1", "2"):
        bundle = shutil.copytree(ROOT / "models" / f"{NAME}-int8", folder / f"{NAME}-{version}")
        manifest = json.loads((bundle / MANIFEST).read_text())
        (bundle / MANIFEST).write_text(json.dumps(manifest | {"version": version}, indent=2))
    settings = {"MODELS": f"{NAME}@1", "MODELS_DIR": str(folder), "RESULT_CACHE": "off", "ADMIN_API_KEY": KEY}
    with running_service(WORKERS, None, scratch / "service", **settings) as url:
        yield url


def _change(method: str, address: str, fields: dict[str, str | int]) -> float:
    """How long it took, in seconds; raises CannotMeasure: it was refused."""
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = requests.request(method, address, json=fields, headers=headers, timeout=CHANGED_WITHIN_S)
    if not answer.ok:
        raise CannotMeasure(f"{method} {address}: {answer.text}")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
