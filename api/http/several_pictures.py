"""A batch: the several pictures of one request, answered side by side, each failing alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from flask import jsonify, request

from api.core.errors import ClientGone, InvalidUpload, TooManyPictures, without_frames
from api.core.inference import Answer
from api.http.caller import current_client
from api.http.response_headers import describe, elapsed_ms
from api.http.upload import Upload, files_of
from api.services import Services
from contract.errors import DeadlineExceeded, ServiceError, TemporarilyUnavailable
from contract.messages import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flask import Response
    from werkzeug.datastructures import FileStorage

    from api.core.inference import Asked
    from api.http.schemas import Batch
    from api.settings import Settings

PASSING = (TemporarilyUnavailable, DeadlineExceeded, ClientGone)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ended(Generic[Found]):
    """What came of one picture.

    Attributes:
        filename: the sender's.
        outcome: its answer, or why there is none.
        animated: whether it is an animated GIF, of whose frames the first alone was looked at.
    """

    filename: str
    outcome: Answer[Found] | ServiceError
    animated: bool


def answer_batch(asked: Asked[Found], result: Callable[[Ended[Found]], Result]) -> Response:
    """Answer the current request's pictures; its form has been read.

    Args:
        result: what the answer says of one of them.

    Raises:
        MissingFile, TooManyPictures, BrokenForm, RequestEntityTooLarge: the whole request is at fault.
        UnknownModel, OtherTask: its model is.
        TemporarilyUnavailable, DeadlineExceeded: no picture has an answer, for at least one of them only temporarily,
            so that sending the batch again may help.
    """
    ended = _ended(asked)
    answers = [entry.outcome for entry in ended if isinstance(entry.outcome, Answer)]
    body: Batch[Result] = {
        "total_images": len(ended),
        "successful": len(answers),
        "failed": len(ended) - len(answers),
        "total_time_ms": round(elapsed_ms(), 1),
        "results": [result(entry) for entry in ended],
    }
    response = jsonify(body)
    return describe(response, *answers) if answers else response


def _ended(asked: Asked[Found]) -> list[Ended[Found]]:
    services = Services.current()
    files = files_of(request)
    if len(files) > services.settings.max_batch_files:
        raise TooManyPictures(
            f"at most {services.settings.max_batch_files} pictures are taken at once, and the request has {len(files)}"
        )
    animated: list[bool] = []
    images = _checked(files, services.settings, animated)
    outcomes = services.inference.infer_all(images, current_client(), asked)
    if not any(isinstance(outcome, Answer) for outcome in outcomes):
        _raise_what_may_pass(outcomes)
    return [
        Ended(file.filename or "", outcome, moves)
        for file, outcome, moves in zip(files, outcomes, animated, strict=True)
    ]


def _checked(files: Iterable[FileStorage], settings: Settings, animated: list[bool]) -> Iterator[bytes | InvalidUpload]:
    """The pictures one by one; ``animated`` gets what is kept of each: whether it is an animated GIF."""
    for file in files:
        try:
            upload = Upload.from_file(file, settings)
        except InvalidUpload as fault:
            animated.append(False)
            yield without_frames(fault)
        else:
            animated.append(upload.animated)
            yield upload.data
            del upload  # the next one comes in its place


def _raise_what_may_pass(outcomes: Iterable[Answer[Found] | ServiceError]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, PASSING):
            raise outcome
