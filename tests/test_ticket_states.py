"""The life of a ticket on a real server with real worker processes; only the network is scripted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from contract import keys
from contract.errors import TicketEnded
from contract.job_queue import tickets_queue_name
from contract.messages import Classification, Failure, FailureKind
from contract.tickets import FaultKind, TicketState
from model.serving.lane import TICKETS_TURN
from tests.support.crew import TICKET_TTL_S, eventually
from tests.support.scripted_worker import DIGEST, MODEL

if TYPE_CHECKING:
    from contract.tickets import Ticket

QUEUE = f"rq:queue:{tickets_queue_name(MODEL)}"


def label_of(ticket: Ticket) -> str:
    assert ticket.state is TicketState.DONE
    assert isinstance(ticket.outcome, Classification)
    return ticket.outcome.labels[0].label


def test_a_ticket_is_queued_then_running_then_done(crew):
    """And its result stays for as long as the ticket."""
    ticket = crew.issue("slow")
    assert ticket.state is TicketState.QUEUED

    crew.hire()
    eventually(lambda: crew.tickets.read(ticket.id).state is TicketState.RUNNING, "the ticket runs")

    assert label_of(crew.ended(ticket)) == "slow"
    (result,) = crew.redis.keys("rq:results:*")
    assert TICKET_TTL_S - 60 < crew.redis.ttl(result) <= TICKET_TTL_S


def test_a_ticket_without_a_worker_waits_for_one(crew):
    ticket = crew.issue("tabby")
    assert crew.tickets.read(ticket.id).state is TicketState.QUEUED

    crew.hire()
    assert label_of(crew.ended(ticket)) == "tabby"


def test_a_picture_that_cannot_be_read_fails_its_ticket_alone(crew):
    bad, good = crew.issue("bad"), crew.issue("tabby")
    crew.hire()

    failed = crew.ended(bad)
    assert (failed.state, failed.outcome) == (TicketState.FAILED, Failure(FailureKind.UNDECODABLE, "scripted"))
    assert label_of(crew.ended(good)) == "tabby"


def test_a_ticket_that_was_given_up_says_so(crew):
    """Our fault, after three tries: a dead letter, and no hint of what went wrong inside."""
    ticket = crew.issue("fault")
    crew.hire()

    failed = crew.ended(ticket)
    assert failed.state is TicketState.FAILED
    assert failed.outcome.kind is FaultKind.GIVEN_UP
    assert "scripted" not in failed.outcome.detail
    assert crew.batches() == ["fault"] * 3
    assert crew.redis.zcard(f"rq:failed:{tickets_queue_name(MODEL)}") == 1


def test_a_dead_letter_that_an_operator_requeues_can_still_be_done(crew, tmp_path):
    """Once the fault is mended, nobody has to send the picture again."""
    ticket = crew.issue("fault")
    crew.hire()
    crew.ended(ticket)
    next(tmp_path.glob(f"uploads/*/{ticket.wish.picture}")).write_bytes(b"mended")
    letters = FailedJobRegistry(tickets_queue_name(MODEL), connection=crew.redis, serializer=JSONSerializer)
    letters.requeue(letters.get_job_ids()[0])

    eventually(lambda: crew.tickets.read(ticket.id).state is TicketState.DONE, "the ticket is done")
    assert label_of(crew.tickets.read(ticket.id)) == "mended"


def test_the_ticket_of_a_killed_worker_is_done_by_another(crew):
    """Its lease runs out; the ticket never shows a failure meanwhile."""
    doomed = crew.hire()
    ticket = crew.issue("slow")
    eventually(crew.batches, "a batch begins")
    doomed.kill()
    crew.hire()

    assert label_of(crew.ended(ticket)) == "slow"
    assert crew.redis.zcard(f"rq:wip:{tickets_queue_name(MODEL)}") == 0


def test_a_ticket_stranded_between_queue_and_start_comes_back(crew):
    ticket = crew.issue("tabby")
    crew.redis.lmove(QUEUE, f"{QUEUE}:intermediate")
    crew.hire()

    assert label_of(crew.ended(ticket)) == "tabby"


def test_a_ticket_neither_joins_nor_is_joined(crew):
    """A request must not wait for a ticket's turn, nor a ticket end because requests gave up."""
    request, ticket = crew.submit("tabby"), crew.issue("tabby")
    another = crew.submit("tabby")
    crew.hire()

    assert (another.joined, another.computation) == (True, request.computation)
    assert label_of(crew.ended(ticket)) == "tabby"
    assert crew.batches() == ["tabby", "tabby"]


