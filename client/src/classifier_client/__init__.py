"""The Python client of the image classifier: pictures in, typed labels out.

    from classifier_client import Client

    with Client("http://127.0.0.1:8000") as client:
        print(client.classify("cat.jpg").best.label)

It waits as long as the service asks for when that is busy, and tries again; every error is a ``ClassifierError``.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
import uuid
from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import chain, repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar
from urllib.parse import quote

import urllib3
from urllib3.exceptions import ClosedPoolError, HTTPError, ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

__version__ = "0.1.0"
__all__ = [
    "ClassifierError",
    "Client",
    "DeadlineExceeded",
    "InvalidPicture",
    "NoSuchTicket",
    "Outcome",
    "Overloaded",
    "Picture",
    "Prediction",
    "Result",
    "ServiceFault",
    "Ticket",
    "TicketCancelled",
    "TicketState",
    "UnexpectedAnswer",
    "Unreachable",
]

Picture = str | os.PathLike[str] | bytes | IO[bytes]
"""A file's path, the bytes of an encoded picture, or an open binary file."""

TicketState = Literal["queued", "running", "done", "failed", "cancelled"]

P = TypeVar("P", bound=Picture)

CONNECT_WITHIN_S = 10.0  # also what the service may take to read the next piece of a picture
ASK_WITHIN_S = 5.0  # for a question after a ticket, however little time its asker has left
PIECE_BYTES = 256 * 1024
KEPT_CONNECTIONS = 64  # where more are needed at a time, the others are closed after use
RECONNECT_PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # a service that restarts is back by then; a wrong address never is
UNTOLD_RETRY_AFTER_S = 1.0
AHEAD = 2  # so many times at_once are begun before the first is taken, so that one slow picture stops no other
DIGEST_DIGITS = 12


# What comes back


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label of the model's, such as ``Egyptian_cat``; ``confidence`` is a probability, 0 to 1."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Result:
    """What the service sees in one picture.

    Attributes:
        predictions: best first; none where ``min_score`` left none.
        inference_time_ms: what a worker spent on the answer, for this request or an earlier one, in milliseconds.
        model: the model's name.
        digest: identifies its weights, labels and preprocessing: the first 12 hex digits of the full digest.
        cache: "miss" where a worker computed this, "hit" where the answer was known, "joined" where the same picture
            was just being computed for another request; None in a ticket's result, which does not tell.
    """

    predictions: tuple[Prediction, ...]
    inference_time_ms: float
    model: str
    digest: str
    cache: str | None

    @property
    def best(self) -> Prediction:
        """The likeliest label.

        Raises:
            IndexError: ``min_score`` left none.
        """
        return self.predictions[0]


class ClassifierError(Exception):
    """No result. The message is a sentence for people; ``status`` is the HTTP status, where one is the reason."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InvalidPicture(ClassifierError):
    """The picture, or what was asked beside it, is at fault: sending it again won't help (400, 413, 415, 422)."""


class Overloaded(ClassifierError):
    """The service can't take this picture now, nor before this client's time is up (503, 429).

    ``retry_after_s`` is how long it asked to wait, in seconds, None where it did not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ClassifierError):
    """No result in time: by the service's own deadline (504), or by the caller's ``timeout_s``."""


class ServiceFault(ClassifierError):
    """The service failed, not the picture (other 5xx)."""


class Unreachable(ClassifierError):
    """No connection, or none that lasted until the answer."""


class UnexpectedAnswer(ClassifierError):
    """Something answered, but not as this service does. Is the address right, and what stands before the service?"""


class NoSuchTicket(ClassifierError):
    """The service knows no such ticket, or no more."""


class TicketCancelled(ClassifierError):
    """Somebody cancelled the ticket."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[P]):
    """What became of one picture of many; ``answer`` is its result, or why it has none."""

    picture: P
    answer: Result | ClassifierError | OSError

    @property
    def error(self) -> ClassifierError | OSError | None:
        """Why there is no result; an OSError where the file could not be read."""
        return None if isinstance(self.answer, Result) else self.answer

    @property
    def result(self) -> Result:
        """The result.

        Raises:
            ClassifierError, OSError: ``error``, where there is one.
        """
        if isinstance(self.answer, Result):
            return self.answer
        raise self.answer


