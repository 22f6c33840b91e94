"""What is wrong with an answer, if anything is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stress_test.fuzz.exchange import ANSWER_WITHIN_S, GARBLED, NO_ANSWER

if TYPE_CHECKING:
    from stress_test.fuzz.exchange import Reply
    from stress_test.fuzz.shape import Shape
    from tests.support.conformance import Conformance

FAULTS = {500, 502}
GUNICORNS = b"<html>\n  <head>\n    <title>"  # how gunicorn's own errors begin
FIRST_ERROR = 400
PAGES = {"/", "/docs"}  # answer browsers in HTML


def fault(shape: Shape, reply: Reply, conformance: Conformance) -> str | None:
    """What the service did wrong, in a line; None if nothing.

    A connection that is closed unanswered is no fault: what was sent may be no request.
    """
    if reply.status == NO_ANSWER:
        return f"no answer within {ANSWER_WITHIN_S:.0f} s"
    if reply.status == GARBLED:
        return f"no HTTP: {reply.body.decode()}"
    if reply.status in FAULTS:
        return f"status {reply.status}"
    if is_gunicorns(reply):
        return f"an error in gunicorn's own HTML: {reply.status}"
    if shape.method is not None and shape.path is not None and reply.status > 0:
        return _undocumented(shape.method, shape.path, reply, conformance)
    return None


def is_gunicorns(reply: Reply) -> bool:
    return reply.status >= FIRST_ERROR and reply.body.startswith(GUNICORNS)


def _undocumented(method: str, path: str, reply: Reply, conformance: Conformance) -> str | None:
    try:
        conformance.check(method, path, reply.status, reply.headers, reply.body)
    except (AssertionError, ValueError) as error:
        return f"not as documented: {str(error)[:200]}"
    return None
