"""What a sender may use: requests over it are refused before their body is read, and every answer says what is left.

The response fields are those of the IETF's draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flask import g, request

from api.core.quotas import Unit, quotas_of
from api.http.sender import sender_of
from api.services import Services

if TYPE_CHECKING:
    from flask import Response

    from api.core.quotas import Quota, Quotas
    from api.core.usage import Account

LIMITED = {
    "pages.classify",
    "predict.predict",
    "infer.infer",
    "infer.infer_batch",
    "jobs.submit",
    "jobs.show",
    "jobs.cancel",
    "feedback.send",
}
"""The endpoints whose requests count: what makes work, takes bytes, or asks Redis for a sender."""

UNIT_PARAMETER = {Unit.REQUESTS: "", Unit.BYTES: ';qu="content-bytes"'}  # requests are what the draft supposes


def count_request() -> None:
    """Count the current request, if it is one that counts.

    Raises:
        OverLimit: its sender has used up what he may.
    """
    if request.endpoint in LIMITED and request.method != "OPTIONS":
        services = Services.current()
        sender = sender_of(request.environ, services.settings.trusted_proxies)
        g.account = services.usage.account(sender, _quotas())
        g.account.admit()


def count_received(size_bytes: int) -> None:
    """Count a piece of the current request's body, if it is a request that counts.

    Raises:
        OverLimit: with it its sender has sent more than he may.
    """
    account = _account()
    if account is not None:
        account.received(size_bytes)


def add_limits(response: Response) -> Response:
    """Say what the sender of the current request may use, and what is left of it."""
    account = _account()
    if account is not None and account.quotas:
        response.headers["RateLimit-Policy"] = _policy(account.quotas)
        response.headers["RateLimit"] = ", ".join(
            f'"{quota.name}";r={left};t={more_in_s}' for quota, left, more_in_s in account.left()
        )
    return response


def _account() -> Account | None:
    found: Account | None = g.get("account")
    return found


def _quotas() -> Quotas:
    settings = Services.current().settings
    return _quotas_of(
        settings.requests_per_minute, settings.requests_per_day, settings.mb_per_minute, settings.mb_per_day
    )


@lru_cache(maxsize=1024)
def _quotas_of(per_minute: int, per_day: int, mb_per_minute: int, mb_per_day: int) -> Quotas:
    return quotas_of(
        requests_per_minute=per_minute, requests_per_day=per_day, mb_per_minute=mb_per_minute, mb_per_day=mb_per_day
    )


@lru_cache(maxsize=1024)
def _policy(quotas: Quotas) -> str:
    return ", ".join(map(_item, quotas))


def _item(quota: Quota) -> str:
    return f'"{quota.name}";q={quota.most};w={quota.window.length_s}{UNIT_PARAMETER[quota.unit]}'
