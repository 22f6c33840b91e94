"""What a request can end in besides an answer: one family for both sides.

No status codes here: ``api.http.problems`` maps each error to HTTP. A library's errors are translated into these where
the library is called. Faults of an upload and refusals that only the HTTP side knows are in ``api.core.errors``.
"""

from __future__ import annotations

RETRY_SOON_S = 2  # what is busy or down may be available again by then
RETRY_LATER_S = 60  # a full disk, or a wrong setting: an operator has to act


class ServiceError(Exception):
    """Base of the family; the message is a sentence for the sender."""


class TemporarilyUnavailable(ServiceError):
    """Nothing is wrong with the request; it can be sent again in ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: int = RETRY_SOON_S) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BackendDown(TemporarilyUnavailable):
    """Redis or the upload volume is down or fails.

    ``cause`` is what the library said: it may name addresses and paths, so it is for the log and not for the sender.
    """

    def __init__(self, message: str, retry_after_s: int = RETRY_SOON_S, *, cause: str = "") -> None:
        super().__init__(message, retry_after_s)
        self.cause = cause


class StoreMisused(BackendDown):
    """The object store answers, and refuses what is asked as things are set up: an operator has to act."""


class StoreFull(TemporarilyUnavailable):
    """There is no room for another picture."""


class OverShare(TemporarilyUnavailable):
    """The sender has had what one sender may have for the time being."""


class JobLost(BackendDown):
    """The job is neither queued, nor running, nor finished: no worker will ever publish a result for it."""


class PictureLost(BackendDown):
    """The stored picture was deleted or damaged before its turn came."""


class DeadlineExceeded(ServiceError):
    """No answer came in time."""


class WorkerFault(ServiceError):
    """The workers gave the picture up after several tries: our fault, kept as a dead letter."""


class UnknownOutcome(ServiceError):
    """The worker's answer has a form that this version does not know: the reader is older than the worker."""


class JobNotFound(ServiceError):
    """No job has this ID (any more)."""


class JobEnded(ServiceError):
    """The job is done or has failed: there is nothing left to cancel."""


class KeyReused(ServiceError):
    """The idempotency key was used before with another picture or with other parameters."""


class PictureNotFound(ServiceError):
    """No stored picture has this name."""


class PictureDeleted(ServiceError):
    """The picture was deleted by its sender or an operator before its job had ended."""
