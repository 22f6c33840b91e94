"""Who sends the current request: its key, from wherever the header has it, and the address that it came from.

A key comes as ``Authorization: Bearer``, as ``X-API-Key``, or as the password of HTTP Basic, for browsers. It is
compared, and then forgotten: neither a log nor an answer has it.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, cast

from flask import g, request

from api.core.client import Client
from api.core.errors import KeyMissing, TooManyWrongKeys, WrongKey
from api.http.hang_up import watched
from api.http.request_id import request_id
from api.http.sender import sender_of
from api.keys.caller import Caller
from api.metrics.recorder import Metrics
from api.services import Services
from contract.errors import OverShare

if TYPE_CHECKING:
    from api.keys.key import Key

log = logging.getLogger(__name__)

LONGEST_LOGGED = 200  # characters of a path


def current_caller() -> Caller:
    """Whoever sends the current request; anonymous until ``identify`` has looked at its key."""
    if "caller" not in g:
        g.caller = Caller(_address())
    return cast("Caller", g.caller)


def current_client() -> Client:
    """Whoever waits for the answer to the current request."""
    caller = current_caller()
    private = caller.key is not None and caller.key.private
    named = request_id(request.environ)
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return Client(caller.sender, private=private, request_id=named)
    is_there = partial(watched, connection, Metrics.current().count_abandoned)
    return Client(caller.sender, is_there, private, named)


def identify() -> Caller:
    """Look at the key of the current request.

    Raises:
        KeyMissing: it has none.
        WrongKey: it has one that the service does not know.
        TooManyWrongKeys: so had many others from this address; a key of the keys file still opens, because nobody
            can guess one.
    """
    secret = _sent_key()
    if not secret:
        raise KeyMissing("this needs a key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")
    address = _address()
    g.caller = Caller(address, _key(secret, address))
    return cast("Caller", g.caller)


def _key(secret: str, address: str) -> Key:
    services = Services.current()
    drawn = services.keyring.drawn(secret)
    if drawn is not None:
        return drawn
    try:
        services.wrong_key_rate.check(address)
        chosen = services.keyring.chosen(secret)
        if chosen is not None:
            return chosen
        services.wrong_key_rate.count(address)
    except OverShare as error:
        raise TooManyWrongKeys(f"{error}: try again in {error.retry_after_s} s", error.retry_after_s) from None
    Metrics.current().count_wrong_key()
    log.warning("a wrong key from %s for %s %s", address, request.method, request.path[:LONGEST_LOGGED])
    raise WrongKey("this key is not known: it is wrong, or was revoked")


def _address() -> str:
    return sender_of(request.environ, Services.current().settings.trusted_proxies)


def _sent_key() -> str:
    own = request.headers.get("X-API-Key", "").strip()
    if own:  # before the other, which a proxy with passwords of its own may have passed on
        return own
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()  # taken as it is: Werkzeug reads a token with "=" in it as a list of parameters
    try:
        basic = request.authorization
    except ValueError:  # Werkzeug's, for HTTP Basic with other characters than ASCII
        return ""
    if basic is not None and basic.type == "basic":
        return basic.password or ""
    return ""
