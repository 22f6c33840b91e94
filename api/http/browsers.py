"""What keeps browsers from being used against the service; the order in which a request meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.host_names import HostNames
from api.http.cors import Cors
from api.http.hosts import Hosts
from api.http.origin import OriginRule
from api.http.security_headers import add_security_headers

if TYPE_CHECKING:
    from flask import Flask

    from api.settings import Settings


def guard_against_browsers(app: Flask, settings: Settings) -> None:
    """To be called before anything else looks at requests: what is refused here must not count as a wrong key."""
    cors = Cors(settings.cors_origins)
    app.before_request(Hosts(HostNames([*settings.allowed_hosts, settings.host])).check)
    app.before_request(cors.answer_preflight)
    app.before_request(OriginRule(cors).check)
    app.after_request(cors.add_headers)
    app.after_request(add_security_headers)
