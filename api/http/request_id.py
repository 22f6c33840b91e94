"""The name of a request in logs and answers: its sender's ``X-Request-Id``, or a new one.

Nothing of Flask here: what stands below it needs names too.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, cast

from contract.messages import LONGEST_REQUEST_ID

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

HEADER = "X-Request-Id"
SAFE = re.compile(f"[A-Za-z0-9._~+/=:@-]{{1,{LONGEST_REQUEST_ID}}}")  # what proxies make; nothing that ends a line
_KEPT = "classifier.request_id"


def new_request_id() -> str:
    """32 hex digits."""
    return os.urandom(16).hex()


def request_id(environ: WSGIEnvironment) -> str:
    """The request's, the same each time. One that its sender made up unsafely is replaced without a word."""
    if _KEPT not in environ:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        environ[_KEPT] = sent if SAFE.fullmatch(sent) else new_request_id()
    return cast("str", environ[_KEPT])