@pytest.mark.parametrize("cache", [True, False])
def test_a_tickets_answer_serves_later_requests_unless_the_cache_is_off(crew, cache):
    crew.hire()
    crew.ended(crew.issue("tabby", cache=cache))

    sighting = crew.queue.look(MODEL, DIGEST, crew.store.put(b"tabby"))
    assert isinstance(sighting.answer, Classification) is cache


def test_requests_go_before_tickets(crew):
    """However long the tickets' queue is, whoever waits at a page does not wait for it."""
    tickets = [crew.issue(f"ticket-{n}") for n in range(9)]
    requests = [crew.submit(f"request-{n}") for n in range(5)]
    crew.hire()
    for ticket in tickets:
        crew.ended(ticket)

    order = [batch.split("-")[0] for batch in crew.batches()]
    assert order == ["request", "request", "ticket", "ticket", "ticket"]
    assert all(isinstance(crew.outcome(request), Classification) for request in requests)


def test_tickets_get_their_turn_beside_requests_that_never_end(crew):
    """A service that is always busy would else keep them waiting until they expire."""
    crew.issue("ticket")
    requests = [crew.submit(f"request-{n}") for n in range(4 * 2 * TICKETS_TURN)]
    crew.hire()
    for request in requests:
        crew.outcome(request)

    assert crew.batches().index("ticket") == TICKETS_TURN - 1


def test_a_cancelled_ticket_is_never_computed(crew):
    ticket = crew.issue("tabby")
    crew.tickets.cancel(ticket.id)
    crew.hire()
    eventually(lambda: not crew.redis.exists(QUEUE), "its turn comes")

    assert crew.tickets.read(ticket.id).state is TicketState.CANCELLED
    assert crew.batches() == []


def test_a_ticket_cancelled_while_it_runs_stays_cancelled(crew):
    """The result comes all the same and is not shown."""
    crew.hire()
    ticket = crew.issue("slow")
    eventually(crew.batches, "it runs")
    crew.tickets.cancel(ticket.id)
    eventually(lambda: crew.redis.keys("rq:results:*"), "its result comes")

    assert crew.tickets.read(ticket.id).state is TicketState.CANCELLED


@pytest.mark.parametrize("script", ["tabby", "bad"])
def test_an_ended_ticket_cannot_be_cancelled(crew, script):
    """What its holder may have read must not change under it."""
    crew.hire()
    ended = crew.ended(crew.issue(script))

    with pytest.raises(TicketEnded):
        crew.tickets.cancel(ended.id)
    assert crew.tickets.read(ended.id) == ended


def test_a_ticket_dropped_by_mistake_is_computed_after_all(crew):
    """Its wish was deleted and not by its holder: Redis was tampered with, and nothing accepted is lost."""
    ticket = crew.issue("tabby")
    crew.redis.delete(*crew.redis.keys("wanted:*"))
    crew.hire()

    assert label_of(crew.ended(ticket)) == "tabby"


def test_a_restart_of_the_server_loses_no_ticket(crew, any_server):
    """Queued, running and done: with the append-only file on, each goes on where it was."""
    done, key_holder = crew.issue("tabby"), crew.issue("lynx", key="order-7")
    crew.hire()
    crew.ended(done)
    running, queued = crew.issue("slow"), crew.issue("late")
    eventually(lambda: crew.tickets.read(running.id).state is TicketState.RUNNING, "it runs")
    any_server.stop()
    any_server.start()

    assert label_of(crew.ended(done)) == "tabby"
    assert label_of(crew.ended(running)) == "slow"
    assert label_of(crew.ended(queued)) == "late"
    assert crew.issue("lynx", key="order-7").id == key_holder.id


def test_a_restart_of_everything_loses_no_ticket(crew, any_server):
    """Every process ends, the workers by force; the next ones know nothing but what Redis has kept."""
    doomed = crew.hire()
    running, queued = crew.issue("slow"), crew.issue("tabby")
    eventually(crew.batches, "a batch begins")
    doomed.kill()
    any_server.stop()
    any_server.start()
    assert crew.redis.exists(keys.ticket(queued.id))
    crew.hire()

    assert label_of(crew.ended(running)) == "slow"
    assert label_of(crew.ended(queued)) == "tabby"
