"""Whether ``Host`` names this service.

A page of a stranger's domain whose name server first gives the stranger's address and then this machine's ("DNS
rebinding") is, to a browser, of the same origin as the service, and may read all answers. What gives it away is the
name in ``Host``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import request

from api.core.errors import WrongHost
from api.http.problems import Problems
from api.http.public_address import PROXYS_HOST

if TYPE_CHECKING:
    from flask import Response

    from api.core.host_names import HostNames

log = logging.getLogger(__name__)

SHOWN_CHARACTERS = 100  # of a sender's Host, in a log
REFUSAL = "this service does not answer to the name in Host; whoever runs it can add the name to ALLOWED_HOSTS"


class Hosts:
    """The rule of one application.

    Args:
        names: those that the service answers to.
    """

    def __init__(self, names: HostNames) -> None:
        self._names = names

    def check(self) -> Response | None:
        """The refusal, always as a problem document, if ``Host`` names another service.

        A request without ``Host`` (HTTP/1.0) is not a browser's. With ``X-Forwarded-Host`` both have to be ours: a
        proxy may pass on one that a stranger's page has made up.
        """
        environ = request.environ
        for host in (environ.get("HTTP_HOST"), environ.get(PROXYS_HOST)):
            if host is not None and host not in self._names:
                log.warning("refused: ALLOWED_HOSTS has not the name in Host: %.*r", SHOWN_CHARACTERS, host)
                return Problems.current().answer(WrongHost(REFUSAL))
        return None
