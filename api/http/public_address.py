"""Under which address clients know the service, if that is not the one that the proxy before it asks for.

Links, redirects and the rules for browsers follow from it. Whoever writes ``X-Forwarded-Host`` or
``X-Forwarded-Prefix`` can write anything into it, so only trusted proxies are believed. ``X-Forwarded-Proto`` gunicorn
reads itself (``forwarded_allow_ips``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from api.core.root_path import checked_root_path, within
from api.core.sender_names import is_trusted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from api.settings import Networks

log = logging.getLogger(__name__)

PROXYS_HOST = "classifier.proxys_host"  # of a request: the Host that came, where X-Forwarded-Host has replaced it
SHOWN_CHARACTERS = 100  # of a header, in a log


class PublicAddress:
    """Stands before an application, which sees requests as if clients had sent them to it directly.

    Args:
        trusted_proxies: the networks of the proxies whose headers are believed.
        root_path: as ``checked_root_path`` gives it. If there is one, no header changes it; and a proxy may have taken
            it off a request's path, or left it there.
    """

    def __init__(self, application: WSGIApplication, trusted_proxies: Networks, root_path: str) -> None:
        self._application = application
        self._trusted_proxies = trusted_proxies
        self._root_path = root_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        believed = is_trusted(str(environ.get("REMOTE_ADDR", "")), self._trusted_proxies)
        host = _last(environ, "HTTP_X_FORWARDED_HOST") if believed else ""
        if host:
            environ[PROXYS_HOST] = environ.get("HTTP_HOST")
            environ["HTTP_HOST"] = host
        if self._root_path:
            environ["SCRIPT_NAME"] = self._root_path
            rest = within(self._root_path, environ["PATH_INFO"])
            if rest is not None:
                environ["PATH_INFO"] = rest
        elif believed:
            environ["SCRIPT_NAME"] = _forwarded_prefix(environ)
        return self._application(environ, start_response)


def _forwarded_prefix(environ: WSGIEnvironment) -> str:
    """The path that the proxy has taken off. It is never looked for in the request's path.

    If a proxy passes on whatever a client makes up here, the client's own links are wrong, and no more; if the path
    were cut by it, a client could get round the paths that a proxy refuses.
    """
    prefix = _last(environ, "HTTP_X_FORWARDED_PREFIX")
    try:
        return checked_root_path(prefix)
    except ValueError:
        log.warning("X-Forwarded-Prefix is not a path, and was left out: %.*r", SHOWN_CHARACTERS, prefix)
        return ""


def _last(environ: WSGIEnvironment, name: str) -> str:
    """Of several values the last, which the nearest proxy has added: those before it may be the client's."""
    return str(environ.get(name, "")).rpartition(",")[2].strip()
