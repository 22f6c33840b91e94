"""The worker: a loop of take, compute, settle. RQ's registrations stay true, so its own tools see what happens."""

from __future__ import annotations

import gc
import hashlib
import logging
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import SimpleWorker, worker_registration
from rq.serializers import JSONSerializer
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from contract.model_version import ModelVersion
from contract.worker_registry import WorkerEntry
from model.memory import give_back
from model.serving.batch_processor import BatchProcessor
from model.serving.garbage import SharedKeys, is_garbage
from model.serving.lease import Lease
from model.serving.model_queues import ModelQueues
from model.serving.priority_queues import PriorityQueues
from model.serving.registration import Registration
from model.serving.version_follower import VersionFollower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import FrameType

    from redis import Redis
    from rq import Queue

    from contract.image_store import ImageStore
    from model.opening import AnyPredictor
    from model.serving.copier import Copier
    from model.serving.version_follower import Loader

log = logging.getLogger(__name__)

RQ_WORKER_TTL_S = 30  # after which RQ's tools take a silent worker for dead
RQ_HEARTBEAT_EVERY_S = 5.0
REDIS_PAUSE_S = (0.5, 2.0)  # first and longest pause while Redis is away


class Worker:
    """Serves its models' queues until a signal asks it to stop.

    It holds a worker of RQ's, for the registration that RQ's tools look at and nothing else: the loop is ours, in this
    process, without forking a loaded session, and without RQ's remote commands.

    Args:
        predictors: of the models, at least one, each another version. Of each name the first becomes current where no
            worker of the current version is alive; the first of all is what requests mean that name none.
        loader: brings further versions of them while the worker goes on.
        batch_max: most jobs in one batch.
        batch_wait_s: how long a batch that is not full waits for stragglers, in seconds.
        answer_ttl_s: how long an answer serves later requests of the same picture, in seconds.
        bulk_share: of the workers, and of the time of each while others wait, that the bulk queues have.
        copier: makes the copies that are shown; None for a worker that makes none.

    Raises:
        RedisError: Redis does not answer.
    """

    def __init__(
        self,
        redis: Redis,
        store: ImageStore,
        predictors: Sequence[AnyPredictor],
        loader: Loader,
        *,
        batch_max: int,
        batch_wait_s: float,
        answer_ttl_s: int,
        bulk_share: float = 0.5,
        copier: Copier | None = None,
    ) -> None:
        self._redis = redis
        self._rq = SimpleWorker(
            [],
            connection=redis,
            serializer=JSONSerializer,  # the class: RQ registers a worker with its serializer's name
            worker_ttl=RQ_WORKER_TTL_S,
        )
        wake = wake_name(predictor.bundle.model.key for predictor in predictors)
        self._shared_keys = SharedKeys(redis, self._rq.key, wake)
        self._wake = wake
        self._host = socket.gethostname()
        self._registration = Registration(redis, self._shared_keys.clear_next, bulk_share=bulk_share, then=self._follow)
        self._queues = PriorityQueues(
            redis, wake=wake, serves_bulk=lambda: self._registration.serves_bulk, bulk_share=bulk_share
        )
        self._new_queues = partial(
            ModelQueues,
            redis,
            worker_name=self._rq.name,
            batch_max=batch_max,
            batch_wait_s=batch_wait_s,
            answer_ttl_s=answer_ttl_s,
            clock=self._registration.clock,
            makes_copies=copier is not None,
            clear_shared_keys=self._shared_keys.clear,
        )
        self._new_entry = partial(
            WorkerEntry,
            worker_id=self._rq.name,
            host=self._host,
            batch=batch_max,
            service_ms=0.0,
            bulk_ms=0.0,
            makes_copies=copier is not None,
            draws=copier is not None,
        )
        self.predictors: dict[str, AnyPredictor] = {}
        self._decoder = predictors[0].decoder
        self._changes: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lease = Lease(redis, self._registration.clock)
        self._processor = BatchProcessor(store, self.predictors, self._lease, self._registration, copier)
        pinned = []
        for predictor in predictors:
            model = predictor.bundle.model
            claims = all(ModelVersion.from_key(other).name != model.name for other in self.predictors)
            pinned += [] if claims else [model]
            self._serve(predictor, claims=claims)
        self._follower = VersionFollower(
            redis, loader, self, self._registration, pinned=pinned, worker_id=self._rq.name, host=self._host
        )
        self._next_rq_heartbeat = 0.0
        self._stopping = False

    def serve_too(self, predictor: AnyPredictor) -> None:
        """Serve one more version from the next batch on. May be called in any thread."""
        self._changes.put(partial(self._begin_to_serve, predictor))

    def serve_no_more(self, model: str) -> None:
        """Unload a version before the next batch. May be called in any thread."""
        self._changes.put(partial(self._unload, model))

    def queues(self, model: str) -> list[Queue]:
        """Those of a version that is served."""
        return self._queues.of(model)

    def _serve(self, predictor: AnyPredictor, *, claims: bool) -> None:
        bundle, model = predictor.bundle, predictor.bundle.model.key
        predictor.decoder = self._decoder
        queues = self._new_queues(model=model, workers=lambda: self._registration.workers(model))
        entry = self._new_entry(model=model, digest=bundle.digest)
        self._queues.add(queues)
        self.predictors[model] = predictor
        self._rq.queues = [queue for served in self.predictors for queue in self._queues.of(served)]
        self._shared_keys.add(entry, self._queues.of(model))
        self._registration.wake = self._wake if len(self.predictors) > 1 else ""
        self._registration.add(entry, bundle.labels, bundle.description, claims=claims)

    def _begin_to_serve(self, predictor: AnyPredictor) -> None:
        self._serve(predictor, claims=False)
        self._tell_rq()
        log.info("serving %s too (%s)", predictor.bundle.model, predictor.bundle.digest[:12])

    def _unload(self, model: str) -> None:
        gone = self._queues.of(model)
        del self.predictors[model]
        self._queues.remove(model)
        self._registration.wake = self._wake if len(self.predictors) > 1 else ""
        self._rq.queues = [queue for queue in self._rq.queues if queue not in gone]
        self._shared_keys.remove(model)
        gc.collect()  # a session's memory is not to wait for the next round
        give_back()
        log.info("%s is not served any more", ModelVersion.from_key(model))
        with self._redis.pipeline() as pipe:  # at last: Redis may not answer
            for queue in gone:
                pipe.srem(WORKERS_BY_QUEUE_KEY % queue.name, self._rq.key)
            pipe.execute()
        self._tell_rq()

    def _tell_rq(self) -> None:
        """RQ's record of this worker names its queues."""
        with self._redis.pipeline() as pipe:
            worker_registration.register(self._rq, pipeline=pipe)
            pipe.hset(self._rq.key, "queues", ",".join(self._rq.queue_names()))
            pipe.execute()

    def serve(self) -> None:
        """Take, compute and settle batches until SIGTERM or SIGINT; the batch in hand is finished first.

        Raises:
            RedisError: Redis was not there at the start. Once begun, its absence is waited out.
        """
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._ask_to_stop)
        self._rq.register_birth()  # type: ignore[no-untyped-call]
        self._lease.start()
        self._registration.start()
        log.info("worker %s serves %s", self._rq.name, ", ".join(self._rq.queue_names()))
        try:
            self._loop()
        finally:
            self._lease.stop()
            with suppress(RedisError):
                self._registration.stop()
                self._rq.register_death()  # type: ignore[no-untyped-call]
            log.info("worker %s has stopped", self._rq.name)

    def _loop(self) -> None:
        pause_s, longest_s = REDIS_PAUSE_S
        while not self._stopping:
            try:
                self._make_changes()
                self._send_rq_heartbeat_if_due()
                self._queues.recover()
                taken = self._queues.take()
                if taken is not None:
                    queue, batch = taken
                    self._processor.process(batch, queue)
                pause_s = REDIS_PAUSE_S[0]
            except RedisError as error:
                if is_garbage(error) and self._clear_shared_keys():
                    continue
                log.error("Redis does not answer: %s; trying again in %.1f s", error, pause_s)  # noqa: TRY400
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)

    def _follow(self) -> None:
        self._follower.beat()

    def _make_changes(self) -> None:
        with suppress(Empty):
            while True:
                self._changes.get_nowait()()

    def _clear_shared_keys(self) -> bool:
        with suppress(RedisError):
            return self._shared_keys.clear()
        return False

    def _send_rq_heartbeat_if_due(self) -> None:
        if time.monotonic() < self._next_rq_heartbeat:
            return
        if not self._redis.hexists(self._rq.key, "birth"):  # Redis has lost it, or was away for long
            self._redis.delete(self._rq.key)
            self._rq.register_birth()  # type: ignore[no-untyped-call]
        self._rq.heartbeat()
        self._next_rq_heartbeat = time.monotonic() + RQ_HEARTBEAT_EVERY_S

    def _ask_to_stop(self, signal_number: int, _frame: FrameType | None) -> None:
        log.info("got %s: finishing the batch in hand", signal.Signals(signal_number).name)
        self._stopping = True


def wake_name(models: Iterable[str]) -> str:
    """Names the list on which idle workers wait that serve the same models: 16 hex digits."""
    return hashlib.sha256(",".join(sorted(models)).encode()).hexdigest()[:16]
