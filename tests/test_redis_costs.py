"""What the service asks of Redis, in commands, round trips and bytes: they are what hundreds of requests share."""

from __future__ import annotations

from collections import Counter
from math import inf
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from api.core import live_workers, usage
from api.core.client import Client
from api.core.quotas import quotas_of
from api.services import Services
from api.settings import Settings
from contract import keys
from contract.messages import Classification, ClassifyJob, Label, Timings
from contract.model_description import publish_description
from contract.model_version import ModelVersion
from contract.redis_clients import connect
from contract.worker_registry import WorkerEntry, heartbeat
from model.serving.batch_processor import BatchProcessor
from model.serving.lease import Lease
from model.serving.registration import Registration
from tests.support.asking import CLASSIFICATION
from tests.support.queues import priority_queues
from tests.support.scripted_worker import DESCRIPTION, DIGEST, MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from redis import Redis

    from model.picture import Picture
    from tests.support.server import Server
    from tests.support.workers import ScriptedWorkers

LABELS = (
    "Egyptian_cat", "tabby", "tiger_cat", "lynx", "Persian_cat", "Siamese_cat", "black-and-tan_coonhound",
    "Old_English_sheepdog", "window_screen", "paper_towel",
)  # fmt: skip


class TenLabels:
    """Sees ten things in every picture, as the service's own model does; ``batches`` are the sizes of what it saw."""

    bundle = SimpleNamespace(name=MODEL, model=ModelVersion(MODEL), digest=DIGEST, labels=LABELS)
    job = ClassifyJob

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, pictures: Sequence[Picture], *, on_progress: Callable[[], None]) -> list[Classification]:
        on_progress()
        self.batches.append(len(pictures))
        labels = tuple(Label(name, 0.123456, index) for index, name in enumerate(LABELS, 400))
        return [Classification(MODEL, DIGEST, labels, Timings(decode=3.04512, infer=20.18734)) for _ in pictures]


class StepwiseWorker:
    """The parts of a worker, in this process: it works when a test asks it to, and nobody else speaks to Redis then."""

    def __init__(self, redis_url: str, workers: ScriptedWorkers) -> None:
        self.classifier = TenLabels()
        self._redis = connect(redis_url)
        entry = WorkerEntry(worker_id="w1", host="here", model=MODEL, digest=DIGEST, batch=4, service_ms=0.0)
        registration = Registration(self._redis, clear_shared_keys=lambda: None, bulk_share=0.5)
        registration.add(entry, LABELS, DESCRIPTION, claims=True)
        registration.renew()
        self._queues = priority_queues(self._redis, MODEL, worker_name="w1", batch_max=4)
        classifiers = {MODEL: cast("Any", self.classifier)}
        lease = Lease(self._redis, registration.clock)
        self._processor = BatchProcessor(workers.store, classifiers, lease, registration)

    def work(self) -> None:
        """Take one batch and see it through."""
        taken = self._queues.take()
        assert taken is not None
        queue, batch = taken
        self._processor.process(batch, queue)

    def close(self) -> None:
        self._redis.close()


@pytest.fixture
def worker(any_server: Server, workers: ScriptedWorkers) -> Iterator[StepwiseWorker]:
    worker = StepwiseWorker(any_server.worker_url, workers)
    yield worker
    worker.close()


@pytest.fixture
def services(any_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Those of an API process that has just read who is at work, and does so no more."""
    monkeypatch.setattr(live_workers, "HELD_FOR_S", inf)
    monkeypatch.setattr(usage, "PACE_S", inf)
    services = Services.connect(
        Settings(
            redis_url=any_server.api_url,
            upload_dir=tmp_path / "uploads",
            copies_dir=tmp_path / "copies",
            feedback_dir=tmp_path,
        )
    )
    yield services
    services.queue.close()


def asked_of(redis: Redis, act: Callable[[], object]) -> tuple[Counter[str], int]:
    """The commands that ``act`` has the server run, and in how many pieces they come in."""

    def so_far() -> tuple[Counter[str], int]:
        pieces = redis.info("stats")["total_reads_processed"]
        stats = redis.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}), pieces

    commands_before, pieces_before = so_far()
    act()
    commands, pieces = so_far()
    commands.subtract(commands_before)
    del commands["info"]
    return +commands, pieces - pieces_before - 2  # one for each look of our own that lies between


def test_a_hit_costs_one_look(workers, worker, services):
    """Three reads, in one round trip: stored answer, job in flight, and the queue's length for admission."""

    def ask() -> str:
        return str(services.inference.infer(b"tabby", Client("192.0.2.1"), CLASSIFICATION).cache)

    workers.submit("tabby")
    worker.work()
    assert ask() == "hit"
    commands, pieces = asked_of(workers.redis, ask)

    assert commands == {"get": 2, "llen": 1}
    assert pieces == 1


def test_what_a_sender_has_used_costs_no_round_trip_of_its_own(workers, worker, services):
    """His first request in a minute tells Redis of him, in the look that is made anyway; those after it seldom do."""
    quotas = quotas_of(requests_per_minute=1_000_000, requests_per_day=0, mb_per_minute=0, mb_per_day=0)

    def ask() -> None:
        services.usage.account("192.0.2.1", quotas).admit()
        services.inference.infer(b"tabby", Client("192.0.2.1"), CLASSIFICATION)

    workers.submit("tabby")
    worker.work()
    services.inference.infer(b"tabby", Client("192.0.2.1"), CLASSIFICATION)
    first, second = asked_of(workers.redis, ask), asked_of(workers.redis, ask)

    look = {"get": 2, "llen": 1}
    assert first == ({**look, "zincrby": 2, "expire": 2, "zremrangebyrank": 2}, 1)
    assert second == (look, 1)


@pytest.mark.parametrize("others", [[], ["lite", "lite@2", "lite@3"]])
@pytest.mark.usefixtures("worker")
def test_a_list_of_models_costs_three_round_trips_however_many_there_are(workers, services, others):
    """Descriptions, requests that wait, async jobs that wait; who is at work is known."""
    for model in others:
        entry = WorkerEntry(worker_id="w2", host="here", model=model, digest=DIGEST, batch=4, service_ms=0.0)
        publish_description(workers.redis, model, DIGEST, DESCRIPTION)
        heartbeat(workers.redis, entry)

    def listed() -> list[str]:
        return [str(version.version) for model in services.models.all() for version in model.versions]

    assert sorted(listed()) == sorted(str(ModelVersion.from_key(model)) for model in (MODEL, *others))
    commands, pieces = asked_of(workers.redis, listed)

    assert pieces == 3
    assert commands == {"get": 1 + len(others), "llen": 4 * (1 + len(others))}


def test_a_batch_is_settled_with_as_many_transactions_as_one_picture(workers, worker):
    """One to start it and one to end it: batches are what makes many pictures cheap, for Redis too."""
    transactions = []
    for size in (1, 4):
        for n in range(size):
            workers.submit(f"{size}-{n}")
        commands, _ = asked_of(workers.redis, worker.work)
        transactions.append(commands["exec"])

    assert worker.classifier.batches == [1, 4]
    assert transactions == [2, 2]


def test_a_stored_answer_of_ten_labels_takes_less_than_a_kilobyte(workers, worker):
    """What a busy service remembers for RESULT_TTL_S has to fit beside its queue."""
    workers.submit("tabby")
    worker.work()
    size = workers.redis.memory_usage(keys.answer(MODEL, DIGEST, workers.store.put(b"tabby")))
    print(f"{workers.redis.info('server')['redis_version']}: {size} bytes")

    assert size is not None
    assert size < 1024
