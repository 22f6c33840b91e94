"""The headers of a model's answer: which model, and where the time went."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from flask import request

from api.metrics.recorder import Metrics

if TYPE_CHECKING:
    from flask import Response

    from api.core.inference import Answer
    from api.http.form_parser import FormRequest


def elapsed_ms() -> float:
    """Milliseconds since the current request's first line was read."""
    return (time.perf_counter() - cast("FormRequest", request).started) * 1000


def describe(response: Response, *answers: Answer[Any], drawing_ms: float = 0.0) -> Response:
    """Add ``X-Model``, ``X-Model-Version``, ``X-Fallback``, ``X-Cache`` and ``Server-Timing``, and count the answers.

    Durations are in milliseconds (W3C's Server Timing). A batch has the headers of the picture with the longest wait.

    ``upload`` is reading, checking and storing the picture; ``queue`` is the wait without the worker's ``decode`` and
    ``infer``, the latter being that of the whole batch. A joined answer's worker times belong to another request, so
    ``queue`` is its whole wait; a stored answer has none of the three. ``draw`` is the wait for a drawn picture.
    """
    metrics = Metrics.current()
    for answer in answers:
        metrics.count_answer(answer)
    answer = max(answers, key=lambda answer: answer.waited_ms)
    total = elapsed_ms()
    spent = {"upload": total - answer.waited_ms - drawing_ms}
    if answer.cache == "miss":
        timings = answer.found.timings_ms
        spent |= {"queue": answer.queued_ms, "decode": timings.decode, "infer": timings.infer}
    elif answer.cache == "joined":
        spent["queue"] = answer.waited_ms
    if drawing_ms:
        spent["draw"] = drawing_ms
    response.headers["X-Model"] = f"{answer.found.model}@{answer.found.digest[:12]}"
    response.headers["X-Model-Version"] = answer.found.version
    if answer.fallback:
        response.headers["X-Fallback"] = "overload"
    response.headers["X-Cache"] = answer.cache
    response.headers["Server-Timing"] = ", ".join(
        f"{name};dur={milliseconds:.1f}" for name, milliseconds in {**spent, "total": total}.items()
    )
    return response


def uncached(response: Response) -> Response:
    """The response, which no browser or proxy may keep: its address has something else in a moment."""
    response.headers["Cache-Control"] = "no-store"
    return response
