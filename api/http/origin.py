"""Whether a request was made by a page of another origin.

Any page can make its visitor's browser send forms and requests to this service, with what only that browser has: its
place in the network, and the password that it was once given for ``/admin``. The browser says so: in ``Sec-Fetch-Site``
or, where that is missing (addresses without TLS other than loopback), in ``Origin``. Programs send neither.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import request

from api.core.errors import CrossOrigin
from api.core.web_origins import origin_of
from api.http.cors import is_under

if TYPE_CHECKING:
    from api.http.cors import Cors

log = logging.getLogger(__name__)

OURS = {"same-origin", "none"}  # "none": typed, or a bookmark. "same-site" is another port or name of the same domain
NOT_LINKED_TO = (
    "/admin",
    "/v1",
    "/v2",
    "/main",
    "/image-raw",
    "/image-draw",
)  # what nobody needs a link to from elsewhere; /admin also begins costly downloads
SHOWN_CHARACTERS = 100  # of an origin, in a log
REFUSAL = "this was sent by a page of another origin; open the address itself, or allow the origin in CORS_ORIGINS"


class OriginRule:
    """Every route is closed to other origins' pages, unless it is opened to them here.

    Args:
        cors: which origins are allowed.
    """

    def __init__(self, cors: Cors) -> None:
        self._cors = cors

    def check(self) -> None:
        """Raises CrossOrigin: another origin's page sent the request, and may not."""
        environ = request.environ
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        if site in OURS or (site is None and origin is None):
            return
        if site is None and origin == _own_origin():
            return
        if self._cors.allows() or _follows_link():
            return
        log.warning("refused: %s %s from another origin: %.*r", request.method, request.path, SHOWN_CHARACTERS, origin)
        raise CrossOrigin(REFUSAL)


def _own_origin() -> str | None:
    """None without a ``Host``. Whether TLS is spoken before a proxy, gunicorn knows from ``TRUSTED_PROXIES``."""
    host = request.environ.get("HTTP_HOST")
    return origin_of(request.scheme, host) if host else None


def _follows_link() -> bool:
    """Whether a person follows a link to a page: it is shown in a window of its own, and changes nothing."""
    environ = request.environ
    return (
        request.method == "GET"
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
        and not is_under(*NOT_LINKED_TO)
    )
