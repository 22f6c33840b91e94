"""Two models on one real service: each worker has both networks in its memory and takes turns."""

from __future__ import annotations

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
import requests

from model.bundle import MANIFEST
from tests.conftest import PICTURES
from tests.support.stack import Stack
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

PHOTO = (PICTURES / "chelsea.jpg").read_bytes()
TIMEOUT_S = 60
NAMES = {"resnet50": "resnet50@1", "twin": "twin@7"}


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-50, and the same network under another name, which has another digest."""
    folder = tmp_path_factory.mktemp("models")
    for version in NAMES.values():
        bundle = shutil.copytree(models / "resnet50-int8", folder / version)
        name, number = version.split("@")
        manifest = json.loads((bundle / MANIFEST).read_text())
        (bundle / MANIFEST).write_text(json.dumps(manifest | {"name": name, "version": number}, indent=2))
    return folder


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The default is the first of MODELS; stored answers are off, so that every request is computed."""
    settings = {"MODELS": "resnet50,twin", "MODELS_DIR": str(folder), "RESULT_CACHE": "false"}
    with Stack(tmp_path_factory.mktemp("stack"), **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture(scope="module")
def digests(folder: Path) -> dict[str, str]:
    return {name: sha256((folder / version / MANIFEST).read_bytes()).hexdigest() for name, version in NAMES.items()}


def send(stack: Stack, model: str | None, photo: bytes = PHOTO) -> requests.Response:
    fields = {} if model is None else {"model": model}
    return requests.post(f"{stack.url}/infer", files={"file": photo}, data=fields, timeout=TIMEOUT_S)


@pytest.mark.parametrize("asked", [None, "resnet50", "resnet50@1", "twin", "twin@7"])
def test_each_model_gives_its_own_answer_and_says_so(stack, digests, asked):
    name = (asked or "resnet50").partition("@")[0]
    answer = send(stack, asked)

    assert answer.status_code == 200
    assert answer.headers["X-Model"] == f"{name}@{digests[name][:12]}"
    assert answer.headers["X-Model-Version"] == NAMES[name].partition("@")[2]
    assert answer.json()["predictions"][0]["label"] == "Egyptian_cat"


def test_one_worker_a_core_serves_them_all(stack):
    """The service is ready with the first worker; the second may still be warming up."""

    def served() -> dict[str, tuple[bool, int]]:
        told = requests.get(f"{stack.url}/v1/models", timeout=TIMEOUT_S).json()["models"]
        return {model["name"]: (model["default"], model["versions"][0]["workers"]) for model in told}

    eventually(lambda: served() == {"resnet50": (True, 2), "twin": (False, 2)}, "two workers that serve both models")


def test_requests_of_both_models_outlive_a_killed_worker(stack, digests):
    """What it had in hand comes back, to the queue of its own version."""
    asked = ["resnet50", "twin"] * 40
    with ThreadPoolExecutor(16) as senders:
        answers = [senders.submit(send, stack, model, PHOTO + os.urandom(8)) for model in asked]
        answers[3].result()
        stack.parts("model.worker")[0].send_signal(signal.SIGKILL)
        models = [answer.result().headers.get("X-Model") for answer in answers]

    assert models == [f"{name}@{digests[name][:12]}" for name in asked]
