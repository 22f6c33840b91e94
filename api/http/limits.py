"""What a sender may use: requests over it are refused before their body is read, and every answer says what is left.

The response fields are those of the IETF's draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flask import g, request

from api.core.errors import OverLimit
from api.core.quotas import Unit, quotas_of
from api.http.caller import current_caller
from api.keys.key import NO_LIMITS
from api.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from api.core.quotas import Quota, Quotas
    from api.core.usage import Account
    from api.keys.limits import Limits
    from api.settings import Settings

LIMITED = {
    "pages.classify",
    "predict.predict",
    "infer.infer",
    "infer.infer_batch",
    "detect.detect",
    "detect.detect_batch",
    "inspections.inspect",
    "inspect_page.inspect",
    "replaced.inference",
    "replaced.check_pattern",
    "replaced_main.main",
    "replaced_main.with_camera",
    "open_inference.infer",
    "jobs.submit",
    "jobs.list_own",
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
        caller = current_caller()
        limits = caller.key.limits if caller.key is not None else NO_LIMITS
        services = Services.current()
        g.account = services.usage.account(caller.sender, _quotas(limits, services.settings))
        g.account.admit()
        g.counts_bytes = True


def count_received(size_bytes: int) -> None:
    """Count a piece of the current request's body, if it is a request that counts.

    Raises:
        OverLimit: with it its sender has sent more than he may.
    """
    try:
        received_by_sender()(size_bytes)
    except OverLimit:
        g.counts_bytes = False
        raise


def received_by_sender() -> Callable[[int], None]:
    """What counts a piece of the current request's body, also once it is answered; it raises OverLimit.

    Of a request that is not counted, or was refused for a limit, it counts nothing.
    """
    if not g.get("counts_bytes", False):
        return _count_nothing
    account: Account = g.account
    return account.received


def _count_nothing(_size_bytes: int) -> None:
    pass


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


def _quotas(own: Limits, settings: Settings) -> Quotas:
    """Those of a key, and the settings' where it has none of its own."""
    return _quotas_of(
        own, settings.requests_per_minute, settings.requests_per_day, settings.mb_per_minute, settings.mb_per_day
    )


@lru_cache(maxsize=1024)
def _quotas_of(own: Limits, per_minute: int, per_day: int, mb_per_minute: int, mb_per_day: int) -> Quotas:
    return quotas_of(
        requests_per_minute=per_minute if own.requests_per_minute is None else own.requests_per_minute,
        requests_per_day=per_day if own.requests_per_day is None else own.requests_per_day,
        mb_per_minute=mb_per_minute if own.mb_per_minute is None else own.mb_per_minute,
        mb_per_day=mb_per_day if own.mb_per_day is None else own.mb_per_day,
    )


@lru_cache(maxsize=1024)
def _policy(quotas: Quotas) -> str:
    return ", ".join(map(_item, quotas))


def _item(quota: Quota) -> str:
    return f'"{quota.name}";q={quota.most};w={quota.window.length_s}{UNIT_PARAMETER[quota.unit]}'
