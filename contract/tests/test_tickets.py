"""Tickets in a real server, without workers: what is written, how long it lives, and who is whose."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from contract import keys
from contract.connections import connect, connect_for_waiting
from contract.errors import KeyReused, QueueUnavailable, TicketNotFound
from contract.job_queue import FAILURE_TTL_S, JobQueue, tickets_queue_name
from contract.messages import Classification, Label, Timings
from contract.tickets import ID, Fault, Ticket, Tickets, TicketState, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.support.server import Server

MODEL = "resnet50"
TTL_S = 3600
WISH = Wish("a" * 64, top_k=3, min_score=0.25)
ANSWER = Classification(MODEL, "d" * 64, (Label("tabby", 0.9),), Timings(3.0, 20.0))
TICKETS_QUEUE = f"rq:queue:{tickets_queue_name(MODEL)}"


@pytest.fixture
def commands(any_server: Server) -> Iterator[Redis]:
    client = connect(any_server.url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def queue(commands: Redis, any_server: Server) -> JobQueue:
    return JobQueue(commands, connect_for_waiting(any_server.url))


@pytest.fixture
def tickets(commands: Redis, queue: JobQueue) -> Tickets:
    return Tickets(commands, queue, TTL_S)


def issue(tickets: Tickets, wish: Wish = WISH, key: str | None = None) -> Ticket:
    return tickets.issue(MODEL, wish, cache=True, key=key)


def test_a_ticket_is_queued_with_a_computation_that_lives_as_long(tickets, commands):
    """In one MULTI: no ticket without a computation, and no computation that outlives or falls short of it."""
    ticket = issue(tickets)
    (computation,) = (entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1))

    assert ticket.state is TicketState.QUEUED
    assert (ticket.wish, ticket.outcome) == (WISH, None)
    assert (ticket.expires - ticket.created).total_seconds() == TTL_S
    for key in (keys.ticket(ticket.id), keys.wanted(computation)):
        assert TTL_S - 60 < commands.ttl(key) <= TTL_S
    assert commands.hget(f"rq:job:{computation}", "result_ttl") == str(TTL_S).encode()
    assert commands.keys("inflight:*") == []


def test_a_dead_letter_stays_as_long_as_its_ticket(commands, queue):
    """With tickets of a month the usual week would end before the ticket does, and the ticket would be renewed."""
    month_s = 30 * 86400
    issue(Tickets(commands, queue, month_s))
    (computation,) = (entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1))

    assert commands.hget(f"rq:job:{computation}", "failure_ttl") == str(month_s).encode()
    assert month_s > FAILURE_TTL_S


def test_a_stored_answer_is_copied_and_nothing_is_computed(tickets, commands):
    """The ticket lives for a day, the stored answer for minutes."""
    ticket = tickets.issue(MODEL, WISH, cache=True, answer=ANSWER)

    assert (ticket.state, ticket.outcome) == (TicketState.DONE, ANSWER)
    assert not commands.exists(TICKETS_QUEUE)


def test_ids_are_random_and_never_those_of_computations(tickets, commands):
    """Computations stand in logs and in RQ's tools; whoever knows a ticket's ID may read and cancel it."""
    ids = {issue(tickets).id for _ in range(20)}
    computations = {entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1)}

    assert len(ids) == 20
    assert all(ID.fullmatch(ticket_id) for ticket_id in ids)
    assert not ids & computations


@pytest.mark.parametrize("ticket_id", ["0" * 32, "", "x" * 32, "0" * 31, "0" * 32 + "\n", "A" * 32, "*", "a:b"])
def test_an_id_that_is_no_tickets_is_not_found(tickets, ticket_id):
    """What can't be an ID never reaches Redis; what can be one tells no more."""
    for ask in (tickets.read, tickets.cancel):
        with pytest.raises(TicketNotFound):
            ask(ticket_id)


def test_a_ticket_that_cannot_be_read_is_none(tickets, commands):
    """Another version may have written it."""
    ticket = issue(tickets)
    commands.hset(keys.ticket(ticket.id), "top_k", "many")

    with pytest.raises(TicketNotFound):
        tickets.read(ticket.id)


def test_an_expired_ticket_is_gone_with_its_key(commands, queue):
    """The same key then brings a new ticket."""
    short = Tickets(commands, queue, 1)
    first = issue(short, key="order-7")
    commands.pexpire(keys.ticket(first.id), 1)  # the key itself lives for a moment more
    while commands.exists(keys.ticket(first.id)):
        pass
    second = issue(short, key="order-7")

    assert second.id != first.id
    assert issue(short, key="order-7").id == second.id


