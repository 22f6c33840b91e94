"""The client itself: one picture, or many at once, or one as a job; for labels or for objects."""

from __future__ import annotations

import itertools
import os
import threading
import time
import uuid
from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import urllib3

from ._http import Answer, Request, Service, detection_of, json_object, models_of, result_of, unexpected_answer
from ._job import Job
from ._models import (
    AnyPicture,
    ClassifierError,
    Detection,
    DetectionOutcome,
    Model,
    NoSuchModel,
    Outcome,
    Picture,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    Pause = Callable[[float], None]

AnyOutcome = TypeVar("AnyOutcome")
BEGUN_PER_THREAD = 2  # pictures begun before the first result is taken, so that a slow one doesn't hold up the others


class Client:
    """Talks to one service. Safe to share between threads; keeps its connections open until ``close``."""

    def __init__(
        self, url: str, *, key: str | None = None, timeout_s: float = 60.0, allow_plain_http: bool = False
    ) -> None:
        """Check the address and the key; the first call opens the first connection.

        Args:
            url: where the service is, such as ``http://127.0.0.1:8000``; a path in it is put before every route.
            key: for a service that needs one. None means the environment's ``CLASSIFIER_KEY``, as it is now, and ``""``
                none at all. It goes to the host in ``url`` only, and is never in an error's text.
            timeout_s: the longest that one picture may take, in seconds, with all its tries and the waits between them.
            allow_plain_http: send the key unencrypted to another machine too, where everybody on the way can read it:
                for a network that is yours alone, as that between containers.

        Raises:
            ValueError: ``url`` is not an http or https address or holds a password, or the key can't be sent there.
        """
        self._service = Service(url, key, allow_plain_http=allow_plain_http)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. After that, calls on the client and on its jobs raise RuntimeError."""
        self._service.close()

    def classify(
        self,
        picture: Picture,
        *,
        model: str | None = None,
        top_k: int | None = None,
        min_score: float | None = None,
        strict: bool = True,
    ) -> Result:
        """Send one picture and wait for its labels.

        Args:
            picture: a path, bytes or an open binary file, which is read from its current position and left open.
            model: which is to answer, as ``name`` or ``name@version``; the service's default if it is not given.
            top_k: the most labels to return, 1 or more; the service sets the limit, and the default.
            min_score: leave out labels with a lower confidence than this, 0 to 1.
            strict: refuse a damaged picture; otherwise what is there of it is classified, and the result's ``damaged``
                says so.

        Raises:
            InvalidPicture: the service can't read the picture, or a parameter is out of range.
            NoSuchModel: the service knows no such model, or no such version of it.
            Overloaded: the service is busy, and asks for a longer wait than ``timeout_s`` leaves time for.
            OverLimit: the same, because this key, or this address, has sent enough for now.
            Unauthorized: the service needs a key, or does not know this one.
            Forbidden: the key may not do this.
            DeadlineExceeded: the answer did not arrive in time.
            ServiceFault: the service failed.
            Unreachable: the connection could not be made, or broke, even after several tries.
            UnexpectedAnswer: something other than this service answered.
            OSError: the file can't be read.
        """
        return self._classify(picture, _parameters(model, min_score, strict=strict, top_k=top_k), time.sleep)

    def classify_many(
        self,
        pictures: Iterable[AnyPicture],
        *,
        at_once: int = 8,
        model: str | None = None,
        top_k: int | None = None,
        min_score: float | None = None,
        strict: bool = True,
    ) -> Generator[Outcome[AnyPicture], None, None]:
        """Send many pictures, several at a time, and yield the outcome of each in the order of the pictures.

        A picture that fails does not stop the others. If you close the generator early, the requests in progress, at
        most ``at_once``, finish in the background.

        Args:
            pictures: may be endless; at most ``2 * at_once`` are read ahead of the outcomes yielded.
            at_once: the most requests at a time, 1 or more.
            model, top_k, min_score, strict: as for ``classify``.

        Raises:
            ValueError: ``at_once`` is less than 1.
        """
        parameters = _parameters(model, min_score, strict=strict, top_k=top_k)
        return _each(
            pictures,
            at_once,
            lambda picture, pause: Outcome(picture, self._classify(picture, parameters, pause)),
            Outcome,
        )

    def detect(
        self,
        picture: Picture,
        *,
        model: str | None = None,
        min_score: float | None = None,
        max_detections: int | None = None,
        labels: Iterable[str] | None = None,
        strict: bool = True,
    ) -> Detection:
        """Send one picture and wait for the objects in it.

        Args:
            picture: as for ``classify``.
            model: which detector is to answer, as ``name`` or ``name@version``; by default the service's own.
            min_score: leave out objects with a lower confidence than this; the model sets the least, and the default.
            max_detections: the most objects to return, 1 or more, the surest ones; the model sets the limit.
            labels: leave out objects with other labels than these.
            strict: as for ``classify``.

        Raises:
            InvalidPicture: the service can't read the picture, or a parameter is not what the model has answers to.
            ClassifierError, OSError: as for ``classify``.
        """
        return self._detect(
            picture, _detection_parameters(model, min_score, max_detections, labels, strict=strict), time.sleep
        )

    def detect_many(
        self,
        pictures: Iterable[AnyPicture],
        *,
        at_once: int = 8,
        model: str | None = None,
        min_score: float | None = None,
        max_detections: int | None = None,
        labels: Iterable[str] | None = None,
        strict: bool = True,
    ) -> Generator[DetectionOutcome[AnyPicture], None, None]:
        """Look for objects in many pictures, as ``classify_many`` classifies them.

        Args:
            pictures, at_once: as for ``classify_many``.
            model, min_score, max_detections, labels, strict: as for ``detect``.

        Raises:
            ValueError: ``at_once`` is less than 1.
        """
        parameters = _detection_parameters(model, min_score, max_detections, labels, strict=strict)
        return _each(
            pictures,
            at_once,
            lambda picture, pause: DetectionOutcome(picture, self._detect(picture, parameters, pause)),
            DetectionOutcome,
        )

    def submit(
        self,
        picture: Picture,
        *,
        model: str | None = None,
        top_k: int | None = None,
        min_score: float | None = None,
        strict: bool = True,
        key: str | None = None,
    ) -> Job:
        """Submit one picture as a job, whose result can be fetched later: it survives restarts of everything.

        Args:
            picture: as for ``classify``.
            model, top_k, min_score, strict: as for ``classify``.
            key: 1 to 255 printable ASCII characters that name the job; not the client's key, which lets it in. The same
                one with the same picture and parameters returns the same job, even from another run of the program.
                Without one, each call creates a new job.

        Raises:
            InvalidPicture: as for ``classify``, or ``key`` was used before with another picture or other parameters.
            ClassifierError, OSError: as for ``classify``. No job was created then, unless only the answer got lost.
        """
        return self._submit(picture, _parameters(model, min_score, strict=strict, top_k=top_k), key)

    def submit_detection(
        self,
        picture: Picture,
        *,
        model: str,
        min_score: float | None = None,
        max_detections: int | None = None,
        labels: Iterable[str] | None = None,
        strict: bool = True,
        key: str | None = None,
    ) -> Job:
        """Submit one picture as a job of a detector: its ``detection`` has the objects.

        Args:
            picture: as for ``classify``.
            model: the detector; a job that names no model is a classifier's.
            min_score, max_detections, labels, strict: as for ``detect``.
            key: as for ``submit``.

        Raises:
            InvalidPicture: as for ``detect``, or ``key`` was used before with another picture or other parameters.
            ClassifierError, OSError: as for ``classify``. No job was created then, unless only the answer got lost.
        """
        parameters = _detection_parameters(model, min_score, max_detections, labels, strict=strict)
        return self._submit(picture, parameters, key)

    def _submit(self, picture: Picture, parameters: Mapping[str, str], key: str | None) -> Job:
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else key}  # so that a retry creates no second job
        form = _form("/v1/jobs", picture, parameters, headers=headers)
        match json_object(self._send(form, parameters.get("model"))):
            case {"id": str(job_id)}:
                return self.job(job_id)
            case other:
                raise unexpected_answer(other)

    def models(self) -> tuple[Model, ...]:
        """The models that the service has now, by name.

        Raises:
            ClassifierError: as for ``classify``.
        """
        request = Request("GET", "/v1/models")
        return models_of(json_object(self._service.send(request, time.monotonic() + self._timeout_s)))

    def job(self, job_id: str) -> Job:
        """The job with this ID, which may have been submitted by another program. Does not contact the service."""
        return Job(job_id, self._service, self._timeout_s)

    def jobs(self) -> Iterator[Job]:
        """The jobs of this client's key that the service still knows, the latest first; asked for page by page.

        Listing them fetches none. One that is created meanwhile may be missing, or move others to where they are listed
        twice.

        Raises:
            Forbidden: the service has no keys, so it can't tell whose jobs are whose.
            ClassifierError: as for ``classify``.
        """
        for number in itertools.count(1):
            request = Request("GET", f"/v1/jobs?page={number}")
            match json_object(self._service.send(request, time.monotonic() + self._timeout_s)):
                case {"jobs": list(listed), "more": bool(more)}:
                    yield from (self.job(str(job["id"])) for job in listed)
                    if not more:
                        return
                case other:
                    raise unexpected_answer(other)

    def _classify(self, picture: Picture, parameters: Mapping[str, str], pause: Pause) -> Result:
        return result_of(*self._answered("/infer", picture, parameters, pause))

    def _detect(self, picture: Picture, parameters: Mapping[str, str], pause: Pause) -> Detection:
        return detection_of(*self._answered("/detect", picture, parameters, pause))

    def _answered(
        self, route: str, picture: Picture, parameters: Mapping[str, str], pause: Pause
    ) -> tuple[dict[str, Any], str | None]:
        """What the service says in body and headers of one picture, and whether it knew that already."""
        response = self._send(_form(route, picture, parameters), parameters.get("model"), pause)
        described = dict(zip(("model", "digest"), response.headers.get("X-Model", "").rsplit("@", 1), strict=False))
        if version := response.headers.get("X-Model-Version"):  # services of version 0.1 have none
            described["version"] = version
        return {**json_object(response), **described}, response.headers.get("X-Cache")

    def _send(self, request: Request, model: str | None, pause: Pause = time.sleep) -> Answer:
        """As ``Service.send``; where a model was named, 404 means that one."""
        try:
            return self._service.send(request, time.monotonic() + self._timeout_s, pause=pause)
        except ClassifierError as error:
            if model is not None and error.status == HTTPStatus.NOT_FOUND:
                raise NoSuchModel(str(error), error.status) from error
            raise


def _each(
    pictures: Iterable[AnyPicture],
    at_once: int,
    answer: Callable[[AnyPicture, Pause], AnyOutcome],
    failed: Callable[[AnyPicture, ClassifierError | OSError], AnyOutcome],
) -> Generator[AnyOutcome, None, None]:
    """The outcome of each picture, in order; see ``Client.classify_many``."""
    abandoned = threading.Event()

    def pause(seconds: float) -> None:
        if abandoned.wait(seconds):
            raise CancelledError

    def outcome(picture: AnyPicture) -> AnyOutcome:
        try:
            return answer(picture, pause)
        except (ClassifierError, OSError) as error:
            return failed(picture, error)

    threads = ThreadPoolExecutor(at_once, thread_name_prefix="classify")
    begun: deque[Future[AnyOutcome]] = deque()
    try:
        for picture in pictures:
            begun.append(threads.submit(outcome, picture))
            if len(begun) >= BEGUN_PER_THREAD * at_once:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        abandoned.set()
        threads.shutdown(wait=False, cancel_futures=True)


def _parameters(
    model: str | None, min_score: float | None, *, strict: bool, top_k: int | None = None
) -> dict[str, str]:
    """Those that are not left to the service, as it reads them."""
    sent: dict[str, str] = {}
    if model is not None:
        sent["model"] = model
    if top_k is not None:
        sent["top_k"] = str(top_k)
    if min_score is not None:
        sent["min_score"] = str(min_score)
    if not strict:
        sent["strict"] = "false"
    return sent


def _detection_parameters(
    model: str | None, min_score: float | None, most: int | None, labels: Iterable[str] | None, *, strict: bool
) -> dict[str, str]:
    sent = _parameters(model, min_score, strict=strict)
    if most is not None:
        sent["max_detections"] = str(most)
    if labels is not None:
        sent["labels"] = labels if isinstance(labels, str) else ",".join(labels)
    return sent


def _form(
    route: str, picture: Picture, parameters: Mapping[str, str], *, headers: Mapping[str, str] | None = None
) -> Request:
    fields: dict[str, Any] = {"file": ("picture", _read(picture), "application/octet-stream"), **parameters}
    body, content_type = urllib3.encode_multipart_formdata(fields)
    return Request("POST", route, {"Content-Type": content_type, **(headers or {})}, body)


def _read(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    return picture.read()
