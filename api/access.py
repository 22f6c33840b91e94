"""Who may see what is for the operator: whoever sends ``ADMIN_API_KEY``."""

from __future__ import annotations

import hmac

from flask import request

from api.errors import AdminClosed, WrongAdminKey
from api.services import Services


def require_admin_key() -> None:
    """Let a request pass that carries the key, as a Bearer token or, for browsers, as the password of HTTP Basic.

    Raises:
        AdminClosed: no key is set.
        WrongAdminKey: another one was sent, or none.
    """
    key = Services.current().settings.admin_api_key.get_secret_value()
    if not key:
        raise AdminClosed("set ADMIN_API_KEY to open the admin pages")
    if not hmac.compare_digest(_sent_key().encode(), key.encode()):
        raise WrongAdminKey("this page needs the admin key")


def _sent_key() -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()  # as it is: Werkzeug takes a token with "=" in it for a list of parameters
    basic = request.authorization
    return (basic.password or "") if basic is not None and basic.type == "basic" else ""