# The client


class Client:
    """Speaks to one service. Safe to use from many threads; keeps connections open until ``close``."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        """Connect to nothing yet.

        Args:
            url: where the service is, such as ``http://127.0.0.1:8000``; a path in it comes before every route.
            timeout_s: the most that one picture may take, every try and every wait between tries together.

        Raises:
            ValueError: ``url`` is no http or https address.
        """
        self._service = _Service(url)
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._service.close()

    def classify(self, picture: Picture, *, top_k: int | None = None, min_score: float | None = None) -> Result:
        """Send one picture and wait for its labels.

        Args:
            picture: an open file is read from where it stands and left open.
            top_k: how many labels at most; the service has a default and a limit.
            min_score: leave out labels with less confidence than this, 0 to 1.

        Raises:
            InvalidPicture: the service can't read the picture, or does not take such a parameter.
            Overloaded: the service is busy, and asks to wait for longer than is left of ``timeout_s``.
            DeadlineExceeded: the answer did not come in time.
            ServiceFault, Unreachable, UnexpectedAnswer: as the name says.
            OSError: the file can't be read.
        """
        return self._classify(picture, top_k, min_score, time.sleep)

    def classify_many(
        self,
        pictures: Iterable[P],
        *,
        at_once: int = 8,
        top_k: int | None = None,
        min_score: float | None = None,
    ) -> Generator[Outcome[P], None, None]:
        """Send many pictures, up to ``at_once`` at a time, and give what became of each, in their order.

        One that fails stops no other. ``pictures`` may be endless: it is read only a little ahead. Whoever stops
        early leaves at most ``at_once`` requests to end by themselves.
        """
        abandoned = threading.Event()

        def pause(seconds: float) -> None:
            if abandoned.wait(seconds):
                raise CancelledError

        def outcome(picture: P) -> Outcome[P]:
            try:
                return Outcome(picture, self._classify(picture, top_k, min_score, pause))
            except (ClassifierError, OSError) as error:
                return Outcome(picture, error)

        threads = ThreadPoolExecutor(at_once, thread_name_prefix="classify")
        begun: deque[Future[Outcome[P]]] = deque()
        try:
            for picture in pictures:
                begun.append(threads.submit(outcome, picture))
                if len(begun) >= AHEAD * at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            abandoned.set()
            threads.shutdown(wait=False, cancel_futures=True)

    def submit(
        self, picture: Picture, *, top_k: int | None = None, min_score: float | None = None, key: str | None = None
    ) -> Ticket:
        """Leave one picture with the service and come back for its result: it outlives a restart of everything.

        Args:
            picture, top_k, min_score: as ``classify``.
            key: the same key with the same picture brings the same ticket, in another run of the program too; 1 to
                255 printable ASCII characters. Without one each call brings a ticket of its own.

        Raises:
            ClassifierError, OSError: as ``classify``; nothing was left then, unless the answer was lost on the way.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex if key is None else key}  # so that a retry brings no second one
        form = _form("/v1/jobs", picture, top_k, min_score, headers)
        match _json(self._service.answer(form, time.monotonic() + self._timeout_s)):
            case {"id": str(ticket_id)}:
                return self.ticket(ticket_id)
            case other:
                raise _unexpected(other)

    def ticket(self, ticket_id: str) -> Ticket:
        """A ticket that was left before, by its ``id``. The service is not asked yet."""
        return Ticket(ticket_id, self._service, self._timeout_s)

    def _classify(
        self, picture: Picture, top_k: int | None, min_score: float | None, pause: Callable[[float], None]
    ) -> Result:
        form = _form("/infer", picture, top_k, min_score)
        response = self._service.answer(form, time.monotonic() + self._timeout_s, pause)
        described = zip(("model", "digest"), response.headers.get("X-Model", "").rsplit("@", 1), strict=False)
        return _result({**_json(response), **dict(described)}, response.headers.get("X-Cache"))


