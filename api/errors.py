"""What a request can end in besides an answer. No status codes here: ``problems`` maps each to HTTP."""

from __future__ import annotations

from typing import TypeVar

RETRY_SOON_S = 2  # what is busy or away may be back by then
RETRY_LATER_S = 60  # a full disk, or a setting: somebody has to do something


class ApiError(Exception):
    """Base of this family; the message is a sentence for the sender."""


class InvalidUpload(ApiError):
    """The sender's input is at fault. ``predict`` answers each of this branch with its documented 400."""


class MissingFile(InvalidUpload):
    """The request has no file, or an empty one."""


class TooManyPictures(InvalidUpload):
    """The request has more pictures than the route takes at once."""


class BrokenForm(InvalidUpload):
    """The request's body is not the form that its header says."""


class InvalidParameter(InvalidUpload):
    """A parameter beside the file is malformed or out of range."""


class TooLarge(InvalidUpload):
    """Too many bytes, or too many pixels."""


class NotAnImage(InvalidUpload):
    """The bytes carry no signature of a supported picture format."""


class Undecodable(InvalidUpload):
    """It looks like a picture, but can't be read as one."""


class NoSuchPicture(ApiError):
    """No stored picture has this name."""


class AdminClosed(ApiError):
    """No admin key is set, so nobody may see what is for the operator."""


class WrongAdminKey(ApiError):
    """The request carries no admin key, or not the one that is set."""


class NoSuchJob(ApiError):
    """No job has this ID (any more)."""


class JobEnded(ApiError):
    """The job is done or has failed: there is nothing left to cancel."""


class KeyReusedForAnother(ApiError):
    """The idempotency key came before with another picture or with other parameters."""


class TemporarilyUnavailable(ApiError):
    """Nothing is wrong with the request; it can be sent again in ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(TemporarilyUnavailable):
    """The request would not be answered before its deadline, so it is not even begun."""


class NoWorker(TemporarilyUnavailable):
    """No worker is alive."""


class BackendDown(TemporarilyUnavailable):
    """Redis or the upload volume does not do its part."""


class DeadlineExceeded(ApiError):
    """No answer came in time."""


class WorkerFault(ApiError):
    """The workers gave the picture up after several tries: our fault, kept as a dead letter."""


AnyError = TypeVar("AnyError", bound=ApiError)


def without_frames(error: AnyError) -> AnyError:
    """For an error that is kept: the frames that it came through hold on to the picture's bytes."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
