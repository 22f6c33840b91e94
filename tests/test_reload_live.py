"""Reload and rollback of the real network while requests go on, and what becomes of the memory."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import requests
from redis import Redis

from contract import keys
from contract.loading import LOADED_WITHIN_S
from model.bundle import MANIFEST
from tests.conftest import PICTURES
from tests.support.api import Api
from tests.support.scripted_worker import MODEL
from tests.support.stack import Stack
from tests.support.workers import WAIT_S, ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

KEY = {"X-API-Key": "an-operators-key-of-this-test"}
SENDERS, CHANGES = 6, 7
BETWEEN_CHANGES_S = 2.0
KNOWN_LATE_S = 3.0  # after a move: how long a process of the API may go by what it has read of the registry
LEAST_MB = 20  # that a session takes; the network's file has 32
LEFT_SHARE = 0.3  # of what loading took, at most so much is left once it is unloaded


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of one network, whose digests differ because their manifests do."""
    folder = tmp_path_factory.mktemp("versions")
    for version in ("1", "2"):
        bundle = shutil.copytree(models / "resnet50-int8", folder / f"resnet50-{version}")
        manifest = json.loads((bundle / MANIFEST).read_text())
        (bundle / MANIFEST).write_text(json.dumps(manifest | {"version": version}, indent=2))
    return folder


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Stored answers are off: every request is computed."""
    settings = {"MODELS": "resnet50@1", "MODELS_DIR": str(folder), "RESULT_CACHE": "false"}
    with Stack(tmp_path_factory.mktemp("stack"), ADMIN_API_KEY=KEY["X-API-Key"], **settings) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def change(stack: Stack, route: str, **fields: str) -> dict[str, Any]:
    answer = requests.post(f"{stack.url}{route}", headers=KEY, json=fields, timeout=LOADED_WITHIN_S + 10)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def model_of(folder: Path, version: str) -> str:
    """As ``X-Model`` names it."""
    return f"resnet50@{sha256((folder / f'resnet50-{version}' / MANIFEST).read_bytes()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """``asked`` and ``came`` are times; ``model`` is what has made it, as ``X-Model`` names it."""

    asked: float
    came: float
    status: int
    model: str


@dataclass(slots=True)
class Reign:
    """When requests may be answered by a model: from when it could become current until all know of the next."""

    model: str
    begins: float
    ends: float = float("inf")

    def covers(self, answer: Answer) -> bool:
        return self.model == answer.model and self.begins <= answer.came and answer.asked <= self.ends


def send_until(stack: Stack, ended: Event) -> list[Answer]:
    picture = (PICTURES / "chelsea.jpg").read_bytes()
    answers = []
    with requests.Session() as session:
        while not ended.is_set():
            asked = time.monotonic()
            answer = session.post(f"{stack.url}/infer", data=picture, timeout=WAIT_S)
            model = answer.headers.get("X-Model", "")
            answers.append(Answer(asked, time.monotonic(), answer.status_code, model))
    return answers


@pytest.mark.long
def test_not_one_request_fails_while_versions_change_and_each_names_the_one_that_made_it(stack, folder):
    """Reload and rollback in turn, under as many senders as keep both workers busy; once after an unloading too."""
    ended = Event()
    reigns = [Reign(model_of(folder, "1"), 0.0)]
    with ThreadPoolExecutor(SENDERS) as senders:
        futures = [senders.submit(send_until, stack, ended) for _ in range(SENDERS)]
        try:
            for number in range(CHANGES):
                begun = time.monotonic()
                told = roll_back(stack) if number else change(stack, "/reload", path="resnet50-2")
                reigns[-1].ends = time.monotonic() + KNOWN_LATE_S
                reigns.append(Reign(model_of(folder, told["version"]), begun))
                time.sleep(BETWEEN_CHANGES_S)
                if number == CHANGES - 2:
                    wait_until_alone(stack)
        finally:
            ended.set()
    answers = [answer for future in futures for answer in future.result()]
    by_model = Counter(answer.model for answer in answers)
    print(f"{len(answers)} answers, {dict(by_model)}, while the version changed {CHANGES} times")

    assert Counter(answer.status for answer in answers) == {200: len(answers)}
    assert by_model.keys() == {model_of(folder, "1"), model_of(folder, "2")}
    assert min(by_model.values()) > CHANGES
    assert [answer for answer in answers if not any(reign.covers(answer) for reign in reigns)] == []


@pytest.mark.long
def test_a_versions_memory_is_taken_while_it_is_served_and_freed_after(stack):
    """Twice a session only while both are held."""
    wait_until_alone(stack)
    alone = megabytes(stack)
    told = change(stack, "/admin/reload", path="resnet50-2" if version_now(stack) == "1" else "resnet50-1")
    both = megabytes(stack)
    wait_until_alone(stack)
    after = megabytes(stack)
    print(f"MB of a worker: {alone:.0f} with one version, {both:.0f} with both, {after:.0f} with the other")

    assert told["workers"] == 2
    assert both - alone > LEAST_MB
    assert after - alone < LEFT_SHARE * (both - alone)


def megabytes(stack: Stack) -> float:
    """The memory of the largest worker."""
    return max(worker.memory_info().rss for worker in stack.parts("model.worker")) / 1e6


def version_now(stack: Stack) -> str:
    picture = (PICTURES / "chelsea.jpg").read_bytes()
    return requests.post(f"{stack.url}/infer", data=picture, timeout=WAIT_S).headers["X-Model-Version"]


def wait_until_alone(stack: Stack) -> None:
    """Until each worker serves one version, as RQ's record of it says."""
    with Redis.from_url(stack.operator_url) as redis:
        eventually(
            lambda: all(
                redis.hget(worker, "queues").decode().count("classify-") == 1 for worker in redis.smembers("rq:workers")
            ),
            "the version before is unloaded",
        )


def roll_back(stack: Stack) -> dict[str, Any]:
    return change(stack, "/admin/models/resnet50/rollback")


@pytest.mark.long
def test_a_request_whose_process_of_the_api_is_killed_runs_out_and_the_next_one_works(valkey: Server, tmp_path: Path):
    """Nobody waits any more for what workers were asked; until it has run out, another is refused."""
    workers = ScriptedWorkers(valkey, tmp_path)
    workers.redis.flushall()
    workers.start(LOADS="held")
    with (
        Api(valkey.api_url, tmp_path, processes=1, ADMIN_API_KEY=KEY["X-API-Key"]) as api,
        ThreadPoolExecutor(1) as operator,
    ):
        cut_off = operator.submit(reload, api)
        eventually(lambda: workers.redis.exists(keys.load(MODEL)), "workers are asked")
        (process,) = api.processes()
        api.replace(process)

        with pytest.raises(requests.ConnectionError):
            cut_off.result()
        assert reload(api).status_code == 409
        assert 0 < workers.redis.ttl(keys.load(MODEL)) <= LOADED_WITHIN_S + 30

        workers.redis.expire(keys.load(MODEL), 1)
        (tmp_path / "go").touch()
        eventually(lambda: not workers.redis.exists(keys.load(MODEL)), "it runs out")
        answer = reload(api)

        assert (answer.status_code, answer.json()["version"]) == (200, "2")
    workers.close()


def reload(api: Api) -> requests.Response:
    host, port = api.address
    return requests.post(f"http://{host}:{port}/reload", headers=KEY, timeout=WAIT_S)
