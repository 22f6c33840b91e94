"""``python -m stress_test.capacity.litserve_server MODEL PORT WORKERS``: LitServe with the conventional classifier.

Runs in the peer's own environment (``peer.py``). Annotations are evaluated here: LitServe looks at decode_request's to
know what to hand over.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import litserve as ls  # type: ignore[import-not-found]  # not in this project's environment
from starlette.requests import Request  # type: ignore[import-not-found]

from stress_test.capacity.conventional import ConventionalClassifier

BATCH = 8
BATCH_WAIT_S = 0.01  # LitServe's default, 0, lets an idle worker spin


class Photos(ls.LitAPI):  # type: ignore[misc]  # see above
    def __init__(self, model: Path) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_WAIT_S)
        self._model = model

    def setup(self, _device: str) -> None:
        self._classifier = ConventionalClassifier(self._model)

    def decode_request(self, request: Request) -> bytes:
        upload: Any = request["file"]
        data: bytes = upload.file.read()
        return data

    def batch(self, inputs: Sequence[bytes]) -> Sequence[bytes]:
        return inputs

    def predict(self, images: Sequence[bytes]) -> list[int]:
        return self._classifier.classify(images)

    def unbatch(self, output: list[int]) -> list[int]:
        return output

    def encode_response(self, output: int) -> dict[str, int]:
        return {"class_index": output}


if __name__ == "__main__":
    model, port, workers = sys.argv[1:]
    server = ls.LitServer(Photos(Path(model)), accelerator="cpu", workers_per_device=int(workers), fast_queue=True)
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False)
