"""HTTP with one service: connections, deadlines and retries, and how its answers are read."""

from __future__ import annotations

import json
import math
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.exceptions import ClosedPoolError, HTTPError, ReadTimeoutError

from ._key import authorization
from ._models import (
    Box,
    ClassifierError,
    DeadlineExceeded,
    DetectedObject,
    Detection,
    Forbidden,
    InvalidPicture,
    Model,
    OverLimit,
    Overloaded,
    Prediction,
    Result,
    ServiceFault,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CONNECT_TIMEOUT_S = 10.0  # also for the service to read the next chunk of a picture
CHUNK_BYTES = 256 * 1024
KEPT_CONNECTIONS = 64  # any beyond these are closed after use
RECONNECT_PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # a restarting service is back by then; a wrong address never will be
DEFAULT_RETRY_AFTER_S = 1.0
DIGEST_DIGITS = 12

HIDDEN = b"***"

ERROR_BY_STATUS: dict[int, type[ClassifierError]] = {
    HTTPStatus.BAD_REQUEST: InvalidPicture,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidPicture,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidPicture,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidPicture,
    HTTPStatus.GATEWAY_TIMEOUT: DeadlineExceeded,
}
BUSY: dict[int, type[Overloaded]] = {
    HTTPStatus.TOO_MANY_REQUESTS: OverLimit,
    HTTPStatus.SERVICE_UNAVAILABLE: Overloaded,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; ``route`` begins with a slash and is relative to the service's address."""

    method: str
    route: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; ``headers`` are looked up in any case, and ``body`` never holds the key, whoever wrote it."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Service:
    """The connections to one service: takes a request, returns the successful answer."""

    def __init__(self, url: str, key: str | None = None, *, allow_plain_http: bool = False) -> None:
        """Check the address and the key; the first request opens the first connection.

        Args:
            url, key, allow_plain_http: as for ``Client``.

        Raises:
            ValueError: ``url`` is not an http or https address, or the key can't be sent there.
        """
        parts = urllib3.util.parse_url(url)
        if parts.auth is not None:
            raise ValueError("the address holds a user name or a password: name the key in key=, not in the address")
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise ValueError(f"not an http or https address: {url!r}")
        self._authorization = authorization(key, parts.scheme, parts.host, allow_plain_http=allow_plain_http)
        self._url = url.rstrip("/")
        self._prefix = (parts.path or "").rstrip("/")
        self._connections = urllib3.connection_from_url(url, maxsize=KEPT_CONNECTIONS)

    def close(self) -> None:
        self._connections.close()

    def send(
        self,
        request: Request,
        deadline: float,
        *,
        pause: Callable[[float], None] = time.sleep,
        reconnect_pauses_s: Iterable[float] = RECONNECT_PAUSES_S,
    ) -> Answer:
        """Send the request, again if need be, until it succeeds, fails for good, or has no time for another try.

        Sending twice does no harm: a picture's answer stays the same, and a job has its idempotency key.

        Args:
            request: what to send.
            deadline: when to give up, on the clock of ``time.monotonic``, in seconds.
            pause: called between two tries with the seconds to wait; whatever it raises ends the request.
            reconnect_pauses_s: how long to wait after each failed connection, in seconds; when they run out, give up.

        Returns:
            The answer, with status 200 or 202.

        Raises:
            ClassifierError: as for ``Client.classify``.
            RuntimeError: ``close`` has been called.
        """
        reconnects = iter(reconnect_pauses_s)
        while True:
            try:
                return self._send_once(request, deadline)
            except Overloaded as error:
                trouble: ClassifierError = error
                pause_s = error.retry_after_s
            except Unreachable as error:
                trouble = error
                pause_s = next(reconnects, math.inf)
            left_s = deadline - time.monotonic()
            pause_s = jittered(pause_s, left_s)
            if pause_s >= left_s:
                raise trouble
            pause(pause_s)

    def _send_once(self, request: Request, deadline: float) -> Answer:
        """Send the request a single time.

        Raises:
            ClassifierError: the status is neither 200 nor 202, or there was no answer in time.
            RuntimeError: ``close`` has been called.
        """
        left_s = max(0.001, deadline - time.monotonic())
        headers = {"Accept": "application/json", "User-Agent": f"image-classifier-client/{__version__}"}
        if request.body:
            headers["Content-Length"] = str(len(request.body))
        if self._authorization is not None:
            headers["Authorization"] = self._authorization
        try:
            response = self._connections.urlopen(
                request.method,
                self._prefix + request.route,
                body=self._chunks(request.body, deadline) if request.body else None,
                headers=headers | dict(request.headers),
                retries=False,
                redirect=False,  # another host has no business with the picture, nor with the key
                timeout=urllib3.Timeout(total=left_s, connect=CONNECT_TIMEOUT_S),
            )
        except ClosedPoolError as error:
            raise RuntimeError("this client is closed") from error
        except ReadTimeoutError as error:
            raise self._too_late() from error
        except HTTPError as error:
            raise Unreachable(f"{self._url} can't be reached: {error}") from error
        answer = Answer(response.status, response.reason or "", response.headers, self._without_key(response.data))
        if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise _error(answer)
        return answer

    def _without_key(self, body: bytes) -> bytes:
        """For errors that quote what answered: something at a wrong address may answer with what it was sent."""
        if self._authorization is None:
            return body
        return body.replace(self._authorization.removeprefix("Bearer ").encode(), HIDDEN)

    def _chunks(self, body: bytes, deadline: float) -> Iterator[bytes]:
        """Cut the body up, because a socket's timeout covers each write: too short for a whole photo on a slow line.

        Raises:
            DeadlineExceeded: the line is too slow for the deadline.
        """
        for start in range(0, len(body), CHUNK_BYTES):
            if time.monotonic() >= deadline:
                raise self._too_late()
            yield body[start : start + CHUNK_BYTES]

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._url} gave no answer in time")


def json_object(answer: Answer) -> dict[str, Any]:
    """The answer's body.

    Raises:
        UnexpectedAnswer: it is not a JSON object.
    """
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unexpected_answer(answer.body)
    return body


def result_of(body: Any, cache: str | None = None) -> Result:
    """The result in an answer of ``/infer``, or in that of a finished job.

    Raises:
        UnexpectedAnswer: ``body`` holds no result.
    """
    try:
        return Result(
            predictions=tuple(
                Prediction(str(entry["label"]), float(entry["confidence"])) for entry in body["predictions"]
            ),
            inference_time_ms=float(body["inference_time_ms"]),
            model=str(body["model"]),
            digest=str(body["digest"])[:DIGEST_DIGITS],
            cache=cache,
            damaged=bool(body.get("damaged", False)),
            first_frame_only=bool(body.get("first_frame_only", False)),
            version=str(body.get("version", "1")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer(body) from error


def detection_of(body: Any, cache: str | None = None) -> Detection:
    """The objects in an answer of ``/detect``, or in that of a finished job.

    Raises:
        UnexpectedAnswer: ``body`` holds none.
    """
    try:
        return Detection(
            objects=tuple(_object(entry) for entry in body["detections"]),
            width=int(body["image"]["width"]),
            height=int(body["image"]["height"]),
            inference_time_ms=float(body["inference_time_ms"]),
            model=str(body["model"]),
            digest=str(body["digest"])[:DIGEST_DIGITS],
            cache=cache,
            damaged=bool(body.get("damaged", False)),
            first_frame_only=bool(body.get("first_frame_only", False)),
            version=str(body.get("version", "1")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer(body) from error


def _object(entry: Any) -> DetectedObject:
    sides = (float(entry["box"][side]) for side in ("x", "y", "width", "height"))
    return DetectedObject(str(entry["label"]), int(entry["class_id"]), float(entry["confidence"]), Box(*sides))


def models_of(body: Any) -> tuple[Model, ...]:
    """Those in an answer of ``/v1/models``.

    Raises:
        UnexpectedAnswer: ``body`` is none.
    """
    try:
        return tuple(_model(entry) for entry in body["models"])
    except (KeyError, TypeError, ValueError) as error:
        raise unexpected_answer(body) from error


def _model(entry: Any) -> Model:
    current: Any = next((one for one in entry["versions"] if one["version"] == entry["current"]), {})
    labels, licence, task = current.get("labels"), current.get("licence"), current.get("task")
    return Model(
        name=str(entry["name"]),
        version=str(entry["current"]),
        default=bool(entry["default"]),
        versions=tuple(str(one["version"]) for one in entry["versions"]),
        workers=int(current.get("workers", 0)),
        labels=int(labels) if labels is not None else None,
        licence=str(licence) if licence is not None else None,
        task=str(task) if task is not None else None,
    )


def unexpected_answer(answer: Any) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"not an answer from an image classifier: {answer!r:.200}")


def retry_after_s(answer: Answer) -> float | None:
    """The header ``Retry-After``, a number of seconds or a date (RFC 9110), as seconds from now, 0 or more.

    Returns:
        None if the header is missing or unreadable.
    """
    header = answer.headers.get("Retry-After", "")
    if header.isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def jittered(pause_s: float | None, left_s: float) -> float:
    """Stretch a pause at random, so that clients refused at the same moment don't all come back at the same moment.

    Args:
        pause_s: the pause that was asked for, in seconds; None means ``DEFAULT_RETRY_AFTER_S``.
        left_s: the time left, in seconds; it keeps the random part finite when the pause is not.
    """
    if pause_s is None:
        pause_s = DEFAULT_RETRY_AFTER_S
    return pause_s + random.uniform(0.0, 0.2) * (1 + min(pause_s, max(left_s, 0.0)))  # noqa: S311  # no secret


def _error(answer: Answer) -> ClassifierError:
    status, detail = answer.status, _detail(answer)
    if status in BUSY:
        return BUSY[status](detail, status, retry_after_s(answer))
    others = ServiceFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else UnexpectedAnswer
    return ERROR_BY_STATUS.get(status, others)(detail, status)


def _detail(answer: Answer) -> str:
    """The service's own explanation (RFC 9457), or the bare status if something else answered."""
    try:
        return str(json.loads(answer.body)["detail"])
    except (KeyError, TypeError, ValueError):
        return f"HTTP status {answer.status} {answer.reason}".rstrip()
