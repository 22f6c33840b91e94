"""The worker: a loop of take, compute, settle. RQ's registrations stay true, so its own tools see what happens."""

from __future__ import annotations

import logging
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from contract.job_queue import (
    async_queue_name,
    bulk_async_queue_name,
    bulk_queue_name,
    copies_queue_name,
    queue_name,
)
from contract.worker_registry import WorkerEntry
from model.serving.batch_processor import BatchProcessor
from model.serving.garbage import SharedKeys, is_garbage
from model.serving.lease import Lease
from model.serving.priority_queues import PriorityQueues
from model.serving.registration import Registration

if TYPE_CHECKING:
    from types import FrameType

    from redis import Redis

    from contract.image_store import ImageStore
    from model.classifier import Classifier
    from model.serving.copier import Copier

log = logging.getLogger(__name__)

RQ_WORKER_TTL_S = 30  # after which RQ's tools take a silent worker for dead
RQ_HEARTBEAT_EVERY_S = 5.0
REDIS_PAUSE_S = (0.5, 2.0)  # first and longest pause while Redis is away


class Worker:
    """Serves one model's queues until a signal asks it to stop.

    It holds a worker of RQ's, for the registration that RQ's tools look at and nothing else: the loop is ours, in this
    process, without forking a loaded session, and without RQ's remote commands.

    Args:
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
        classifier: Classifier,
        *,
        batch_max: int,
        batch_wait_s: float,
        answer_ttl_s: int,
        bulk_share: float = 0.5,
        copier: Copier | None = None,
    ) -> None:
        bundle = classifier.bundle
        self._redis = redis
        self._rq = SimpleWorker(
            [
                queue_name(bundle.name),
                bulk_queue_name(bundle.name),
                async_queue_name(bundle.name),
                bulk_async_queue_name(bundle.name),
                *([copies_queue_name(bundle.name)] if copier is not None else []),
            ],
            connection=redis,
            serializer=JSONSerializer,  # the class: RQ registers a worker with its serializer's name
            worker_ttl=RQ_WORKER_TTL_S,
        )
        entry = WorkerEntry(
            worker_id=self._rq.name,
            host=socket.gethostname(),
            model=bundle.name,
            digest=bundle.digest,
            batch=batch_max,
            service_ms=0.0,
            bulk_ms=0.0,
            makes_copies=copier is not None,
        )
        self._shared_keys = SharedKeys(redis, self._rq.queues, entry, self._rq.key)
        self._registration = Registration(redis, entry, bundle.labels, self._shared_keys.clear, bulk_share=bulk_share)
        self._queues = PriorityQueues(
            redis,
            bundle.name,
            self._rq.name,
            batch_max=batch_max,
            batch_wait_s=batch_wait_s,
            answer_ttl_s=answer_ttl_s,
            workers=lambda: self._registration.workers,
            serves_bulk=lambda: self._registration.serves_bulk,
            bulk_share=bulk_share,
            makes_copies=copier is not None,
            clear_shared_keys=self._shared_keys.clear,
        )
        self._lease = Lease(redis)
        self._processor = BatchProcessor(store, classifier, self._lease, self._registration, copier)
        self._next_rq_heartbeat = 0.0
        self._stopping = False

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
                self._send_rq_heartbeat_if_due()
                self._queues.recover()
                taken = self._queues.take()
                if taken is not None:
                    queue, batch = taken
                    self._processor.process(batch, queue.settlement, bulk=queue.bulk)
                pause_s = REDIS_PAUSE_S[0]
            except RedisError as error:
                if is_garbage(error) and self._clear_shared_keys():
                    continue
                log.error("Redis does not answer: %s; trying again in %.1f s", error, pause_s)  # noqa: TRY400
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)

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
