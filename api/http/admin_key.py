"""Whether a request has the admin key: as a Bearer token or, for browsers, as the password of HTTP Basic."""

from __future__ import annotations

import hmac

from flask import request

from api.services import Services


def is_admin() -> bool:
    """Whether the current request has the key; False if none is set."""
    key = Services.current().settings.admin_api_key.get_secret_value()
    return bool(key) and hmac.compare_digest(_sent_key().encode(), key.encode())


def _sent_key() -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()  # taken as it is: Werkzeug reads a token with "=" in it as a list of parameters
    basic = request.authorization
    return (basic.password or "") if basic is not None and basic.type == "basic" else ""
