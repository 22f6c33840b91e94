"""``python -m stress_test.capacity.ways_of_sending [PHOTO]``: what it costs the API to read a picture, by how it comes.

Processor time of the whole application below gunicorn, whose inference answers at once, and of a line of the request
log beside it. It prints Markdown.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from urllib3 import encode_multipart_formdata
from werkzeug.test import EnvironBuilder

from api.app import create_app
from api.core.inference import Answer
from api.http.request_log import LOGGER, write_request
from api.services import Services
from api.settings import Settings
from contract.logging import log_apart
from contract.messages import Classification, Label, Timings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from wsgiref.types import WSGIEnvironment

    from flask import Flask

    from api.core.client import Client
    from api.core.inference import Asked, Inference
    from contract.model_task import ModelTask
    from contract.model_version import WantedModel
    from contract.settings import LogFormat

ROUNDS, REQUESTS = 30, 100
PHOTO = Path(__file__).parents[2] / "tests" / "pictures" / "chelsea.jpg"
SEEN = Answer("a" * 64, Classification("m", "d" * 64, (Label("cat", 0.9),), Timings(1.0, 1.0)), "miss", 2.0)


class Instant:
    """Has the answer at once."""

    def admit(self, _task: ModelTask, _model: WantedModel | None) -> None:
        pass

    def infer(self, _image: bytes, _client: Client, _asked: Asked[Classification]) -> Answer[Classification]:
        return SEEN


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    paths = sys.argv[1:] if arguments is None else arguments
    photo = Path(paths[0] if paths else PHOTO).read_bytes()
    print(f"A photo of {len(photo):,} bytes; processor time, median of {ROUNDS} rounds of {REQUESTS}.\n")
    print("| what | µs |\n|---|--:|")
    with tempfile.TemporaryDirectory() as folder:
        app = _application(Path(folder))
        for name, (content_type, body) in _bodies(photo).items():
            print(f"| a request, the picture as {name} | {_median_us(lambda: _ask(app, content_type, body)):.0f} |")  # noqa: B023
    environ = EnvironBuilder("/infer", method="POST").get_environ()
    for log_format in ("text", "json", "off"):
        print(f"| a line of the request log, {log_format} | {_line_us(environ, log_format):.1f} |")
    return 0


def _bodies(photo: bytes) -> dict[str, tuple[str, bytes]]:
    form, form_type = encode_multipart_formdata({"file": ("photo.jpg", photo, "image/jpeg")})
    text = json.dumps({"image": b64encode(photo).decode()}).encode()
    return {
        "a form": (form_type, form),
        "the body": ("image/jpeg", photo),
        "base64 in JSON": ("application/json", text),
    }


def _application(folder: Path) -> Flask:
    settings = Settings(upload_dir=folder / "uploads", copies_dir=folder / "copies", feedback_dir=folder)
    return create_app(replace(Services.connect(settings), inference=cast("Inference", Instant())))


def _ask(app: Flask, content_type: str, body: bytes) -> None:
    environ = EnvironBuilder("/infer", method="POST").get_environ()
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type}
    statuses: list[str] = []
    answer = app(environ, lambda status, *_: cast("Callable[[bytes], object]", statuses.append(status)))
    list(answer)
    answer.close()  # type: ignore[attr-defined]  # Werkzeug's has it
    assert statuses == ["200 OK"], statuses


def _line_us(environ: WSGIEnvironment, log_format: str) -> float:
    stderr, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: PTH123, SIM115  # the handler takes it as it is now
    try:
        log_apart(LOGGER, sys.maxsize, cast("LogFormat", log_format))
    finally:
        sys.stderr = stderr
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.INFO)
    logger.disabled = log_format == "off"
    return _median_us(lambda: write_request(environ, status=200, bytes_in=100_000, bytes_out=100))


def _median_us(act: Callable[[], object]) -> float:
    act()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REQUESTS):
            act()
        rounds.append((time.process_time() - began) / REQUESTS * 1e6)
    return statistics.median(rounds)


if __name__ == "__main__":
    sys.exit(main())
