"""The steps of one request, on a real server with scripted workers."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from api.app import create_app
from api.core.client import Client
from api.core.errors import NotAnImage, NoWorker, Overloaded, Undecodable
from api.core.inference import Answer
from api.services import Services
from api.settings import Settings
from contract import keys
from contract.errors import BackendDown, DeadlineExceeded, WorkerFault
from contract.job_queue import JobQueue, Sighting, queue_name
from contract.messages import ClassifyJob
from contract.model_task import ModelTask
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.asking import CLASSIFICATION, LENIENT
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import ScriptedWorkers, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis
    from werkzeug.test import TestResponse

    from api.core.inference import Inference
    from tests.support.server import Server

CLIENT = Client("192.0.2.1")


@pytest.fixture
def workers(valkey: Server, redis: Redis, tmp_path: Path) -> Iterator[ScriptedWorkers]:
    redis.flushall()
    workers = ScriptedWorkers(valkey, tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def open_services(valkey: Server, tmp_path: Path) -> Iterator[Callable[..., Services]]:
    opened: list[Services] = []

    def open_services(**settings: object) -> Services:
        common = {"redis_url": valkey.api_url, "upload_dir": tmp_path / "uploads", "feedback_dir": tmp_path}
        opened.append(Services.connect(Settings(**{**common, **settings})))  # type: ignore[arg-type]
        return opened[-1]

    yield open_services
    for services in opened:
        services.queue.close()


@pytest.fixture
def open_inference(open_services: Callable[..., Services]) -> Callable[..., Inference]:
    return lambda **settings: open_services(**settings).inference


def ask(inference: Inference, script: str):
    answer = inference.infer(script.encode(), CLIENT, CLASSIFICATION)
    return answer.found.labels[0].label, answer.cache


def ask_all(inference: Inference, *scripts: str):
    outcomes = inference.infer_all((script.encode() for script in scripts), CLIENT, CLASSIFICATION)
    return [
        (outcome.found.labels[0].label, outcome.cache) if isinstance(outcome, Answer) else type(outcome)
        for outcome in outcomes
    ]


def queued(redis: Redis) -> int:
    return int(redis.llen(f"rq:queue:{queue_name(MODEL)}"))


def pretend_worker(redis: Redis, service_ms: float) -> None:
    """A worker that is only registered: requests rely on it, and no process takes them."""
    register(redis, [MODEL])
    entry = WorkerEntry(worker_id="paper", host="h", model=MODEL, digest=DIGEST, batch=1, service_ms=service_ms)
    heartbeat(redis, entry)


def test_a_picture_is_computed_the_first_time_and_served_from_the_cache_the_second(workers, open_inference):
    workers.start()
    inference = open_inference()

    assert ask(inference, "tabby") == ("tabby", "miss")
    assert ask(inference, "tabby") == ("tabby", "hit")


def test_requests_for_one_picture_at_once_share_one_computation(workers, open_inference):
    workers.start()
    inference = open_inference()
    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda _: ask(inference, "slow"), range(8)))

    assert {label for label, _ in answers} == {"slow"}
    assert [cache for _, cache in answers].count("miss") == 1
    assert workers.batches() == ["slow"]


def test_without_the_result_cache_every_request_is_computed(workers, open_inference):
    workers.start()
    inference = open_inference(result_cache=False)

    assert [ask(inference, "tabby"), ask(inference, "tabby")] == [("tabby", "miss")] * 2
    assert workers.batches() == ["tabby", "tabby"]


def test_a_picture_that_the_worker_cannot_read_is_the_senders_fault(workers, open_inference):
    workers.start()

    with pytest.raises(Undecodable, match="scripted"):
        ask(open_inference(), "bad")


def test_a_damaged_picture_is_answered_to_those_who_want_what_is_there_of_it(workers, open_inference):
    """Each kind of request has answers of its own: neither a label nor a refusal leaks to the other."""
    workers.start()
    inference = open_inference()
    for cache in ("miss", "hit"):
        answer = inference.infer(b"damaged", CLIENT, LENIENT)

        assert (answer.found.damaged, answer.cache) == (True, cache)
        with pytest.raises(Undecodable):
            inference.infer(b"damaged", CLIENT, CLASSIFICATION)
        assert [type(outcome) for outcome in inference.infer_all([b"damaged"], CLIENT, CLASSIFICATION)] == [Undecodable]
        assert [type(outcome) for outcome in inference.infer_all([b"damaged"], CLIENT, LENIENT)] == [Answer]


def test_strict_and_lenient_requests_for_one_picture_at_once_do_not_join(workers, open_inference):
    """Not even when the picture is sound: whether it is, is known only afterwards."""
    inference = open_inference()
    pretend_worker(workers.redis, service_ms=1)
    with ThreadPoolExecutor(2) as senders:
        strict, lenient = (
            senders.submit(inference.infer, b"damaged", CLIENT, asked) for asked in (CLASSIFICATION, LENIENT)
        )
        eventually(lambda: queued(workers.redis) == len(workers.redis.keys("inflight:*")) == 2, "both are queued")
        workers.start()

    assert isinstance(strict.exception(), Undecodable)
    assert lenient.result().cache == "miss"


def test_our_own_fault_is_reported_as_ours_and_never_cached(workers, open_inference):
    workers.start()
    inference = open_inference()
    for _ in range(2):
        with pytest.raises(WorkerFault):
            ask(inference, "fault")

    assert workers.redis.keys("answer:*") == []


def test_a_joiner_of_a_dropped_job_computes_for_itself(workers, open_inference):
    """The end of another request's wait does not answer this one."""
    picture = workers.store.put(b"tabby")
    dead = workers.queue.submit(MODEL, ClassifyJob(picture, cache=True), 0.01)
    eventually(lambda: not workers.redis.exists(keys.wanted(dead.job_id)), "it is not wanted any more")
    workers.start()
    eventually(lambda: workers.redis.exists(f"rq:results:{dead.job_id}"), "it is dropped")
    workers.redis.set(keys.inflight(MODEL, picture), dead.job_id)

    assert ask(open_inference(), "tabby") == ("tabby", "miss")


