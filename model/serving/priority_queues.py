"""In which order a worker takes from the queues of all its models.

Requests, for which somebody waits, go first; async jobs have time. Of both, costly pictures are on bulk queues, which
have a share of the workers and of their time. Pictures that somebody wants to see are a part of that share. Models with
work of the same kind have the same time for it, so that costly pictures of one cost its ordinary ones no turn. RQ's own
workers take their queues in order too.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from contract import keys
from model.serving.batcher import POP_BLOCK_S
from model.serving.model_queues import Kind
from model.serving.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from rq import Queue

    from model.serving.batcher import Batch
    from model.serving.model_queues import ModelQueues, ServedQueue

ASYNC_TURN = 20  # every so many turns async jobs go first: under a load that never ends they get a twentieth of it
RECOVERED_EVERY_S = 0.5
BULK_DUE_S = 0.25  # that bulk is behind its share before it goes first; a look at an empty queue is rarer so
BULK_MEMORY_S = 5.0  # of what is due to either side
WORD_COMES_AFTER_S = 6.0  # after another model came to this worker: senders hear of that by the registry
LOOK_EVERY_S = 0.02  # until then
BESIDE_OTHERS = 2  # jobs in a batch of a worker whose other models are in use: nobody waits long for one in hand
IN_USE_S = 60.0  # that a model is, from when a request for it was last seen waiting


class PriorityQueues:
    """Takes batches; each comes from one queue, never from several.

    In a batch of requests and async jobs a request would wait for jobs that nobody is waiting for.

    Args:
        wake: which list a worker of several models waits on while idle (``keys.wake``).
        serves_bulk: whether this worker is to take costly pictures now.
        bulk_share: of its time, while others wait, that these have.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        wake: str,
        serves_bulk: Callable[[], bool],
        bulk_share: float,
    ) -> None:
        self._redis = redis
        self._models: dict[str, ModelQueues] = {}
        self._wake_key = keys.wake(wake)
        self._bulk_share = bulk_share
        self._serves_bulk = serves_bulk
        self._turns = {kind: Turns() for kind in Kind}
        self._turn = 0
        self._word_comes_from = 0.0
        self._next_recovery = 0.0
        self._idle = False
        self._bulk_due_s = 0.0
        self._in_hand: ServedQueue | None = None
        self._taken_at = 0.0
        self._asked_for_at: dict[str, float] = {}

    def of(self, model: str) -> list[Queue]:
        """RQ's queues of a version that is served."""
        return [queue.queue for queue in self._models[model].all]

    def add(self, queues: ModelQueues) -> None:
        """Take from these queues too, from the next batch on."""
        self._word_comes_from = time.monotonic() + (WORD_COMES_AFTER_S if self._turn else 0.0)
        self._models[queues.model] = queues

    def remove(self, model: str) -> None:
        """Take from this model's queues no more."""
        del self._models[model]
        self._asked_for_at.pop(model, None)
        for turns in self._turns.values():
            turns.forget(model)

    def recover(self) -> None:
        """Bring back what died workers had in hand.

        Raises:
            RedisError: Redis does not answer.
        """
        if time.monotonic() < self._next_recovery:
            return
        self._next_recovery = time.monotonic() + RECOVERED_EVERY_S
        queues = self._all()
        in_hand = self._in_any_hand(queues)
        for queue in queues:
            if queue.key in in_hand or queue.recovery.tidying_is_due:
                queue.recovery.run()
            else:
                queue.recovery.skip_round()

    def _in_any_hand(self, queues: Sequence[ServedQueue]) -> set[str]:
        """Keys of the queues of which some worker has a job, or had when it died. While none has: one command."""
        if not self._redis.exists(*(place for queue in queues for place in queue.recovery.places)):
            return set()
        with self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.exists(*queue.recovery.places)
            return {queue.key for queue, found in zip(queues, pipe.execute(), strict=True) if found}

    def take(self) -> tuple[ServedQueue, Batch] | None:
        """The next batch and its queue, or None when nothing came within ``POP_BLOCK_S``.

        While nothing waits, a request is taken at once, and an async job within ``POP_BLOCK_S``: Redis can move the
        next entry of one list only. A worker of several models waits for word that something is on one of its queues;
        word that was lost costs ``POP_BLOCK_S`` at most.

        Raises:
            RedisError: Redis does not answer.
        """
        self._account()
        if not self._idle or self._anything_waits():
            taken = self._take_waiting()
            if taken is not None:
                return taken
        if len(self._models) == 1:
            (queues,) = self._models.values()
            batch = queues.requests.batcher.wait()
            return None if batch is None else self._begun(queues.requests, batch)
        senders_know = time.monotonic() >= self._word_comes_from
        woken: Any = self._redis.blpop([self._wake_key], POP_BLOCK_S if senders_know else LOOK_EVERY_S)
        return self._take_waiting() if woken is not None else None

    def _anything_waits(self) -> bool:
        """In one command, however many queues there are; what an idle worker asks twice a second."""
        return bool(self._redis.exists(*(queue.key for queue in self._all())))

    def _take_waiting(self) -> tuple[ServedQueue, Batch] | None:
        self._idle = True
        waiting = self._lengths()
        in_use = self._in_use(waiting)
        for queue in self._order(waiting):
            batch = queue.batcher.take(waiting[queue.key], BESIDE_OTHERS if in_use - {queue.model} else None)
            if batch is not None:
                return self._begun(queue, batch)
        return None

    def _in_use(self, waiting: dict[str, int]) -> set[str]:
        """The models that somebody waits for, or may wait for before a batch that is taken now is done."""
        now = time.monotonic()
        self._asked_for_at |= {model: now for model, queues in self._models.items() if waiting[queues.requests.key] > 0}
        return {model for model, at in self._asked_for_at.items() if now - at < IN_USE_S}

    def _all(self) -> list[ServedQueue]:
        return [queue for queues in self._models.values() for queue in queues.all]

    def _lengths(self) -> dict[str, int]:
        """How many wait on each queue, in one round trip."""
        queues = self._all()
        with self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue.key)
            return dict(zip((queue.key for queue in queues), pipe.execute(), strict=True))

    def _order(self, waiting: dict[str, int]) -> list[ServedQueue]:
        """Requests, async jobs, and of both what is costly; this goes first when it has had too little of the time."""
        self._turn += 1
        requests, async_jobs, bulk, bulk_async_jobs = (self._in_turn(kind, waiting) for kind in Kind)
        reversed_turn = self._turn % ASYNC_TURN == 0
        ordinary = [*async_jobs, *requests] if reversed_turn else [*requests, *async_jobs]
        if not self._serves_bulk():
            return ordinary
        if self._bulk_due_s > BULK_DUE_S:
            self._bulk_due_s = 0.0  # unless it has something, in which case its time is counted
            return [*bulk, *bulk_async_jobs, *ordinary]
        if reversed_turn:
            return [*async_jobs, *requests, *bulk, *bulk_async_jobs]
        return [*requests, *bulk, *async_jobs, *bulk_async_jobs]

    def _in_turn(self, kind: Kind, waiting: dict[str, int]) -> list[ServedQueue]:
        """The queues of a kind on which something waits."""
        busy: dict[str, list[ServedQueue]] = {}
        for queue in self._all():
            if queue.kind is kind and waiting[queue.key]:
                busy.setdefault(queue.model, []).append(queue)
        return [queue for model in self._turns[kind].order(busy) for queue in busy[model]]

    def _begun(self, queue: ServedQueue, batch: Batch) -> tuple[ServedQueue, Batch]:
        self._in_hand, self._taken_at, self._idle = queue, time.monotonic(), False
        return queue, batch

    def _account(self) -> None:
        """Time for bulk is taken off what is due to it, time for others brings it its share of that."""
        if self._in_hand is None:
            return
        elapsed_s = time.monotonic() - self._taken_at
        self._turns[self._in_hand.kind].served(self._in_hand.model, elapsed_s)
        due_s = self._bulk_due_s + elapsed_s * (self._bulk_share - 1 if self._in_hand.bulk else self._bulk_share)
        self._bulk_due_s = max(-BULK_MEMORY_S, min(BULK_MEMORY_S, due_s)) if self._serves_bulk() else 0.0
        self._in_hand = None
