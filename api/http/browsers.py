"""What keeps browsers from being used against the service; the order in which a request meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.host_names import HostNames
from api.http.cors import Cors
from api.http.hosts import Hosts
from api.http.origin import OriginRule
from api.http.security_headers import add_security_headers

if TYPE_CHECKING:
    from flask import Flask, Response

    from api.settings import Settings


def guard_against_browsers(app: Flask, settings: Settings) -> None:
    """To be called before anything else looks at requests: what is refused here must not count as a wrong key."""
    hosts = Hosts(HostNames([*settings.allowed_hosts, settings.host]))
    cors = Cors(settings.cors_origins)
    origins = OriginRule(cors)

    def refuse_or_let_in() -> Response | None:
        answer = hosts.check() or cors.answer_preflight()
        if answer is None:
            origins.check()
        return answer

    def add_headers(response: Response) -> Response:
        return add_security_headers(cors.add_headers(response))

    app.before_request(refuse_or_let_in)  # in one: what Flask does to call each costs as much as these do
    app.after_request(add_headers)
