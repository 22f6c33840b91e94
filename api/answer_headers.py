"""What every answer says of itself in headers: which model, from where, and where the time went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import g

from api.metrics import note_answer

if TYPE_CHECKING:
    from flask import Response

    from api.gateway import Answer


def start_clock() -> None:
    """Remember when this request began to be read."""
    g.started = time.perf_counter()


def describe(response: Response, *answers: Answer) -> Response:
    """Add ``X-Model``, ``X-Cache`` and ``Server-Timing`` (W3C; durations in milliseconds), and have them counted.

    A batch has the headers of the picture that was waited for longest.

    ``upload`` is reading, checking and storing the picture; ``queue`` is the rest of the wait beside the worker's
    ``decode`` and ``infer``, the latter being that of the whole batch. An answer from memory has neither.
    """
    for answer in answers:
        note_answer(answer)
    answer = max(answers, key=lambda answer: answer.waited_ms)
    total = (time.perf_counter() - g.started) * 1000
    spent = {"upload": total - answer.waited_ms}
    if answer.cache == "miss":
        timings = answer.classification.timings_ms
        spent |= {
            "queue": answer.queued_ms,
            "decode": timings.decode,
            "infer": timings.infer,
        }
    response.headers["X-Model"] = f"{answer.classification.model}@{answer.classification.digest[:12]}"
    response.headers["X-Cache"] = answer.cache
    response.headers["Server-Timing"] = ", ".join(
        f"{name};dur={milliseconds:.1f}" for name, milliseconds in {**spent, "total": total}.items()
    )
    return response
