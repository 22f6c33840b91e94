"""CORS: pages of the origins in ``CORS_ORIGINS`` may use the API from their scripts, but never what is an operator's.

Without credentials: a script has to send its key itself, and what a browser would add on its own does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, request

if TYPE_CHECKING:
    from collections.abc import Iterable

FOR_OPERATORS = ("/admin", "/reload")
METHODS = "GET, HEAD, POST, DELETE"
SENT_HEADERS = "Authorization, X-API-Key, Content-Type, Idempotency-Key, X-Request-Id, Inference-Header-Content-Length"
READ_HEADERS = (
    "X-Model, X-Model-Version, X-Cache, X-Error, X-Request-Id, Server-Timing, RateLimit, RateLimit-Policy, "
    "Retry-After, Location, ETag, Inference-Header-Content-Length"
)
REMEMBERED_FOR_S = 600  # a preflight's answer; an origin that is taken away is refused by its requests all the same


class Cors:
    """The rule of one application.

    Args:
        origins: as browsers write them; without any, CORS is off.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def allows(self) -> bool:
        """Whether the current request is of an allowed origin, and for a part that is open to other origins."""
        return request.environ.get("HTTP_ORIGIN") in self._origins and not is_under(*FOR_OPERATORS)

    def answer_preflight(self) -> Response | None:
        """What a browser asks before it sends a script's request, if that may be sent.

        It is answered for every path, so that the script can read a 404 as well.
        """
        if request.method != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in request.environ:
            return None
        if not self.allows():
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = SENT_HEADERS
        response.headers["Access-Control-Max-Age"] = str(REMEMBERED_FOR_S)
        return response

    def add_headers(self, response: Response) -> Response:
        """Let scripts of an allowed origin read the answer, an error as well."""
        if self._origins and not is_under(*FOR_OPERATORS):
            response.vary.add("Origin")  # to every origin: a cache must not give one's answer to another
            if self.allows():
                response.headers["Access-Control-Allow-Origin"] = request.environ["HTTP_ORIGIN"]
                response.headers["Access-Control-Expose-Headers"] = READ_HEADERS
        return response


def is_under(*folders: str) -> bool:
    """Whether the current request's path is one of ``folders`` or below it."""
    return any(request.path == folder or request.path.startswith(f"{folder}/") for folder in folders)
