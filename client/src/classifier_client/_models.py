"""What goes into the client and what comes out: pictures, results, job states and the family of errors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Generic, Literal, TypeVar

Picture = str | os.PathLike[str] | bytes | IO[bytes]
"""A file's path, the bytes of an encoded picture, or an open binary file."""

AnyPicture = TypeVar("AnyPicture", bound=Picture)
AnyAnswer = TypeVar("AnyAnswer")

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
"""The last three are final."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label.

    Attributes:
        label: the model's name for the class, such as ``Egyptian_cat``.
        confidence: its probability, 0 to 1.
    """

    label: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the service sees in one picture.

    Attributes:
        predictions: the labels, likeliest first; empty if ``min_score`` excluded all of them.
        inference_time_ms: the time a worker spent on the answer, for this request or an earlier one, in milliseconds.
        model, version: the model's name, and which version of it has answered.
        digest: identifies the model's weights, labels and preprocessing: the first 12 hex digits of the full digest.
        cache: "miss" if a worker computed the answer for this request, "hit" if it was known already, "joined" if the
            same picture was being computed for another request; None in the result of a job, which does not say.
        damaged: whether the picture is damaged, so that the labels are those of what was left of it; never with
            ``strict``, which has such a picture refused.
        first_frame_only: whether the picture is an animated GIF, so that the labels are those of its first frame.
    """

    predictions: tuple[Prediction, ...]
    inference_time_ms: float
    model: str
    digest: str
    cache: str | None
    damaged: bool = False
    first_frame_only: bool = False
    version: str = "1"

    @property
    def best(self) -> Prediction:
        """The likeliest label.

        Raises:
            IndexError: ``min_score`` excluded every label.
        """
        return self.predictions[0]


@dataclass(frozen=True, slots=True)
class Box:
    """Where an object is, in pixels of the picture as a viewer shows it, upright and whole.

    Attributes:
        x, y: of its upper left corner, from that of the picture.
        width, height: its sides.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """One object in a picture.

    Attributes:
        label: the model's name for its class, such as ``cat``.
        class_id: the label's place in the model's own list.
        confidence: how sure the model is, 0 to 1.
        box: where it is.
    """

    label: str
    class_id: int
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The objects that the service finds in one picture.

    Attributes:
        objects: the surest first; none if nothing was found, or nothing that was asked for.
        width, height: of the picture that the boxes lie in, in pixels, as a viewer shows it.
        inference_time_ms, model, version, digest, cache, damaged, first_frame_only: as in a ``Result``.
    """

    objects: tuple[DetectedObject, ...]
    width: int
    height: int
    inference_time_ms: float
    model: str
    digest: str
    cache: str | None
    damaged: bool = False
    first_frame_only: bool = False
    version: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that the service has.

    Attributes:
        name: what ``model`` takes.
        version: which its name means now.
        default: whether it answers where no model for its task is named.
        versions: all that the service has of it; ``name@version`` names one.
        workers: how many serve ``version`` now.
        labels: how many it knows; None if the service does not know.
        licence: of its weights; None if nobody has said.
        task: "classification" or "detection"; None if the service does not say.
    """

    name: str
    version: str
    default: bool
    versions: tuple[str, ...]
    workers: int
    labels: int | None
    licence: str | None
    task: str | None = None


class ClassifierError(Exception):
    """Base of all the client's errors; its text is a sentence for people.

    Attributes:
        status: the HTTP status that caused the error, or None if the cause was something else.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InvalidPicture(ClassifierError):
    """The service rejects the picture or a parameter (400, 413, 415, 422). Sending the same again won't help."""


class Overloaded(ClassifierError):
    """The service can't take this picture now, and the client's time runs out before it may try again (503, 429).

    Attributes:
        retry_after_s: how long the service asked to wait, in seconds, 0 or more; None if it did not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after_s = retry_after_s


class OverLimit(Overloaded):
    """The key, or without one the address, has sent more than it may for now (429).

    It is waited for as any other ``Overloaded``, and is one: a program that need not tell them apart catches that.
    """


class Unauthorized(ClassifierError):
    """The service needs a key and none was sent, or it does not know the one that was (401)."""


class Forbidden(ClassifierError):
    """The service knows the key, but the key may not do this (403)."""


class DeadlineExceeded(ClassifierError):
    """There was no result in time: the service's own deadline passed (504), or the caller's ``timeout_s`` did."""


class ServiceFault(ClassifierError):
    """The service failed, through no fault of the picture (any other 5xx)."""


class Unreachable(ClassifierError):
    """The connection could not be made, or broke before the answer arrived."""


class UnexpectedAnswer(ClassifierError):
    """Something answered, but not the way this service does: check the address, and any proxy on the way."""


class NoSuchJob(ClassifierError):
    """The service knows no job with this ID: there never was one, or it has expired."""


class NoSuchModel(ClassifierError):
    """The service knows no such model, or no such version of it (404)."""


class JobCancelled(ClassifierError):
    """The job has no result because somebody cancelled it."""


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[AnyPicture, AnyAnswer]):
    """What became of one picture out of many.

    Attributes:
        picture: the picture, as it was passed in.
        answer: its result, or the error that stands in its place.
    """

    picture: AnyPicture
    answer: AnyAnswer | ClassifierError | OSError

    @property
    def error(self) -> ClassifierError | OSError | None:
        """Why there is no result (an OSError if the file could not be read), or None if there is one."""
        return self.answer if isinstance(self.answer, ClassifierError | OSError) else None

    @property
    def result(self) -> AnyAnswer:
        """The result.

        Raises:
            ClassifierError, OSError: there is no result; this is the error that ``error`` returns.
        """
        if isinstance(self.answer, ClassifierError | OSError):
            raise self.answer
        return self.answer


class Outcome(_Outcome[AnyPicture, Result]):
    """What became of one picture out of many that were classified."""

    __slots__ = ()


class DetectionOutcome(_Outcome[AnyPicture, Detection]):
    """What became of one picture out of many in which objects were looked for."""

    __slots__ = ()
