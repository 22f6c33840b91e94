"""A service whose workers serve a detector beside a classifier: both are small networks that look for red."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import requests
from PIL import Image

from contract.redis_clients import connect
from contract.worker_registry import live_workers
from model.bundle import load_bundle
from model.tests import detectors, networks
from tests.pictures import odd
from tests.support.api import Api
from tests.support.forks import ForkedProgram
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Server

DETECTOR, CLASSIFIER = "reds", "colours"
SIZE = (640, 320)  # of a picture, in pixels


def red_at(*boxes: tuple[int, int, int, int], noise: int = 0) -> bytes:
    """A white picture with red boxes, each left, top, right and bottom; another ``noise`` makes another picture."""
    picture = Image.new("RGB", SIZE, "white")
    for box in boxes:
        picture.paste((255, 0, 0), box)
    picture.putpixel((SIZE[0] - 1, SIZE[1] - 1), (255, 255 - noise // 256, 255 - noise % 256))
    return odd.encoded(picture, "PNG", compress_level=0)


class DetectionSite:
    """Runs while the context lasts; the detector is registered last.

    Attributes:
        digest: the detector's.
        redis: for the test, which may look at everything.
    """

    def __init__(self, server: Server, folder: Path, processes: int = 1, /, **environment: str) -> None:
        self._server = server
        self.folder = folder
        self.digest = load_bundle(detectors.write_bundle(folder / DETECTOR)).digest
        networks.write_bundle(folder / CLASSIFIER)
        self._processes = processes
        self._environment = environment
        self.running: list[ForkedProgram] = []

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(self.end_workers)
            self.redis = opened.enter_context(connect(self._server.operator_url))
            self.redis.flushall()
            self.start_worker()
            settings = {"REQUEST_TIMEOUT_S": str(WAIT_S), **self._environment}
            self.api = opened.enter_context(
                Api(self._server.api_url, self.folder, processes=self._processes, **settings)
            )
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def start_worker(self) -> ForkedProgram:
        before = len(live_workers(self.redis))
        settings = {
            "REDIS_URL": self._server.worker_url,
            "UPLOAD_DIR": str(self.folder / "uploads"),
            "COPIES_DIR": str(self.folder / "copies"),
            "MODELS_DIR": str(self.folder),
            "MODELS": f"{self.folder}/{DETECTOR},{self.folder}/{CLASSIFIER}",
        }
        with (self.folder / "worker.log").open("ab") as log:
            worker = ForkedProgram("model.worker", environment={**os.environ, **settings}, stdout=log, stderr=log)
        self.running.append(worker)
        # At least: on a busy machine another's entries run out and come back.
        eventually(lambda: len(live_workers(self.redis)) >= before + 2, "both models are served")
        return worker

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.api.address)

    def post(self, path: str, picture: bytes, **fields: Any) -> requests.Response:
        """A form with one picture and these fields."""
        return requests.post(f"{self.url}{path}", files={"file": picture}, data=fields, timeout=WAIT_S)

    def end_workers(self) -> None:
        for worker in self.running:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
                worker.wait(WAIT_S)
