"""Tickets: what the sender of an asynchronous job holds. They outlive a restart of everything; Redis keeps them.

```
issued ─┬─ answer known ──────────────────────────────────► done
        └─ queued ─┬─ running ─┬──────────────────────────► done
             ▲ ▲   │    │ │    └─ bad picture, or given up ► failed
             │ └───┼────┘ │ worker died
             │     └──────┴─ cancelled by its holder ─────► cancelled
             └─ computation vanished: once, and then ─────► failed
```
The states queued, running, done and failed are read off the ticket's computation, never written beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from redis.exceptions import RedisError, WatchError

from contract import keys
from contract.errors import ComputationFailed, ComputationLost, KeyReused, QueueUnavailable, TicketEnded, TicketNotFound
from contract.job_queue import Stage, tickets_queue_name
from contract.messages import Classification, ClassifyJob, Dropped, Failure, outcome_from_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from redis.client import Pipeline

    from contract.job_queue import JobQueue

T = TypeVar("T")

ID = re.compile(r"[0-9a-f]{32}")
ID_BYTES = 16  # 128 random bits: whoever holds the ticket may read and cancel it
WATCH_TRIES = 5


class TicketState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class FaultKind(StrEnum):
    """Why a ticket has no answer although its picture may be a good one: our fault."""

    GIVEN_UP = "given_up"  # every try failed; RQ's failed registry keeps the computation
    LOST = "lost"  # the computation vanished twice: somebody deletes from the queue by hand


@dataclass(frozen=True, slots=True)
class Fault:
    """``detail`` is a sentence for the holder."""

    kind: FaultKind
    detail: str


GIVEN_UP = Fault(FaultKind.GIVEN_UP, "the workers could not classify this picture; it was given up")
LOST = Fault(FaultKind.LOST, "the job was removed from the queue")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sender asks for; the same idempotency key stands for the same wish.

    Attributes:
        picture: its name in the image store.
        top_k, min_score: which labels are shown: the best ``top_k``, of those that score ``min_score`` or more.
    """

    picture: str
    top_k: int
    min_score: float


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it stands now; ``outcome`` is there when it is done (Classification) or has failed."""

    id: str
    wish: Wish
    created: datetime
    expires: datetime
    state: TicketState
    outcome: Classification | Failure | Fault | None


@dataclass(frozen=True, slots=True)
class _Record:
    """A ticket's hash. It has a computation or, copied into it, a stored answer."""

    id: str
    model: str
    wish: Wish
    created: datetime
    expires: datetime
    computation: str
    answer: Classification | None
    cancelled: bool
    renewed: bool

    @classmethod
    def read(cls, ticket_id: str, fields: dict[bytes, bytes]) -> _Record:
        """Raises TicketNotFound: there is none, or it is of another version's making."""
        text = {name.decode(): value.decode() for name, value in fields.items()}
        try:
            answer = outcome_from_wire(json.loads(text["answer"])) if "answer" in text else None
            return cls(
                ticket_id,
                text["model"],
                Wish(text["picture"], int(text["top_k"]), float(text["min_score"])),
                datetime.fromisoformat(text["created"]),
                datetime.fromisoformat(text["expires"]),
                text.get("computation", ""),
                answer if isinstance(answer, Classification) else None,
                "cancelled" in text,
                "renewed" in text,
            )
        except (KeyError, ValueError) as error:
            raise TicketNotFound("there is no such ticket, or it has expired") from error

    def ticket(self, state: TicketState, outcome: Classification | Failure | Fault | None = None) -> Ticket:
        return Ticket(self.id, self.wish, self.created, self.expires, state, outcome)


