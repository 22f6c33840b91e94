"""What a request's route has not read of its body: it is read after the answer, for a while, and thrown away.

A connection that is closed with bytes unread is reset, and the client loses the answer that says why it was refused;
one that stays open can't serve the next request before they are read. gunicorn reads them too, for as long as they
come, a kilobyte at a time, each time copying what it has read ahead.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from flask import request
from gevent import Timeout
from gunicorn.http.errors import ParseException

from api.core.errors import OverLimit
from api.http.limits import received_by_sender
from api.http.linger import PIECE_BYTES, linger
from api.http.request_log import note_answered

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIEnvironment

    from flask import Response

DISCARD_FOR_S = 10.0
BROKEN = "classifier.broken_body"  # in a request's environment: nobody can tell where its body ends


def discard_after(response: Response) -> Response:
    """See to it that the rest of the current request's body is read once it is answered.

    Otherwise it would be taken for a piece of the next request's head, and count against that one's bounds.
    """
    response.call_on_close(partial(_discard, request.environ, received_by_sender()))
    return response


def _discard(environ: WSGIEnvironment, count_received: Callable[[int], None]) -> None:
    note_answered(environ)
    if BROKEN not in environ:  # of a broken one gunicorn believes that it has ended
        with suppress(ParseException, OSError, OverLimit), Timeout(DISCARD_FOR_S, False):  # gevent's word: silently
            while piece := environ["wsgi.input"].read(PIECE_BYTES):
                count_received(len(piece))
            return
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        linger(connection)