def test_the_same_key_brings_the_same_ticket(tickets, commands):
    """A sender that does not know whether its request arrived sends it again."""
    first, second = issue(tickets, key="order-7"), issue(tickets, key="order-7")

    assert first == second
    assert commands.llen(TICKETS_QUEUE) == 1
    (holder,) = commands.keys("idempotency:*")
    assert TTL_S - 60 < commands.ttl(holder) <= TTL_S


@pytest.mark.parametrize("other", [Wish("b" * 64, 3, 0.25), Wish("a" * 64, 4, 0.25), Wish("a" * 64, 3, 0.5)])
def test_the_same_key_for_another_wish_is_refused(tickets, commands, other):
    """Giving the first wish's ticket would be an answer to a question that was not asked."""
    issue(tickets, key="order-7")

    with pytest.raises(KeyReused):
        issue(tickets, other, key="order-7")
    assert commands.llen(TICKETS_QUEUE) == 1


def test_without_a_key_every_request_has_a_ticket_of_its_own(tickets, commands):
    assert issue(tickets).id != issue(tickets).id
    assert commands.llen(TICKETS_QUEUE) == 2


def test_many_at_once_with_the_same_key_get_one_ticket(tickets, commands):
    """A client whose retries overtake each other: one ticket, one computation."""
    for turn in range(10):
        start = Barrier(8)

        def send(_: int, start: Barrier = start, turn: int = turn) -> str:
            start.wait()
            return issue(tickets, key=f"order-{turn}").id

        with ThreadPoolExecutor(8) as senders:
            ids = set(senders.map(send, range(8)))

        assert len(ids) == 1
    assert commands.llen(TICKETS_QUEUE) == len(commands.keys("ticket:*")) == 10


def test_a_cancelled_ticket_stays_cancelled_and_is_wanted_no_more(tickets, commands):
    ticket = issue(tickets)
    cancelled = tickets.cancel(ticket.id)

    assert cancelled.state is TicketState.CANCELLED
    assert commands.keys("wanted:*") == []
    assert tickets.cancel(ticket.id) == tickets.read(ticket.id) == cancelled


def test_the_key_of_a_cancelled_ticket_still_brings_that_ticket(tickets):
    """A retry that comes late must not undo the cancellation."""
    ticket = issue(tickets, key="order-7")
    tickets.cancel(ticket.id)

    assert issue(tickets, key="order-7").state is TicketState.CANCELLED


def test_a_ticket_whose_computation_was_deleted_gets_another_once(tickets, commands):
    """Nothing accepted is lost, not even to a person who empties the queue by hand; but whoever insists wins."""
    ticket = issue(tickets)
    for state in (TicketState.QUEUED, TicketState.FAILED):
        (computation,) = (entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1))
        commands.delete(f"rq:job:{computation}", TICKETS_QUEUE)

        assert tickets.read(ticket.id).state is state
    outcome = tickets.read(ticket.id).outcome
    assert isinstance(outcome, Fault)
    assert outcome.kind == "lost"
    assert not commands.exists(TICKETS_QUEUE)


def test_readers_at_once_of_a_lost_computation_submit_one(tickets, commands):
    ticket = issue(tickets)
    (computation,) = (entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1))
    commands.delete(f"rq:job:{computation}", TICKETS_QUEUE)
    with ThreadPoolExecutor(8) as readers:
        states = set(readers.map(lambda _: tickets.read(ticket.id).state, range(8)))

    assert states == {TicketState.QUEUED}
    assert commands.llen(TICKETS_QUEUE) == 1
    assert TTL_S - 60 < commands.ttl(keys.ticket(ticket.id)) <= TTL_S


def test_a_ticket_whose_computation_vanished_can_be_cancelled(tickets, commands):
    ticket = issue(tickets)
    (computation,) = (entry.decode() for entry in commands.lrange(TICKETS_QUEUE, 0, -1))
    commands.delete(f"rq:job:{computation}", TICKETS_QUEUE)

    assert tickets.cancel(ticket.id).state is TicketState.CANCELLED
    assert not commands.exists(TICKETS_QUEUE)


def test_an_absent_redis_is_said_so(tmp_path):
    url = f"unix://{tmp_path}/nothing"
    tickets = Tickets(connect(url), JobQueue(connect(url), connect_for_waiting(url)), TTL_S)

    for ask in (lambda: issue(tickets), lambda: tickets.read("0" * 32), lambda: tickets.cancel("0" * 32)):
        with pytest.raises(QueueUnavailable):
            ask()