@dataclass(frozen=True, slots=True)
class Ticket:
    """A picture left with the service. Whoever knows ``id`` may ask for its result, and cancel it."""

    id: str
    _service: _Service = field(repr=False, compare=False)
    _timeout_s: float = field(repr=False, compare=False)

    def state(self) -> TicketState:
        """How far it is.

        Raises:
            NoSuchTicket: it has expired.
            ClassifierError: as ``Client.classify``.
        """
        match _json(self._ask("GET", self._timeout_s)):
            case {"state": "queued" | "running" | "done" | "failed" | "cancelled" as state}:
                known: TicketState = state
                return known
            case other:
                raise _unexpected(other)

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the result, through restarts of the service too.

        Args:
            timeout_s: the most to wait, in seconds; without it, the client's ``timeout_s``. 0 asks once.

        Raises:
            InvalidPicture: the service can't read the picture.
            ServiceFault: the service gave the picture up.
            TicketCancelled, NoSuchTicket: as the name says.
            DeadlineExceeded: it is not done yet; ask again later.
            ClassifierError: as ``Client.classify``.
        """
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while True:
            left_s = max(deadline - time.monotonic(), ASK_WITHIN_S)
            response = self._ask("GET", left_s, chain(RECONNECT_PAUSES_S, repeat(RECONNECT_PAUSES_S[-1])))
            match _json(response):
                case {"state": "done", "result": result}:
                    return _result(result)
                case {"state": "failed", "error": {"kind": "undecodable" | "too_many_pixels", "detail": detail}}:
                    raise InvalidPicture(str(detail))
                case {"state": "failed", "error": {"detail": detail}}:
                    raise ServiceFault(str(detail))
                case {"state": "cancelled"}:
                    raise TicketCancelled(f"ticket {self.id} was cancelled")
                case {"state": "queued" | "running" as state}:
                    pass
                case other:
                    raise _unexpected(other)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise DeadlineExceeded(f"ticket {self.id} is still {state}")
            time.sleep(min(left_s, _spread(_retry_after_s(response), left_s)))

    def cancel(self) -> bool:
        """Give the ticket up; returns whether it is cancelled, False where it had ended before.

        Raises:
            NoSuchTicket: it has expired.
            ClassifierError: as ``Client.classify``.
        """
        try:
            self._ask("DELETE", self._timeout_s)
        except UnexpectedAnswer as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def _ask(
        self, method: str, timeout_s: float, reconnect_pauses_s: Iterable[float] = RECONNECT_PAUSES_S
    ) -> urllib3.BaseHTTPResponse:
        request = _Request(method, f"/v1/jobs/{quote(self.id, safe='')}")
        try:
            return self._service.answer(request, time.monotonic() + timeout_s, time.sleep, reconnect_pauses_s)
        except UnexpectedAnswer as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NoSuchTicket(str(error), error.status) from error
            raise


# HTTP


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    route: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Service:
    """One service's connections: a request in, its good answer out."""

    def __init__(self, url: str) -> None:
        parts = urllib3.util.parse_url(url)
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise ValueError(f"not an http or https address: {url!r}")
        self._url = url.rstrip("/")
        self._prefix = (parts.path or "").rstrip("/")
        self._connections = urllib3.connection_from_url(url, maxsize=KEPT_CONNECTIONS)

    def close(self) -> None:
        self._connections.close()

    def answer(
        self,
        request: _Request,
        deadline: float,
        pause: Callable[[float], None] = time.sleep,
        reconnect_pauses_s: Iterable[float] = RECONNECT_PAUSES_S,
    ) -> urllib3.BaseHTTPResponse:
        """Ask until there is an answer, or an error that another try would not change, or no time for another try.

        Sending twice does no harm: a picture's answer is the same, and a ticket has its key.

        Raises:
            ClassifierError: as ``Client.classify``.
        """
        reconnects = iter(reconnect_pauses_s)
        while True:
            try:
                return self._ask(request, deadline)
            except Overloaded as error:
                trouble: ClassifierError = error
                pause_s = error.retry_after_s
            except Unreachable as error:
                trouble = error
                pause_s = next(reconnects, math.inf)
            left_s = deadline - time.monotonic()
            pause_s = _spread(pause_s, left_s)
            if pause_s >= left_s:
                raise trouble
            pause(pause_s)

    def _ask(self, request: _Request, deadline: float) -> urllib3.BaseHTTPResponse:
        """Ask once.

        Raises:
            ClassifierError: it came to anything but 200 or 202.
        """
        left_s = max(0.001, deadline - time.monotonic())
        headers = {"Accept": "application/json", "User-Agent": f"image-classifier-client/{__version__}"}
        if request.body:
            headers["Content-Length"] = str(len(request.body))
        try:
            response = self._connections.urlopen(
                request.method,
                self._prefix + request.route,
                body=self._pieces(request.body, deadline) if request.body else None,
                headers=headers | dict(request.headers),
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=left_s, connect=CONNECT_WITHIN_S),
            )
        except ClosedPoolError as error:
            raise RuntimeError("this client is closed") from error
        except ReadTimeoutError as error:
            raise self._too_late() from error
        except HTTPError as error:
            raise Unreachable(f"{self._url} can't be reached: {error}") from error
        if response.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise _error(response)
        return response

    def _pieces(self, body: bytes, deadline: float) -> Iterator[bytes]:
        """A socket's time limit holds for all that it is given at a time: too short for a whole photo on a slow line.

        Raises:
            DeadlineExceeded: the line is slower than the deadline allows.
        """
        for start in range(0, len(body), PIECE_BYTES):
            if time.monotonic() >= deadline:
                raise self._too_late()
            yield body[start : start + PIECE_BYTES]

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._url} gave no answer in time")


