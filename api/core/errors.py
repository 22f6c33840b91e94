"""The errors that only the HTTP side knows; they belong to the same family as those of ``contract.errors``."""

from __future__ import annotations

from typing import Literal, TypeVar

from contract.errors import OverShare, ServiceError, TemporarilyUnavailable


class InvalidUpload(ServiceError):
    """The sender's input is at fault. ``/predict`` answers every subclass with its documented 400."""


class MissingFile(InvalidUpload):
    """The request has no picture."""


class EmptyFile(InvalidUpload):
    """The request's file has no bytes."""


class TooManyPictures(InvalidUpload):
    """The request has more pictures than the route accepts at once."""


class BrokenForm(InvalidUpload):
    """The request's body is not what it says, or should be: a form, JSON with base64 in it, a picture."""


class InvalidParameter(InvalidUpload):
    """A parameter beside the file is malformed or out of range."""


class TooLarge(InvalidUpload):
    """Too many bytes, or too many pixels."""


class NotAnImage(InvalidUpload):
    """The bytes have no signature of a supported picture format."""


class Undecodable(InvalidUpload):
    """The file looks like a picture, but can't be read as one."""


class LinkNeeded(ServiceError):
    """A stored picture was asked for without a link to it, or with one that is not ours."""


class LinkExpired(ServiceError):
    """The link to a stored picture was ours, and is good no longer."""


class AccessRefused(ServiceError):
    """The sender may not do this, at least not with what it has sent."""


class Closed(AccessRefused):
    """No key that the service knows opens this."""


class KeyMissing(AccessRefused):
    """The request has no key where one is needed."""


class WrongKey(AccessRefused):
    """The service does not know the request's key (any more)."""


class KeyNotAllowed(AccessRefused):
    """The request's key opens other routes, and not this one."""


class TooManyWrongKeys(OverShare):
    """So many wrong keys came from this address that another is not even compared for a while."""


class WrongHost(ServiceError):
    """The request is for a name that this service does not answer to."""


class CrossOrigin(ServiceError):
    """A page of another origin had a browser send the request."""


class ClientGone(ServiceError):
    """Whoever sent the request has hung up, or has closed his side of the connection, before the answer was there."""


class Overloaded(TemporarilyUnavailable):
    """The request would not be answered before its deadline, so it is not started."""


class OverLimit(TemporarilyUnavailable):
    """The sender has used up what it may use in a minute or in a day."""


class UnknownModel(InvalidUpload):
    """No worker has ever served the model, or the version of it, that the request names."""


class OtherTask(InvalidUpload):
    """The model that the request names answers something else than the route."""


class UnknownPattern(InvalidUpload):
    """The service has no pattern of this key."""


class NoInspection(ServiceError):
    """No inspection is kept, or none that was asked for."""


class PatternMismatch(ServiceError):
    """A pattern expects a class that the model does not know."""


class ModelNotChanged(ServiceError):
    """What an operator wants of a model can't be done now, or at all; all is as it was before."""


class CheckNotFound(ServiceError):
    """The model has no candidate, or that was never checked."""


class NoWorker(TemporarilyUnavailable):
    """No worker is alive."""


CameraFault = Literal[
    "unreachable",  # no connection, or its name is not known
    "untrusted",  # TLS comes to nothing
    "broken_off",  # the connection ended before the answer did, or it is not HTTP
    "server_error",  # 500, 502, 503 or 504
    "refused",  # 401 or 403: the token
    "status",  # any other
    "redirect",  # to another address, or too often
    "no_picture",
    "too_large",
]
CameraOutcome = Literal["taken", CameraFault, "timeout", "abandoned"]  # the last: nobody waits for it any more


class NoCamera(InvalidUpload):
    """The request has no picture, and the service no camera to take one with."""


class CameraFailed(ServiceError):
    """The camera gives no picture, and the fault is not the sender's."""

    def __init__(self, message: str, fault: CameraFault) -> None:
        super().__init__(message)
        self.fault = fault


class CameraTimeout(ServiceError):
    """The camera gave no picture in time."""


class NotAnswering(ServiceError):
    """The camera or the workers do not answer, as the replaced system tells it."""


AnyError = TypeVar("AnyError", bound=ServiceError)


def without_frames(error: AnyError) -> AnyError:
    """For an error that is kept: its frames would keep the picture's bytes in memory."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    return error
