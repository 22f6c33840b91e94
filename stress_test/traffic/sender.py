"""Sends one request at a time, over a connection of its own, and follows it to its end."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stress_test.errors import CannotMeasure
from stress_test.senders import WITHOUT_KEYS, Senders
from stress_test.traffic.fates import (
    ACCEPTED,
    NOT_FOUND,
    OK,
    Answer,
    Fate,
    Labels,
    Sent,
    fate_of,
    fate_of_job,
    labels_in,
)
from stress_test.traffic.photos import base_photos, marked

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = ("/predict", "/infer", "/v1/jobs")
TOP_K = 5
ANSWER_WITHIN_S = 40.0  # the service's deadline, and a margin for a machine that the load and the faults share
JOB_WITHIN_S = 200.0  # requests go first: on a machine that others slow down it waits until they have been answered
LOOK_EVERY_S = 0.3
TRUTH_TRIES = 20


class Sender:
    """Knows the right labels from the service itself, asked in peace when this is made.

    Args:
        url: of the service, on loopback.
        run: distinguishes this run's pictures from those of others, ASCII.
        senders: whom its requests come from, in turns; a job is followed by whoever has sent it.

    Raises:
        CannotMeasure: the undisturbed service gave no labels.
    """

    def __init__(self, url: str, run: str, senders: Senders = WITHOUT_KEYS) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._run, self._senders = run, senders
        self._photos = list(base_photos().values())
        self._truths = [self._truth(number) for number in range(len(self._photos))]

    def send(self, number: int, forgetful: Callable[[], bool] = lambda: False, picture: int | None = None) -> Sent:
        """Send request ``number`` and wait for its end.

        Args:
            forgetful: whether somebody has deleted the service's records, so that an accepted job may be unknown.
            picture: those with the same number have the same bytes; by default a request has a picture of its own.
        """
        route = ROUTES[number % len(ROUTES)]
        sent_s = time.monotonic()
        try:
            fate, why = self._end(route, number, number if picture is None else picture, forgetful)
        except TimeoutError:
            fate, why = Fate.LOST, f"no answer within {ANSWER_WITHIN_S:.0f} s"
        except (OSError, http.client.HTTPException) as error:
            fate, why = Fate.BROKEN, type(error).__name__
        return Sent(f"{self._run}-{number}", route, sent_s, time.monotonic(), fate, why)

    def _end(self, route: str, number: int, picture: int, forgetful: Callable[[], bool]) -> tuple[Fate, str]:
        truth = self._truths[picture % len(self._photos)]
        answer = self._post(route, number, picture)
        if route != "/v1/jobs" or answer.status not in {OK, ACCEPTED}:
            return fate_of(answer, truth)
        return self._end_of_job(str(json.loads(answer.body)["id"]), number, truth, forgetful)

    def _end_of_job(self, job_id: str, number: int, truth: Labels, forgetful: Callable[[], bool]) -> tuple[Fate, str]:
        """An accepted job has to end, whatever happens to those who are asked for it meanwhile."""
        deadline = time.monotonic() + JOB_WITHIN_S
        while time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            try:
                answer = self._exchange("GET", f"/v1/jobs/{job_id}", number)
            except (OSError, http.client.HTTPException):
                continue
            if answer.status == NOT_FOUND:
                return (Fate.FAILED if forgetful() else Fate.LOST), "404 for an accepted job"
            if answer.status == OK and (fate := fate_of_job(json.loads(answer.body), truth)):
                return fate
        return Fate.LOST, f"accepted job {job_id} did not end within {JOB_WITHIN_S:.0f} s"

    def _truth(self, number: int) -> Labels:
        for _ in range(TRUTH_TRIES):
            answer = self._post("/infer", number, number)
            if answer.status == OK and (labels := labels_in(json.loads(answer.body))):
                return labels
            time.sleep(LOOK_EVERY_S)
        raise CannotMeasure(f"the undisturbed service answered {answer.status}: {answer.body[:200]!r}")

    def _post(self, route: str, number: int, picture: int) -> Answer:
        photo = marked(self._photos[picture % len(self._photos)], f"{self._run}-{picture}")
        head = b'--photo\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
        body = head + photo + b"\r\n--photo--\r\n"
        return self._exchange("POST", f"{route}?top_k={TOP_K}", number, body)

    def _exchange(self, method: str, path: str, number: int, body: bytes | None = None) -> Answer:
        source = self._senders.address(number)
        connection = http.client.HTTPConnection(self._host, self._port, ANSWER_WITHIN_S, source_address=source)
        headers = {"Connection": "close", **self._senders.headers(number)}
        if body is not None:
            headers["Content-Type"] = "multipart/form-data; boundary=photo"
        try:
            try:
                connection.request(method, path, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise  # otherwise the service may have answered before it had read all
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()