def test_a_joiner_of_a_vanished_job_computes_for_itself(workers, open_inference):
    """Redis may have lost it; waiting for it would be in vain."""
    workers.start()
    workers.redis.set(keys.inflight(MODEL, workers.store.put(b"tabby")), "0" * 32)

    assert ask(open_inference(), "tabby") == ("tabby", "miss")


@pytest.mark.usefixtures("redis")
def test_without_a_worker_a_request_is_refused_at_once(open_inference):
    with pytest.raises(NoWorker) as refused:
        ask(open_inference(), "tabby")

    assert refused.value.retry_after_s > 0


def test_the_first_worker_to_register_is_seen_at_once(workers, open_inference):
    """An earlier refusal must not cause another one."""
    inference = open_inference()
    with pytest.raises(NoWorker):
        ask(inference, "tabby")
    workers.start()

    assert ask(inference, "tabby") == ("tabby", "miss")


def test_a_request_that_no_worker_answers_ends_at_its_deadline(redis, open_inference):
    pretend_worker(redis, service_ms=0)

    with pytest.raises(DeadlineExceeded):
        ask(open_inference(request_timeout_s=0.3), "tabby")


def test_a_request_that_would_wait_too_long_is_refused_with_a_time_to_try_again(redis, open_inference):
    """100 pictures of 2 s each are ahead: with a deadline of 30 s it is not started, nor is its body read."""
    pretend_worker(redis, service_ms=2000)
    redis.rpush(f"rq:queue:{queue_name(MODEL)}", *(f"job-{n}" for n in range(100)))
    inference = open_inference()

    for refuse in (lambda: inference.admit(ModelTask.CLASSIFICATION), lambda: ask(inference, "tabby")):
        with pytest.raises(Overloaded) as refused:
            refuse()
        assert 180 <= refused.value.retry_after_s <= 190
    assert redis.llen(f"rq:queue:{queue_name(MODEL)}") == 100


def test_one_slow_picture_does_not_lock_all_requests_out(workers, open_inference):
    """With an empty queue a request is always admitted, however long the last picture took."""
    workers.start()
    pretend_worker(workers.redis, service_ms=1_000_000)

    assert ask(open_inference(), "tabby") == ("tabby", "miss")


def test_more_requests_than_places_are_refused_at_once(workers, open_inference):
    workers.start()
    inference = open_inference(max_in_flight=1)
    with ThreadPoolExecutor(1) as sender:
        first = sender.submit(ask, inference, "slow")
        eventually(workers.batches, "the first request is being computed")
        with pytest.raises(Overloaded):
            ask(inference, "tabby")

        assert first.result() == ("slow", "miss")
    assert ask(inference, "tabby") == ("tabby", "miss")


def test_a_redis_that_is_nearly_full_takes_nothing_new_and_still_serves_what_it_remembers(workers, open_services):
    """What was accepted must still fit when it is finished; an answer that is known takes no room."""

    def predict(script: str) -> TestResponse:
        return client.post("/predict", data={"file": (io.BytesIO(GIF + script.encode()), "photo.gif")})

    workers.start()
    client = create_app(open_services()).test_client()
    assert predict("tabby").headers["X-Cache"] == "miss"
    with workers.redis_filled_to(0.9):
        client = create_app(open_services()).test_client()  # it has not seen Redis with room
        known, new = predict("tabby"), predict("lynx")

    assert (known.status_code, known.headers["X-Cache"]) == (200, "hit")
    assert (new.status_code, new.get_json()["detail"]) == (503, "the service is busy: its queue has no room left")


def test_a_stored_answer_that_cannot_be_read_is_computed_anew(workers, open_inference):
    """Another version may have written it."""
    workers.start()
    workers.redis.set(keys.answer(MODEL, DIGEST, workers.store.put(b"tabby")), '{"labels": 1}')

    assert ask(open_inference(), "tabby") == ("tabby", "miss")