_ERRORS: dict[int, type[ClassifierError]] = {
    HTTPStatus.BAD_REQUEST: InvalidPicture,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: InvalidPicture,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: InvalidPicture,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidPicture,
    HTTPStatus.GATEWAY_TIMEOUT: DeadlineExceeded,
}
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def _form(
    route: str,
    picture: Picture,
    top_k: int | None,
    min_score: float | None,
    headers: Mapping[str, str] | None = None,
) -> _Request:
    fields: dict[str, Any] = {"file": ("picture", _read(picture), "application/octet-stream")}
    if top_k is not None:
        fields["top_k"] = str(top_k)
    if min_score is not None:
        fields["min_score"] = str(min_score)
    body, content_type = urllib3.encode_multipart_formdata(fields)
    return _Request("POST", route, {"Content-Type": content_type, **(headers or {})}, body)


def _read(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    return picture.read()


def _json(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    """The answer's body.

    Raises:
        UnexpectedAnswer: it is no JSON object.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _unexpected(response.data)
    return body


def _result(body: Any, cache: str | None = None) -> Result:
    """Read what ``/infer`` and a ticket that is done say.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    try:
        return Result(
            tuple(Prediction(str(entry["label"]), float(entry["confidence"])) for entry in body["predictions"]),
            float(body["inference_time_ms"]),
            str(body["model"]),
            str(body["digest"])[:DIGEST_DIGITS],
            cache,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected(body) from error


def _unexpected(answer: Any) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"the answer is not one of this service: {answer!r:.200}")


def _error(response: urllib3.BaseHTTPResponse) -> ClassifierError:
    status = response.status
    detail = _detail(response)
    if status in _BUSY:
        return Overloaded(detail, status, _retry_after_s(response))
    others = ServiceFault if status >= HTTPStatus.INTERNAL_SERVER_ERROR else UnexpectedAnswer
    return _ERRORS.get(status, others)(detail, status)


def _detail(response: urllib3.BaseHTTPResponse) -> str:
    """The service's own sentence (RFC 9457), or the status where something else answered."""
    try:
        return str(response.json()["detail"])
    except (KeyError, TypeError, ValueError):
        return f"HTTP status {response.status} {response.reason or ''}".rstrip()


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """The header ``Retry-After``, seconds or a date (RFC 9110), as seconds from now."""
    told = response.headers.get("Retry-After", "")
    if told.isdecimal():
        return float(told)
    try:
        when = parsedate_to_datetime(told)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _spread(told_s: float | None, left_s: float) -> float:
    """A little longer than was told, each time another: a crowd that was refused together comes back apart."""
    pause_s = UNTOLD_RETRY_AFTER_S if told_s is None else told_s
    return pause_s + random.uniform(0.0, 0.2) * (1 + min(pause_s, max(left_s, 0.0)))  # noqa: S311  # no secret
