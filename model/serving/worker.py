"""The worker: a loop of take, compute, settle. RQ's registrations stay true, so its own tools see what happens."""

from __future__ import annotations

import logging
import signal
import socket
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from contract.errors import PictureNotFound
from contract.job_queue import async_queue_name, queue_name
from contract.messages import Dropped
from contract.worker_registry import WorkerEntry
from model.serving.lease import Lease
from model.serving.priority_queues import PriorityQueues
from model.serving.registration import Registration
from model.serving.settlement import GivenUp

if TYPE_CHECKING:
    from types import FrameType

    from redis import Redis

    from contract.image_store import ImageStore
    from contract.messages import Classification, Failure
    from model.classifier import Classifier
    from model.serving.batcher import Batch
    from model.serving.claimed_job import ClaimedJob
    from model.serving.settlement import Settlement

log = logging.getLogger(__name__)

RQ_WORKER_TTL_S = 30  # after which RQ's tools take a silent worker for dead
RQ_HEARTBEAT_EVERY_S = 5.0
REDIS_PAUSE_S = (0.5, 2.0)  # first and longest pause while Redis is away


class Worker(SimpleWorker):
    """Serves one model's two queues until a signal asks it to stop.

    Of RQ's worker only the registration and its counters are used: the loop is ours, in this process, without
    forking a loaded session, and without RQ's remote commands.
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
    ) -> None:
        bundle = classifier.bundle
        queues = [queue_name(bundle.name), async_queue_name(bundle.name)]
        super().__init__(
            queues,
            connection=redis,
            serializer=JSONSerializer,  # the class: RQ registers a worker with its serializer's name
            worker_ttl=RQ_WORKER_TTL_S,
        )
        self._store = store
        self._classifier = classifier
        self._lanes = PriorityQueues(
            redis,
            bundle.name,
            self.name,
            batch_max=batch_max,
            batch_wait_s=batch_wait_s,
            answer_ttl_s=answer_ttl_s,
            workers=lambda: self._presence.workers,
        )
        self._lease = Lease(redis)
        card = WorkerEntry(
            worker_id=self.name,
            host=socket.gethostname(),
            model=bundle.name,
            digest=bundle.digest,
            batch=batch_max,
            service_ms=0.0,
        )
        self._presence = Registration(redis, card, bundle.labels)
        self._next_rq_heartbeat = 0.0

    def serve(self) -> None:
        """Take, compute and settle batches until SIGTERM or SIGINT; the batch in hand is finished first.

        Raises:
            RedisError: Redis was not there at the start. Once begun, its absence is waited out.
        """
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, self._ask_to_stop)
        self.register_birth()  # type: ignore[no-untyped-call]
        self._lease.start()
        self._presence.start()
        log.info("worker %s serves %s", self.name, ", ".join(self.queue_names()))
        try:
            self._loop()
        finally:
            self._lease.stop()
            with suppress(RedisError):
                self._presence.stop()
                self.register_death()  # type: ignore[no-untyped-call]
            log.info("worker %s has stopped", self.name)

    def _loop(self) -> None:
        pause_s, longest_s = REDIS_PAUSE_S
        while not self._stop_requested:
            try:
                self._beat_for_rq()
                self._lanes.recover()
                taken = self._lanes.take()
                if taken is not None:
                    lane, batch = taken
                    self._work_off(batch, lane.settlement)
                pause_s = REDIS_PAUSE_S[0]
            except RedisError as error:
                log.error("Redis does not answer: %s; trying again in %.1f s", error, pause_s)  # noqa: TRY400
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, longest_s)

    def _work_off(self, batch: Batch, settlement: Settlement) -> None:
        self._settle_unrun(batch, settlement)
        settlement.start(batch.runnable, batch.leftovers)
        if not batch.runnable:
            return
        self._lease.hold(batch.runnable)
        try:
            self._run(batch.runnable, settlement)
        finally:
            self._lease.let_go()

    def _settle_unrun(self, batch: Batch, settlement: Settlement) -> None:
        endings = [(order, Dropped()) for order in batch.unwanted]
        refusals = [(order, GivenUp("refused: not a classify job")) for order in batch.refused]
        if endings or refusals:
            settlement.end([*endings, *refusals])

    def _run(self, orders: list[ClaimedJob], settlement: Settlement) -> None:
        started = time.monotonic()
        try:
            outcomes = self._classify(orders)
        except Exception:
            log.exception("a batch of %d failed", len(orders))
            self._try_again(orders, settlement, traceback.format_exc())
            return
        found = [(order, outcomes[order.sharing_key]) for order in orders if order.sharing_key in outcomes]
        settlement.end(found, remember=self._presence.room_for_answers)
        if outcomes:
            self._presence.served(len(outcomes), time.monotonic() - started)
        missing = [order for order in orders if order.sharing_key not in outcomes]
        self._try_again(missing, settlement, "its picture is not in the store")

    def _classify(self, orders: list[ClaimedJob]) -> dict[str, Classification | Failure]:
        """Outcomes by the orders' sharing keys; a picture that is not in the store has none.

        Orders of one picture share its outcome, unless their senders asked for no sharing. Senders of one picture at
        the same instant may all queue it before one of them wins ``inflight``.
        """
        pictures = {order.sharing_key: order.classify.picture for order in orders if order.classify is not None}
        images: dict[str, bytes] = {}
        for key, picture in pictures.items():
            try:
                images[key] = self._store.read(picture)
            except PictureNotFound as error:
                log.error("a job can't run: %s", error)  # noqa: TRY400  # its neighbours can
        if not images:
            return {}
        outcomes = self._classifier.classify(list(images.values()), on_progress=self._lease.progress)
        return dict(zip(images, outcomes, strict=True))

    def _try_again(self, orders: list[ClaimedJob], settlement: Settlement, reason: str) -> None:
        """Our fault: each job goes back and runs alone, until it has had its tries."""
        for order in reversed(orders):
            if order.given_up:
                settlement.end([(order, GivenUp(reason))])
            else:
                settlement.give_back(order)

    def _beat_for_rq(self) -> None:
        if time.monotonic() >= self._next_rq_heartbeat:
            if not self.connection.hexists(self.key, "birth"):  # Redis has lost it, or was away for long
                self.connection.delete(self.key)
                self.register_birth()  # type: ignore[no-untyped-call]
            self.heartbeat()
            self._next_rq_heartbeat = time.monotonic() + RQ_HEARTBEAT_EVERY_S

    def _ask_to_stop(self, signal_number: int, _frame: FrameType | None) -> None:
        log.info("got %s: finishing the batch in hand", signal.Signals(signal_number).name)
        self._stop_requested = True
