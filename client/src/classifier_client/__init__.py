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
from collections import deque
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, Self, TypeVar

import urllib3
from urllib3 import exceptions as http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__version__ = "0.1.0"
__all__ = [
    "ClassifierError",
    "Client",
    "DeadlineExceeded",
    "InvalidPicture",
    "Outcome",
    "Overloaded",
    "Picture",
    "Prediction",
    "Result",
    "ServiceFault",
    "UnexpectedAnswer",
    "Unreachable",
]

Picture = str | os.PathLike[str] | bytes | IO[bytes]
"""A file's path, the bytes of an encoded picture, or an open binary file."""

P = TypeVar("P", bound=Picture)

CONNECT_WITHIN_S = 10.0  # also what the service may take to read the next piece of a picture
PIECE_BYTES = 256 * 1024
KEPT_CONNECTIONS = 64
RECONNECT_PAUSES_S = (0.25, 0.5, 1.0, 2.0)  # a service that restarts is back by then; a wrong address never is
UNTOLD_RETRY_AFTER_S = 1.0
AHEAD = 2  # so many times at_once are begun before the first is taken, so that one slow picture stops no other


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
        inference_time_ms: what the model took, in milliseconds.
        model: the model's name.
        digest: identifies its weights, labels and preprocessing: the first 12 hex digits of the full digest.
        cache: "miss" where a worker computed this, "hit" where the answer was known, "joined" where the same picture
            was just being computed for another request.
    """

    predictions: tuple[Prediction, ...]
    inference_time_ms: float
    model: str
    digest: str
    cache: str

    @property
    def best(self) -> Prediction:
        """The likeliest label.

        Raises:
            IndexError: ``min_score`` left none.
        """
        return self.predictions[0]


class ClassifierError(Exception):
    """No answer. The message is a sentence for people; ``status`` is the HTTP status, None where none came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InvalidPicture(ClassifierError):
    """The picture, or a parameter beside it, is at fault: sending it again won't help (400, 413, 415, 422)."""


class Overloaded(ClassifierError):
    """The service can't take this picture now, nor before this client's time is up (503, 429).

    ``retry_after_s`` is how long it asked to wait, in seconds, None where it did not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ClassifierError):
    """No answer in time: by the service's own deadline (504), or by this client's ``timeout_s``."""


class ServiceFault(ClassifierError):
    """The service failed, not the picture (other 5xx)."""


class Unreachable(ClassifierError):
    """No connection, or none that lasted until the answer."""


class UnexpectedAnswer(ClassifierError):
    """Something answered, but not as this service does. Is the address right, and what stands before the service?"""


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
        parts = urllib3.util.parse_url(url)
        if parts.scheme not in {"http", "https"} or not parts.host:
            raise ValueError(f"not an http or https address: {url!r}")
        self._url = url.rstrip("/")
        self._prefix = (parts.path or "").rstrip("/")
        self._timeout_s = timeout_s
        self._connections = urllib3.connection_from_url(url, maxsize=KEPT_CONNECTIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connections.close()

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
    ) -> Iterator[Outcome[P]]:
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

    def _classify(
        self, picture: Picture, top_k: int | None, min_score: float | None, pause: Callable[[float], None]
    ) -> Result:
        fields: dict[str, Any] = {"file": ("picture", _read(picture), "application/octet-stream")}
        if top_k is not None:
            fields["top_k"] = str(top_k)
        if min_score is not None:
            fields["min_score"] = str(min_score)
        body, content_type = urllib3.encode_multipart_formdata(fields)
        return _result(self._answer("/infer", body, content_type, pause))

    def _answer(
        self, route: str, body: bytes, content_type: str, pause: Callable[[float], None]
    ) -> urllib3.BaseHTTPResponse:
        """Ask until there is an answer, or an error that another try would not change, or no time for another try."""
        deadline = time.monotonic() + self._timeout_s
        reconnect_pauses_s = iter(RECONNECT_PAUSES_S)
        while True:
            try:
                return self._ask(route, body, content_type, deadline)
            except Overloaded as error:
                trouble: ClassifierError = error
                pause_s = UNTOLD_RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
            except Unreachable as error:
                trouble = error
                pause_s = next(reconnect_pauses_s, math.inf)
            pause_s += random.uniform(0.0, 0.2) * (1 + min(pause_s, self._timeout_s))  # noqa: S311  # spreads a crowd
            if time.monotonic() + pause_s >= deadline:
                raise trouble
            pause(pause_s)

    def _ask(self, route: str, body: bytes, content_type: str, deadline: float) -> urllib3.BaseHTTPResponse:
        """Ask once.

        Raises:
            ClassifierError: anything but a 200.
        """
        left_s = max(0.001, deadline - time.monotonic())
        try:
            response = self._connections.urlopen(
                "POST",
                self._prefix + route,
                body=self._pieces(body, deadline),
                headers={
                    "Accept": "application/json",
                    "Content-Type": content_type,
                    "Content-Length": str(len(body)),
                    "User-Agent": f"image-classifier-client/{__version__}",
                },
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=left_s, connect=CONNECT_WITHIN_S),
            )
        except http.ClosedPoolError as error:
            raise RuntimeError("this client is closed") from error
        except http.ReadTimeoutError as error:
            raise self._too_late() from error
        except http.HTTPError as error:
            raise Unreachable(f"{self._url} can't be reached: {error}") from error
        if response.status != OK:
            raise _error(response)
        return response

    def _pieces(self, body: bytes, deadline: float) -> Iterator[bytes]:
        """A socket's time limit holds for all that it is given at a time: too short for a whole photo on a slow line.

        Raises:
            DeadlineExceeded: the line is slower than ``timeout_s`` allows.
        """
        for start in range(0, len(body), PIECE_BYTES):
            if time.monotonic() >= deadline:
                raise self._too_late()
            yield body[start : start + PIECE_BYTES]

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self._url} gave no answer within {self._timeout_s:g} seconds")


OK = 200
ERRORS: dict[int, type[ClassifierError]] = {
    400: InvalidPicture,
    413: InvalidPicture,
    415: InvalidPicture,
    422: InvalidPicture,
    429: Overloaded,
    503: Overloaded,
    504: DeadlineExceeded,
}
FAULTS = range(500, 600)


def _read(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    return picture.read()


def _result(response: urllib3.BaseHTTPResponse) -> Result:
    """Read the answer of ``/infer``.

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        body = response.json()
        model, _, digest = response.headers["X-Model"].rpartition("@")
        return Result(
            tuple(Prediction(str(entry["label"]), float(entry["confidence"])) for entry in body["predictions"]),
            float(body["inference_time_ms"]),
            model,
            digest,
            response.headers["X-Cache"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnexpectedAnswer("the answer is not one of this service", response.status) from error


def _error(response: urllib3.BaseHTTPResponse) -> ClassifierError:
    status = response.status
    fallback = ServiceFault if status in FAULTS else UnexpectedAnswer
    kind = ERRORS.get(status, fallback)
    if kind is Overloaded:
        return Overloaded(_detail(response), status, _retry_after_s(response))
    return kind(_detail(response), status)


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
