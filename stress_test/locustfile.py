"""People who look at the page and have pictures classified, one look for three pictures.

By hand, with Locust's own page on http://127.0.0.1:8089, against a service that runs:

    locust -f stress_test/locustfile.py --host http://127.0.0.1:8000

A service that needs a key gets it from the environment, where several users may have several senders' keys:

    CLASSIFIER_KEY="$KEY $ANOTHER" locust -f ...

A new picture is one that the service has not seen: it is not answered from its memory. A known one is. A refusal, 503
or 429, that says when to come again is no failure; it is counted under a name of its own, and its user waits
as long as it asks.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from locust import FastHttpUser, between, task

from stress_test.senders import Senders

if TYPE_CHECKING:
    from locust.contrib.fasthttp import ResponseContextManager

PICTURES = Path(__file__).parents[1] / "tests" / "pictures"
LABELS = {"chelsea.jpg": "Egyptian_cat", "coffee.jpg": "espresso", "rocket.jpg": "missile"}
PHOTOS = {name: (PICTURES / name).read_bytes() for name in LABELS}

PAGE, PREDICT = "/", "/predict"
KNOWN, REFUSED = "/predict (known)", "/predict (refused)"  # as Locust's statistics name these, apart from the others
BUSY = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
THINK_S = (0.5, 2.0)
NEW_PICTURE_BYTES = 8  # nothing after a JPEG's end is decoded, but it changes the picture's hash


class Visitor(FastHttpUser):
    """``known_share`` of the uploads, 0 to 1, are pictures that other visitors have sent before."""

    wait_time = between(*THINK_S)
    known_share = 0.5
    numbers = itertools.count()

    def on_start(self) -> None:
        """Each has a sender of its own, for as long as there are so many."""
        self.headers = Senders.of_environment().headers(next(self.numbers))

    @task(1)
    def look_at_the_page(self) -> None:
        with self.client.get(PAGE, headers=self.headers, catch_response=True) as response:
            if response.status_code != HTTPStatus.OK:
                response.failure(_unexpected(response))
            elif 'type="file"' not in str(response.text):
                response.failure("the page has no field for a file")

    @task(3)
    def have_a_picture_classified(self) -> None:
        name, label = random.choice(list(LABELS.items()))  # noqa: S311  # nothing secret
        known = random.random() < self.known_share  # noqa: S311  # nothing secret
        photo = PHOTOS[name] if known else PHOTOS[name] + os.urandom(NEW_PICTURE_BYTES)
        with self.client.post(
            PREDICT,
            files={"file": (name, photo, "image/jpeg")},
            headers=self.headers,
            name=KNOWN if known else PREDICT,
            catch_response=True,
        ) as response:
            pause_s = _retry_after_s(response)
            if pause_s is not None:
                response.request_meta["name"] = REFUSED
                response.success()
            elif response.status_code != HTTPStatus.OK:
                response.failure(_unexpected(response))
            elif (answered := _label(response)) != label:
                response.failure(f"{name} is {label}, but the answer was {answered}")
        if pause_s is not None:
            gevent.sleep(pause_s)


def _retry_after_s(response: ResponseContextManager) -> int | None:
    """The pause that a refusal (503 or 429 with Retry-After) asks for, or None for any other answer."""
    if response.status_code not in BUSY or response.headers is None:
        return None
    pause = str(response.headers.get("Retry-After", ""))
    return int(pause) if pause.isascii() and pause.isdigit() else None


def _label(response: ResponseContextManager) -> object:
    try:
        return json.loads(str(response.text))["prediction"]
    except (ValueError, KeyError, TypeError):
        return f"not understood: {response.text!r:.100}"


def _unexpected(response: ResponseContextManager) -> str:
    return (
        f"status {response.status_code}"
        if response.status_code
        else f"no answer: {response.request_meta['exception']!r}"
    )
