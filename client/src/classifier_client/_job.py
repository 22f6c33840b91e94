"""The handle of one job at ``/v1/jobs``: ask for its state or its result, or cancel it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ._http import (
    RECONNECT_PAUSES_S,
    Answer,
    Request,
    Service,
    detection_of,
    jittered,
    json_object,
    result_of,
    retry_after_s,
    unexpected_answer,
)
from ._models import (
    DeadlineExceeded,
    Detection,
    InvalidPicture,
    JobCancelled,
    JobState,
    NoSuchJob,
    Result,
    ServiceFault,
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_TIMEOUT_S = 5.0  # for one request, even if its caller has less time left


@dataclass(frozen=True, slots=True)
class Job:
    """A picture that was submitted and is answered later. Get one from ``Client.submit...`` or ``Client.job``.

    Anyone who knows the ID can ask for the result and cancel the job; of a service that needs keys, only with a key of
    the same name.

    Attributes:
        id: names the job to the service, from any program, until the job expires.
    """

    id: str
    _service: Service = field(repr=False, compare=False)
    _timeout_s: float = field(repr=False, compare=False)

    def state(self) -> JobState:
        """Ask how far the job has got.

        Raises:
            NoSuchJob: there never was such a job, or it has expired.
            ClassifierError: as for ``Client.classify``.
        """
        match json_object(self._ask("GET", self._timeout_s)):
            case {"state": "queued" | "running" | "done" | "failed" | "cancelled" as state}:
                known: JobState = state
                return known
            case other:
                raise unexpected_answer(other)

    def result(self, timeout_s: float | None = None) -> Result:
        """Wait for the labels, even while the service restarts.

        Args:
            timeout_s: the longest to wait, in seconds; None means the client's ``timeout_s``, and 0 asks only once.
                Each request to the service gets at least 5 seconds to finish, even if fewer are left.

        Raises:
            InvalidPicture: the service can't read the picture.
            ServiceFault: the service gave up on the picture.
            JobCancelled: the job was cancelled.
            NoSuchJob: there never was such a job, or it has expired.
            DeadlineExceeded: the job is not done yet; you can ask again later.
            UnexpectedAnswer: the job is a detector's, which has ``detection``.
            ClassifierError: as for ``Client.classify``.
        """
        return result_of(self._ended(timeout_s))

    def detection(self, timeout_s: float | None = None) -> Detection:
        """Wait for the objects that a detector finds, as ``result`` waits for labels.

        Raises:
            UnexpectedAnswer: the job is a classifier's, which has ``result``.
            ClassifierError: as for ``result``.
        """
        return detection_of(self._ended(timeout_s))

    def _ended(self, timeout_s: float | None) -> Any:
        """Wait for the end, and return what the service says of the result."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while True:
            left_s = max(deadline - time.monotonic(), SHORTEST_TIMEOUT_S)
            answer = self._ask("GET", left_s, chain(RECONNECT_PAUSES_S, repeat(RECONNECT_PAUSES_S[-1])))
            match json_object(answer):
                case {"state": "done", "result": result}:
                    return result
                case {"state": "failed", "error": {"kind": "undecodable" | "too_many_pixels", "detail": detail}}:
                    raise InvalidPicture(str(detail))
                case {"state": "failed", "error": {"detail": detail}}:
                    raise ServiceFault(str(detail))
                case {"state": "cancelled"}:
                    raise JobCancelled(f"job {self.id} was cancelled")
                case {"state": "queued" | "running" as state}:
                    pass
                case other:
                    raise unexpected_answer(other)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise DeadlineExceeded(f"job {self.id} is still {state}")
            time.sleep(min(left_s, jittered(retry_after_s(answer), left_s)))

    def cancel(self) -> bool:
        """Cancel the job, unless it is done or has failed.

        Returns:
            True if the job is cancelled, now or before; False if it had ended already.

        Raises:
            NoSuchJob: there never was such a job, or it has expired.
            ClassifierError: as for ``Client.classify``.
        """
        try:
            self._ask("DELETE", self._timeout_s)
        except UnexpectedAnswer as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def _ask(self, method: str, timeout_s: float, reconnect_pauses_s: Iterable[float] = RECONNECT_PAUSES_S) -> Answer:
        """Send a request about this job.

        Raises:
            NoSuchJob: there never was such a job, or it has expired.
            ClassifierError: as for ``Client.classify``.
        """
        request = Request(method, f"/v1/jobs/{quote(self.id, safe='')}")
        try:
            return self._service.send(request, time.monotonic() + timeout_s, reconnect_pauses_s=reconnect_pauses_s)
        except UnexpectedAnswer as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NoSuchJob(str(error), error.status) from error
            raise
