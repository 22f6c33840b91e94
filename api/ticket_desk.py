"""The story of one asynchronous job: store, look, issue a ticket; its holder comes back for the rest. No HTTP here."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gevent import get_hub
from gevent.util import wrap_errors

from api.errors import (
    RETRY_SOON_S,
    BackendDown,
    JobEnded,
    KeyReusedForAnother,
    NoSuchJob,
    NoWorker,
    Overloaded,
)
from api.gateway import ADMITTED_SHARE
from contract.errors import KeyReused, QueueUnavailable, StoreUnwritable, TicketEnded, TicketNotFound
from contract.tickets import TicketState, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.parameters import Wanted
    from api.settings import Settings
    from api.staff import Crew, Staff
    from api.upload import Upload
    from contract.image_store import ImageStore
    from contract.job_queue import JobQueue
    from contract.tickets import Ticket, Tickets

LONGEST_RETRY_S = 30  # the expected wait is that of a ticket issued now: an older one is done sooner


class TicketDesk:
    """One per API process; safe to use from many requests at once."""

    def __init__(self, settings: Settings, store: ImageStore, queue: JobQueue, staff: Staff, tickets: Tickets) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._staff = staff
        self._tickets = tickets

    def admit(self) -> None:
        """Refuse what could not be kept: Redis needs room for requests beside tickets, and tickets expire.

        That nobody is at work at the moment is no reason.

        Raises:
            Overloaded, NoWorker, BackendDown: not now; the error says when to come again.
        """
        with _errors_in_our_words():
            address = self._staff.address()
            if address.memory.full_of_tickets:
                raise Overloaded("the service is busy: its queue has no room left for jobs", RETRY_SOON_S)
            excess_s = self._expected_wait_s(address.crew) - ADMITTED_SHARE * self._settings.ticket_ttl_s
            if excess_s > 0:
                raise Overloaded("the service is busy: too many jobs wait already", math.ceil(excess_s))

    def accept(self, upload: Upload, wanted: Wanted, key: str | None) -> Ticket:
        """Issue a ticket for one upload, or give the one that the idempotency key ``key`` has brought before.

        Raises:
            KeyReusedForAnother: ``key`` came before with another picture or with other parameters.
            NoWorker: no worker has ever been ready, so that nobody knows which model will answer.
            BackendDown: not now; the error says when to come again.
        """
        with _errors_in_our_words():
            address = self._staff.address()
            wish = Wish(self._put(upload.data), wanted.top_k, wanted.min_score)
            cache, answer = self._settings.result_cache, None
            if cache and address.crew is not None:
                sighting = self._queue.look(address.model, address.crew.digest, wish.picture)
                self._staff.saw(sighting.depth)
                answer = sighting.answer
            return self._tickets.issue(address.model, wish, cache=cache, answer=answer, key=key)

    def read(self, ticket_id: str) -> Ticket:
        """Raises NoSuchJob, BackendDown."""
        with _errors_in_our_words():
            return self._tickets.read(ticket_id)

    def cancel(self, ticket_id: str) -> Ticket:
        """Raises JobEnded (done or failed, and it stays so), NoSuchJob, BackendDown."""
        with _errors_in_our_words():
            return self._tickets.cancel(ticket_id)

    def retry_after_s(self, ticket: Ticket) -> int | None:
        """When to ask for the ticket again, in seconds; None once it has ended."""
        if ticket.state is TicketState.RUNNING:
            return 1
        if ticket.state is not TicketState.QUEUED:
            return None
        try:
            return min(LONGEST_RETRY_S, max(1, math.ceil(self._expected_wait_s(self._staff.crew()))))
        except NoWorker as nobody:
            return nobody.retry_after_s
        except QueueUnavailable:
            return RETRY_SOON_S

    def _put(self, picture: bytes) -> str:
        """Store what is to outlive a power failure, in a thread: no other request of this process waits for the disk.

        Raises:
            StoreUnwritable: the folder can't be written.
        """
        put = wrap_errors(StoreUnwritable, self._store.put)  # gevent would log what a thread raises
        name: str | StoreUnwritable = get_hub().threadpool.apply(put, (picture,), {"durable": True})
        if isinstance(name, StoreUnwritable):
            raise name
        return name

    def _expected_wait_s(self, crew: Crew | None) -> float:
        """How long a ticket issued now waits for its answer, in seconds: behind all requests, and all tickets."""
        if crew is None:
            return 0.0
        return crew.expected_wait_s(self._staff.depth(crew) + self._queue.tickets_depth(crew.model))


@contextmanager
def _errors_in_our_words() -> Iterator[None]:
    try:
        yield
    except (QueueUnavailable, StoreUnwritable) as error:
        raise BackendDown(str(error), RETRY_SOON_S) from error
    except TicketNotFound as error:
        raise NoSuchJob("there is no such job, or it has expired") from error
    except TicketEnded as error:
        raise JobEnded(str(error)) from error
    except KeyReused as error:
        raise KeyReusedForAnother(str(error)) from error