@pytest.mark.long
def test_a_request_survives_that_redis_loses_everything(workers, open_inference):
    """Without its last second, or emptied by hand: the request computes once more, long before its deadline."""
    inference = open_inference()
    pretend_worker(workers.redis, service_ms=0)
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(ask, inference, "tabby")
        eventually(lambda: workers.redis.keys("rq:job:*"), "the job is queued")
        workers.redis.flushall()
        workers.start()

        assert answer.result() == ("tabby", "miss")


@pytest.mark.long
def test_a_redis_that_hangs_makes_nobody_wait_in_line(workers, open_inference, valkey):
    """All requests fail within one time limit, not one after the other."""
    workers.start()
    inference = open_inference()
    assert ask(inference, "tabby") == ("tabby", "miss")
    with valkey.frozen(), ThreadPoolExecutor(24) as senders:
        refusals = [senders.submit(ask, inference, f"cat-{n}") for n in range(24)]
        done, waiting = wait(refusals, timeout=30)

    assert not waiting
    assert {type(refusal.exception()) for refusal in done} == {BackendDown}


def test_an_absent_redis_is_said_at_once(open_inference, tmp_path):
    with pytest.raises(BackendDown):
        ask(open_inference(redis_url=f"unix://{tmp_path}/nothing"), "tabby")


# A batch


def test_a_batch_is_on_the_queue_as_a_whole_before_any_of_it_is_waited_for(workers, open_inference):
    """Workers take what waits together: one picture after the other would be a run of the network for each."""
    inference = open_inference()
    pretend_worker(workers.redis, service_ms=0)
    with ThreadPoolExecutor(1) as sender:
        answers = sender.submit(ask_all, inference, "tabby", "lynx", "puma")
        eventually(lambda: queued(workers.redis) == 3, "all three are queued while none is answered")
        workers.redis.delete(keys.workers(MODEL))  # who is on paper gets no share
        workers.start()

        assert answers.result() == [("tabby", "miss"), ("lynx", "miss"), ("puma", "miss")]
    assert workers.batches() == ["lynx puma tabby"]


def test_each_picture_of_a_batch_fails_alone(workers, open_inference):
    workers.start()
    inference = open_inference()
    ask(inference, "known")

    assert ask_all(inference, "tabby", "bad", "fault", "known") == [
        ("tabby", "miss"), Undecodable, WorkerFault, ("known", "hit"),
    ]  # fmt: skip


def test_what_was_wrong_with_an_upload_before_is_passed_on_in_its_place(workers, open_inference):
    workers.start()
    fault = NotAnImage("no picture")

    first, second = open_inference().infer_all([fault, b"tabby"], CLIENT, CLASSIFICATION)
    assert first is fault
    assert isinstance(second, Answer)


@pytest.mark.parametrize("result_cache", [True, False])
def test_the_same_picture_twice_in_a_batch_is_computed_once(workers, open_inference, result_cache):
    """Whatever the cache is set to; and a picture that kills workers must not do so once for each copy."""
    workers.start()

    assert ask_all(open_inference(result_cache=result_cache), "tabby", "lynx", "tabby") == [
        ("tabby", "miss"), ("lynx", "miss"), ("tabby", "miss"),
    ]  # fmt: skip
    assert sorted(" ".join(workers.batches()).split()) == ["lynx", "tabby"]


def test_a_batch_takes_one_place(workers, open_inference):
    """It waits as one request does: with one connection, and without its bodies."""
    workers.start()

    assert len(ask_all(open_inference(max_in_flight=1), "tabby", "lynx", "puma")) == 3


def test_as_much_of_a_batch_is_started_as_can_be_answered_in_time(redis, open_inference):
    """Behind two others, the third would wait for 2.5 s, and it may expect to wait only half of its 2 s."""
    pretend_worker(redis, service_ms=1000)

    assert ask_all(open_inference(request_timeout_s=2), "tabby", "lynx", "puma") == [
        DeadlineExceeded, DeadlineExceeded, Overloaded,
    ]  # fmt: skip
    assert queued(redis) == 2


def test_a_picture_that_uses_up_the_deadline_does_not_cost_the_others_their_answers(workers, open_inference):
    """They were answered while the request waited for it."""
    workers.start()
    workers.redis.hset("rq:job:stuck", "status", "queued")
    workers.redis.set(keys.inflight(MODEL, workers.store.put(b"puma")), "stuck")

    assert ask_all(open_inference(request_timeout_s=3), "puma", "tabby") == [DeadlineExceeded, ("tabby", "miss")]


def test_a_batch_waits_once_for_a_redis_that_hangs_not_for_each_picture(redis, open_inference, monkeypatch):
    """Each wait lasts seconds: thirty-two of them, one after the other, would be minutes past the deadline."""
    pretend_worker(redis, service_ms=1)
    looks: list[str] = []

    def look(_self: JobQueue, _model: str, _digest: str, picture: str) -> Sighting:
        looks.append(picture)
        raise BackendDown("Redis does not answer")

    monkeypatch.setattr(JobQueue, "look", look)

    assert ask_all(open_inference(), "tabby", "tench", "cup") == [BackendDown] * 3
    assert len(looks) == 1