class Tickets:
    """Issues, reads and cancels tickets.

    Args:
        redis: a client whose commands answer at once.
        ttl_s: how long a ticket lives, in seconds, with its idempotency key, its computation and the result.
    """

    def __init__(self, redis: Redis, queue: JobQueue, ttl_s: int) -> None:
        self._redis = redis
        self._queue = queue
        self._ttl_s = ttl_s

    def issue(
        self, model: str, wish: Wish, *, cache: bool, answer: Classification | None = None, key: str | None = None
    ) -> Ticket:
        """A new ticket, in one MULTI with its computation; or the one that ``key`` has brought before.

        Args:
            cache: whether the computation's answer may be stored for later requests.
            answer: a stored answer, which is copied: then nothing is computed.
            key: the sender's idempotency key.

        Raises:
            KeyReused: ``key`` has brought a ticket for another wish.
            QueueUnavailable: Redis does not answer or refuses to write.
        """
        holder = keys.idempotency(hashlib.sha256(key.encode()).hexdigest()) if key is not None else None

        def issue(pipe: Pipeline) -> str:
            known = self._known(pipe, holder, wish) if holder else None
            if known is not None:
                return known
            ticket_id = secrets.token_hex(ID_BYTES)
            pipe.multi()
            self._write(pipe, ticket_id, model, wish, answer, cache=cache)
            if holder:
                pipe.set(holder, ticket_id, ex=self._ttl_s)
            pipe.execute()
            return ticket_id

        return self.read(self._compare_and_set(issue))

    def read(self, ticket_id: str) -> Ticket:
        """A ticket as it stands. One whose computation has vanished gets another, once.

        Raises:
            TicketNotFound: no ticket has this ID (any more).
            QueueUnavailable: Redis does not answer.
        """
        record = self._record(self._redis, ticket_id)
        try:
            return self._look(record)
        except ComputationLost:
            self._renew(record)
        return self._look(self._record(self._redis, ticket_id))

    def cancel(self, ticket_id: str) -> Ticket:
        """Cancel what has not ended: it is not computed, or its result counts no more. Again, it changes nothing.

        Raises:
            TicketEnded: it is done, or has failed, and stays so.
            TicketNotFound: no ticket has this ID (any more).
            QueueUnavailable: Redis does not answer.
        """

        def cancel(pipe: Pipeline) -> None:
            pipe.watch(keys.ticket(ticket_id))  # type: ignore[no-untyped-call]
            record = self._record(pipe, ticket_id)
            pipe.watch(self._queue.result_key(record.computation))  # type: ignore[no-untyped-call]
            with suppress(ComputationLost):
                state = self._look(record).state
                if state in {TicketState.DONE, TicketState.FAILED}:
                    raise TicketEnded(f"the job is {state} and can't be cancelled any more")
            pipe.multi()
            pipe.hset(keys.ticket(ticket_id), "cancelled", 1)
            pipe.delete(keys.wanted(record.computation))
            pipe.execute()

        self._compare_and_set(cancel)
        return self.read(ticket_id)

    def _known(self, pipe: Pipeline, holder: str, wish: Wish) -> str | None:
        """The ticket that the idempotency key ``holder`` has brought, if any; the key is watched."""
        pipe.watch(holder)  # type: ignore[no-untyped-call]
        known: Any = pipe.get(holder)
        if known is None:
            return None
        try:
            record = self._record(pipe, known.decode())
        except TicketNotFound:
            return None
        if record.wish != wish:
            raise KeyReused("this Idempotency-Key was sent before with another picture or other parameters")
        return record.id

    def _write(
        self, pipe: Pipeline, ticket_id: str, model: str, wish: Wish, answer: Classification | None, *, cache: bool
    ) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        fields: dict[str, str | float] = {
            "model": model,
            "picture": wish.picture,
            "top_k": wish.top_k,
            "min_score": wish.min_score,
            "created": now.isoformat(),
            "expires": (now + timedelta(seconds=self._ttl_s)).isoformat(),
        }
        if answer is None:
            fields["computation"] = computation = uuid4().hex
            job = ClassifyJob(wish.picture, cache)
            self._enqueue(pipe, model, computation, job, self._ttl_s)
        else:
            fields["answer"] = json.dumps(answer.to_wire(), separators=(",", ":"))
        pipe.hset(keys.ticket(ticket_id), mapping=fields)  # type: ignore[arg-type]  # of str keys, too narrowly typed
        pipe.expire(keys.ticket(ticket_id), self._ttl_s)

    def _renew(self, lost: _Record) -> None:
        """Submit a computation in the place of the lost one, unless somebody else has done so meanwhile."""
        key = keys.ticket(lost.id)

        def renew(pipe: Pipeline) -> None:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            left_ms: Any = pipe.pttl(key)
            if self._record(pipe, lost.id) != lost:
                return
            computation = uuid4().hex
            pipe.multi()
            pipe.hset(key, mapping={"computation": computation, "renewed": 1})
            job = ClassifyJob(lost.wish.picture, cache=False)
            self._enqueue(pipe, lost.model, computation, job, max(1, left_ms) / 1000)
            pipe.execute()

        self._compare_and_set(renew)

    def _enqueue(self, pipe: Pipeline, model: str, computation: str, job: ClassifyJob, wanted_for_s: float) -> None:
        queue = tickets_queue_name(model)
        self._queue.enqueue(pipe, queue, computation, job, wanted_for_s=wanted_for_s, result_ttl_s=self._ttl_s)

    def _look(self, record: _Record) -> Ticket:
        """Raises ComputationLost: it has vanished, and none was submitted in its place yet."""
        if record.cancelled:
            return record.ticket(TicketState.CANCELLED)
        found = self._progress(record)
        if isinstance(found, Stage):
            return record.ticket(TicketState(found))
        return record.ticket(TicketState.DONE if isinstance(found, Classification) else TicketState.FAILED, found)

    def _progress(self, record: _Record) -> Classification | Failure | Fault | Stage:
        if record.answer is not None:
            return record.answer
        try:
            found = self._queue.peek(record.computation)
            if not isinstance(found, Dropped):  # else the wish for it was deleted, and not by its holder
                return found
        except ComputationFailed:
            return GIVEN_UP
        except ComputationLost:
            pass
        if record.renewed:
            return LOST
        raise ComputationLost(f"computation {record.computation} is gone")

    def _record(self, redis: Redis | Pipeline, ticket_id: str) -> _Record:
        if not ID.fullmatch(ticket_id):
            raise TicketNotFound("there is no such ticket, or it has expired")
        try:
            fields: Any = redis.hgetall(keys.ticket(ticket_id))
        except WatchError:
            raise
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return _Record.read(ticket_id, fields)

    def _compare_and_set(self, change: Callable[[Pipeline], T]) -> T:
        """Do ``change``, anew where somebody else has changed what it watches.

        Raises:
            QueueUnavailable: Redis does not answer, refuses to write, or others were faster each time.
        """
        try:
            for _ in range(WATCH_TRIES):
                with self._redis.pipeline() as pipe, suppress(WatchError):
                    return change(pipe)
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not take the ticket: {error}") from error
        raise QueueUnavailable("others change this ticket all the time")
