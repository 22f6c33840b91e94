"""The request log: a line for each request when it is over, also for what never became one of the application's.

It has the route, not the path: a path may have a job's ID or a picture's name in it, which open what they name, and a
query has a link's signature. What no route matched is shown as it came, but for what may be such a name or a key. A key
is shown by its name.

Nothing of Flask here: the server below it writes the log.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any

from api.http.request_id import request_id

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

LOGGER = "requests"
LONGEST_PATH = 200  # characters
SECRET = re.compile("[0-9A-Za-z_-]{24,}")  # what may be one in a path
BLANKS = {0x20: "%20", 0xA0: "%A0"}  # in a path: what follows one would be read as a field of the line
HEALTH_CHECKS = {"/livez", "/readyz", "/health"}  # several a minute, for ever, and all alike
FIRST_ERROR = 400

# In a request's environment.
STARTED = "classifier.started"  # by time.perf_counter, as the next
ANSWERED = "classifier.answered"
ROUTE = "classifier.route"
SENDER = "classifier.sender"

LINE = (
    "%(method)s %(route)s %(status)d in=%(bytes_in)d out=%(bytes_out)d ms=%(ms).1f id=%(request_id)s sender=%(sender)s"
)

log = logging.getLogger(LOGGER)


def note_answered(environ: WSGIEnvironment) -> None:
    """The answer is out; what is read of the request from now on takes none of its time."""
    environ[ANSWERED] = time.perf_counter()


def write_request(environ: WSGIEnvironment, *, status: int, bytes_in: int, bytes_out: int) -> None:
    """Write the line of a request that is over.

    Args:
        bytes_in: that came on the connection for it, its head among them.
        bytes_out: of the answer's body.
    """
    route = environ.get(ROUTE) or _unknown(environ.get("PATH_INFO", ""))
    level = logging.DEBUG if route in HEALTH_CHECKS and status < FIRST_ERROR else logging.INFO
    if not log.isEnabledFor(level):
        return
    over = environ.get(ANSWERED, time.perf_counter())
    _write(
        level,
        method=environ["REQUEST_METHOD"],
        route=route,
        status=status,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        ms=round((over - environ.get(STARTED, over)) * 1000, 1),
        request_id=request_id(environ),
        sender=environ.get(SENDER) or environ.get("REMOTE_ADDR", "-"),
    )


def write_no_request(status: int, *, bytes_in: int, bytes_out: int, request_id: str, sender: str) -> None:
    """Write the line of what was refused before it was a request."""
    _write(
        logging.INFO,
        method="-",
        route="-",
        status=status,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        ms=0.0,
        request_id=request_id,
        sender=sender,
    )


def _unknown(path: str) -> str:
    """A path as it is shown; it is cut last, or half a secret could be left at its end."""
    return SECRET.sub("...", path)[:LONGEST_PATH].translate(BLANKS)


def _write(level: int, **fields: Any) -> None:
    log.log(level, LINE, fields)
