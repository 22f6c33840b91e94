"""A worker process whose classifier does what the picture's bytes say, so that tests can script its behaviour.

Queue, settlement, lease and recovery are the real ones; only the network is replaced.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from contract.logging import set_up_logging
from contract.messages import Classification, Failure, FailureKind, Label, Timings
from contract.redis_clients import connect
from model.serving import lease
from model.serving.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.picture import Picture
    from model.serving.copier import Copier

MODEL, DIGEST = "scripted", "d" * 64
SLOW_S = 0.6
# In front of a script, so that the API takes it for a picture: a screen and a frame of 8 x 8.
GIF = b"GIF89a\x08\0\x08\0\0\0\0" + b",\0\0\0\0\x08\0\x08\0\0#"


class ScriptedClassifier:
    bundle = SimpleNamespace(name=MODEL, digest=DIGEST, labels=("tabby", "lynx"))

    def classify(
        self, pictures: Sequence[Picture], *, on_progress: Callable[[], None]
    ) -> list[Classification | Failure]:
        """Obey: "poison" kills the process, "fault" raises, "bad" is undecodable, "slow" takes a while.

        "large" takes a while for each picture, and says when it is through with it; "hang" never ends. "damaged" is
        undecodable if it is to be read strictly. A file "mended" beside the journal mends every fault.
        """
        images = [picture.data.removeprefix(GIF) for picture in pictures]
        with Path(os.environ["JOURNAL"]).open("a") as journal:
            journal.write(" ".join(sorted(image.decode() for image in images)) + "\n")
        if any(image.startswith(b"poison") for image in images):
            os._exit(9)
        mended = Path(os.environ["JOURNAL"]).with_name("mended").exists()
        if any(image.startswith(b"fault") for image in images) and not mended:
            raise RuntimeError("scripted fault")
        if any(image.startswith(b"slow") for image in images):
            time.sleep(SLOW_S)
        for image in images:
            if image.startswith(b"large"):
                time.sleep(SLOW_S)
                on_progress()
        while any(image.startswith(b"hang") for image in images):
            time.sleep(SLOW_S)
        return [
            self._outcome(image.decode(), strict=picture.strict)
            for image, picture in zip(images, pictures, strict=True)
        ]

    def _outcome(self, script: str, *, strict: bool) -> Classification | Failure:
        damaged = script.startswith("damaged")
        if script.startswith("bad") or (damaged and strict):
            return Failure(FailureKind.UNDECODABLE, "scripted")
        return Classification(MODEL, DIGEST, (Label(script, 1.0),), Timings(0.0, 0.0), damaged)


def _copier() -> Copier | None:
    """The real one, of real pictures, if there is a folder for what it makes."""
    folder = os.environ.get("COPIES_DIR")
    if not folder:
        return None
    from model.decode import Decoder  # noqa: PLC0415  it loads decoders, which few of these workers need
    from model.serving.copier import Copier  # noqa: PLC0415

    return Copier(ImageStore(Path(os.environ["UPLOAD_DIR"])), CopyStore(Path(folder)), Decoder(1_000_000))


def main() -> int:
    set_up_logging("INFO", messages_per_s=100)
    lease.COMPUTE_LIMIT_S = float(os.environ.get("COMPUTE_LIMIT_S", lease.COMPUTE_LIMIT_S))
    classifier: Any = ScriptedClassifier()
    Worker(
        connect(os.environ["REDIS_URL"]),
        ImageStore(Path(os.environ["UPLOAD_DIR"])),
        cast("Any", classifier),
        batch_max=4,
        batch_wait_s=0.0,
        answer_ttl_s=60,
        copier=_copier(),
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
