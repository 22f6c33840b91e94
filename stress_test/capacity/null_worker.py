"""``python -m stress_test.capacity.null_worker``: the service's worker with a classifier that answers at once.

Queue, settlement, lease and recovery are the real ones and pictures are read from the store, so the processor time
of this process is what a worker takes beside decoding and inference.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from contract.image_store.opening import open_to_read
from contract.logging import set_up_logging
from contract.messages import Classification, ClassifyJob, Label, Timings
from contract.model_description import ModelDescription
from contract.model_version import ModelVersion
from contract.redis_clients import connect
from contract.settings import load_settings
from model.errors import BundleError
from model.serving.worker import Worker
from model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.picture import Picture

MODEL, DIGEST = "null", "0" * 64
DESCRIPTION = ModelDescription(
    task="classification", precision="fp32", width=224, height=224, labels=0, licence=None, provenance={}
)


class NullClassifier:
    """Gives every picture the same full-length answer."""

    bundle = SimpleNamespace(model=ModelVersion(MODEL), digest=DIGEST, labels=(), description=DESCRIPTION)
    decoder = None
    job = ClassifyJob

    def __init__(self, top_k: int) -> None:
        labels = tuple(Label(f"label {number}", 1 / top_k) for number in range(top_k))
        self._answer = Classification(MODEL, DIGEST, labels, Timings(0.0, 0.0))

    def predict(self, pictures: Sequence[Picture], *, on_progress: Callable[[], None]) -> list[Classification]:
        on_progress()
        return [self._answer] * len(pictures)


class NothingElse:
    """A loader that finds no other version."""

    def load(self, name: str, *, version: str | None = None, path: str | None = None) -> Any:
        raise BundleError(f"there is no {name} {version} {path}")


def main() -> int:
    settings = load_settings(Settings)
    set_up_logging(settings.log_level, settings.log_messages_per_s, settings.log_format)
    classifier: Any = NullClassifier(settings.top_k_max)
    Worker(
        connect(settings.redis_address),
        open_to_read(settings)[0],
        [classifier],
        NothingElse(),
        batch_max=settings.batch_max,
        batch_wait_s=settings.batch_wait_ms / 1000,
        answer_ttl_s=settings.result_ttl_s,
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
