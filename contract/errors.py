"""What can go wrong between the two sides. Library errors are translated into these where the library is called."""

from __future__ import annotations


class ContractError(Exception):
    """Base of this family."""


class QueueUnavailable(ContractError):
    """Redis does not answer, or refuses what every request needs."""


class ResultTimeout(ContractError):
    """No result came before the deadline."""


class ComputationLost(ContractError):
    """The computation is neither queued, nor running, nor finished: nobody will ever publish a result for it."""


class ComputationFailed(ContractError):
    """The workers gave the computation up after its last try; RQ's failed registry keeps it."""


class TicketNotFound(ContractError):
    """No ticket has this ID (any more)."""


class TicketEnded(ContractError):
    """The ticket is done or has failed: there is nothing left to cancel."""


class KeyReused(ContractError):
    """The idempotency key belongs to a ticket that asks for something else."""


class StoreError(ContractError):
    """The image store can't do its part."""


class PictureNotFound(StoreError):
    """No picture has this name (any more)."""


class StoreUnwritable(StoreError):
    """The picture can't be written: the disk is full, read-only or gone."""
