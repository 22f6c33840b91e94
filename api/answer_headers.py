"""What every answer says of itself in headers: which model, from where, and where the time went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from flask import g

from api.metrics import note_answer
from api.reference.operation import Header

if TYPE_CHECKING:
    from flask import Response

    from api.gateway import Answer

ANSWER_HEADERS = {
    "X-Model": Header(
        "The model that answered: its name and the start of its digest.", example="resnet50@3bb5c3a91d2e"
    ),
    "X-Cache": Header(
        "From memory, from a computation already under way, or from one of its own.",
        Literal["hit", "joined", "miss"],
        "miss",
    ),
    "Server-Timing": Header(
        "Where the time went, in milliseconds (W3C Server Timing): `upload` and `total`; of a miss also `queue`, "
        "`decode` and `infer`; of a joined answer `queue`, its whole wait for the other request's computation.",
        example="upload;dur=1.4, queue;dur=2.2, decode;dur=3.0, infer;dur=20.1, total;dur=26.7",
    ),
}


def start_clock() -> None:
    """Remember when this request began to be read."""
    g.started = time.perf_counter()


def describe(response: Response, *answers: Answer) -> Response:
    """Add ``X-Model``, ``X-Cache`` and ``Server-Timing`` (W3C; durations in milliseconds), and have them counted.

    A batch has the headers of the picture that was waited for longest.

    ``upload`` is reading, checking and storing the picture; ``queue`` is the rest of the wait beside the worker's
    ``decode`` and ``infer``, the latter being that of the whole batch. Of a joined answer the worker's times are
    another request's, and ``queue`` is all of its wait; an answer from memory waited for nobody.
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
    elif answer.cache == "joined":
        spent["queue"] = answer.waited_ms
    response.headers["X-Model"] = f"{answer.classification.model}@{answer.classification.digest[:12]}"
    response.headers["X-Cache"] = answer.cache
    response.headers["Server-Timing"] = ", ".join(
        f"{name};dur={milliseconds:.1f}" for name, milliseconds in {**spent, "total": total}.items()
    )
    return response
